"""Uniformity of the centroids of pairs."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss
from isthmus.train.uniformity import uniformity


@loss(source="ModGap: Grassucci et al. 2026, arXiv 2601.18525")
class CentroidUniformity(Loss):
    """Spread the centroids of the pairs evenly over the sphere.

    Together with `TruePairAlignment` and InfoNCE it is the loss of ModGap.

    Notes
    -----
    The value is log mean_{i != j} exp(-2 |c_i - c_j|^2) with c_i = unit(x_i + y_i). The range is [-8, 0] for unit rows
    and the key is `centroid_uniformity_loss`.

    References
    ----------
    E. Grassucci et al. (2026), arXiv 2601.18525.

    Examples
    --------
    >>> import torch
    >>> round(CentroidUniformity()(torch.eye(3), torch.eye(3), 1.0).item(), 4)
    -4.0
    """

    key = "centroid_uniformity_loss"

    def value(self, batch: Batch) -> Tensor:
        centroids = functional.normalize(batch.x + batch.y)
        return uniformity(batch, centroids, functional.normalize(batch.all_x + batch.all_y))
