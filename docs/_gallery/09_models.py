"""
Several models side by side
===========================

Three encoders of the demonstration data, with the intervals of their numbers.
"""

import matplotlib.pyplot as plt

import isthmus

models = {run: isthmus.demo.load(run, split="test") for run in ("plain", "warm", "collapsed")}
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
isthmus.plot.models(isthmus.compare_models(models), measure="R@1", ax=axes)
