"""
Corrections on held-out pairs
=============================

Each correction is fitted to one half of the items and evaluated on the other half.
"""

import matplotlib.pyplot as plt

import isthmus

pairs = isthmus.demo.load("collapsed", split="test")
comparison = isthmus.compare(pairs, aligners=["Centering", "Procrustes", "ScoreCalibration"], splits=1)
figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
isthmus.plot.aligners(comparison, ax=axes)
