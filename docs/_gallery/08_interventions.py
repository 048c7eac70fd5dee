"""
Does a task follow the gap?
===========================

One intervention closes or widens the gap, the other removes the shared directions at a constant gap. Search in the
other modality (left) depends on the shared directions, and search over both modalities (right) on the gap. The star is
the raw embedding.
"""

import matplotlib.pyplot as plt

import isthmus
from isthmus.evaluation import intervene

pairs = isthmus.demo.load("collapsed", split="test")
curve = intervene(pairs, interventions=["translate", "collapse"])
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
isthmus.plot.interventions(curve, score="R@1", ax=left)
isthmus.plot.interventions(curve, score="mixed_NDCG@10", ax=right)
