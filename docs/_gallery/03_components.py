"""
What the missing cosine is made of
==================================

The cosine of matching pairs stays below 1 for four reasons, whose parts add up exactly.
"""

import matplotlib.pyplot as plt

import isthmus

explanation = isthmus.explain(isthmus.demo.load("plain", split="test"))
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
isthmus.plot.budget(explanation, ax=left)
isthmus.plot.angle(explanation, ax=right)
