"""
The two modalities, before and after a correction
=================================================

Images and texts lie in separate regions: the modality gap. Subtracting the mean of each modality closes it.
"""

import matplotlib.pyplot as plt

import isthmus

train, test = isthmus.demo.load("plain", split="train"), isthmus.demo.load("plain", split="test")
image, text = isthmus.align.Centering().fit(train).transform(*test.unit())

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
isthmus.plot.clouds(test, ax=left)
isthmus.plot.clouds(isthmus.Pairs(image=image, text=text), ax=right)
left.set_title("as encoded")
right.set_title("after Centering")
