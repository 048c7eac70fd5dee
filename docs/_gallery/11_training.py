"""
The gap during training
=======================

A monitor beside the training loop measures recent batches.
"""

import matplotlib.pyplot as plt
import torch
from torch import nn

from isthmus import plot, train

torch.manual_seed(0)
pictures, captions = torch.randn(512, 20), torch.randn(512, 15)
pictures[:, :5] = captions[:, :5]  # shared by both modalities
image, text = nn.Linear(20, 8), nn.Linear(15, 8)
temperature = train.LearnedTemperature(0.07)
optimizer = torch.optim.AdamW(train.parameter_groups(image, text, temperature, lr=1e-2))
monitor, loss = train.GapMonitor(every=8, window=4), train.InfoNCE()
for _ in range(12):
    for batch in torch.randperm(512).split(64):
        x = nn.functional.normalize(image(pictures[batch]))
        y = nn.functional.normalize(text(captions[batch]))
        optimizer.zero_grad()
        loss(x, y, temperature()).backward()
        optimizer.step()
        monitor(x, y)

figure, axes = plt.subplots(figsize=(8, 3.5), layout="constrained")
plot.history(monitor.history, ax=axes)
