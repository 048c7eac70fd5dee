"""
Does a task follow the gap?
===========================

One intervention closes the gap step by step, and the other removes what the modalities do not share. Which of the two
changes the score of a task?
"""

import matplotlib.pyplot as plt

import isthmus
from isthmus.evaluation import intervene

pairs = isthmus.demo.load("plain", split="test")
curve = intervene(pairs, interventions=["translate", "remove_unshared"])
figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
isthmus.plot.interventions(curve, ax=axes)
