"""
The components of the cosine deficit
====================================

The mean cosine of matching pairs is below 1. The deficit is the exact sum of four components.
"""

import matplotlib.pyplot as plt

import isthmus

explanation = isthmus.explain(isthmus.demo.load("plain", split="test"))
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
isthmus.plot.budget(explanation, ax=left)
isthmus.plot.angle(explanation, ax=right)
