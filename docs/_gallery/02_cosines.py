"""
Cosines of matching and non-matching pairs
==========================================

No matching pair comes near a cosine of 1. What counts is that few non-matching pairs reach the same cosine.
"""

import matplotlib.pyplot as plt

import isthmus

pairs = isthmus.demo.load("plain", split="test")
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
isthmus.plot.cosines(pairs, ax=axes)
