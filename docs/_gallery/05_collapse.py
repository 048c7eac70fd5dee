"""
Dimension collapse
==================

Both modalities use few dimensions, and not the same ones. On the left the spectra, on the right the principal angles
between the two subspaces beside those of random subspaces.
"""

import matplotlib.pyplot as plt

import isthmus

result = isthmus.measure(isthmus.demo.load("plain", split="test"))
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
isthmus.plot.spectra(result, ax=left)
isthmus.plot.principal_angles(result, ax=right)
