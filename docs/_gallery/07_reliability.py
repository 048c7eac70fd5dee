"""
Is a first hit right?
=====================

The probability that a first hit is right, as the corrected score predicts it, beside the share that is right.
"""

import matplotlib.pyplot as plt

import isthmus

train, test = isthmus.demo.load("plain", split="train"), isthmus.demo.load("plain", split="test")
correction = isthmus.align.ScoreCalibration().fit(train)
relevance = correction.relevance(test, share_without_match=0.5)
figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
isthmus.plot.reliability(relevance.reliability(query="text", stored="image"), ax=axes)
