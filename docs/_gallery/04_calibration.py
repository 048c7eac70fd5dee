"""
What a cosine means
===================

The share of matching pairs among all pairs at or above a cosine, if each query has one match.
"""

import matplotlib.pyplot as plt

import isthmus

calibration = isthmus.calibrate(isthmus.demo.load("plain", split="test"))
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
isthmus.plot.calibration(calibration, ax=axes)
