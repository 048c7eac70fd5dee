"""How evenly the pairs, as wholes, are spread."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss
from isthmus.train.uniformity import uniformity


@loss(source="ModGap: Grassucci et al. 2026, arXiv 2601.18525")
class CentroidUniformity(Loss):
    """Uniformity of the pairs' centroids, log mean_{i != j} exp(-2 |c_i - c_j|^2), c_i = unit(x_i + y_i).

    With `TruePairAlignment` and InfoNCE it is the loss of ModGap. Range [-8, 0] for unit rows. Key
    `centroid_uniformity_loss`.

    >>> import torch
    >>> round(CentroidUniformity()(torch.eye(3), torch.eye(3), 1.0).item(), 4)
    -4.0
    """

    key = "centroid_uniformity_loss"

    def value(self, batch: Batch) -> Tensor:
        centroids = functional.normalize(batch.x + batch.y)
        return uniformity(batch, centroids, functional.normalize(batch.all_x + batch.all_y))
