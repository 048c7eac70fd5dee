"""
More than two modalities
========================

A measure of each two modalities as a matrix.
"""

import matplotlib.pyplot as plt
import numpy as np

import isthmus

image, text = isthmus.demo.load("plain", split="test").unit()
audio = text + 0.1 * np.random.default_rng(0).normal(size=text.shape)  # a third modality, close to the texts
results = isthmus.Modalities(image=image, text=text, audio=audio).measure(metrics=["centroid_angle"])
figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
isthmus.plot.matrix(results, name="centroid_angle", ax=axes)
