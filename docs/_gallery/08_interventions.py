"""
Does a task follow the gap?
===========================

The gap is closed step by step, and so is the part that the modalities share. The task follows one of the two.
"""

import matplotlib.pyplot as plt

import isthmus
from isthmus.evaluation import intervene

pairs = isthmus.demo.load("plain", split="test")
curve = intervene(pairs, interventions=["translate", "remove_unshared"])
figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
isthmus.plot.interventions(curve, ax=axes)
