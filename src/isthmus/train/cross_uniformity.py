"""Uniformity between the two modalities."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss
from isthmus.train.uniformity import uniformity


@loss(source="Fahim, Murphy and Fyshe 2024, arXiv 2405.18570")
class CrossUniformity(Loss):
    """Push each row away from the non-matching rows of the other modality.

    Notes
    -----
    The value is log mean_{i != j} exp(-2 |x_i - y_j|^2), symmetric in the modalities. The range is [-8, 0] for unit
    rows and the key is `cross_uniformity_loss`.

    References
    ----------
    A. Fahim, A. Murphy and A. Fyshe (2024), arXiv 2405.18570.

    Examples
    --------
    >>> import torch
    >>> round(CrossUniformity()(torch.eye(3), torch.eye(3), 1.0).item(), 4)
    -4.0
    """

    key = "cross_uniformity_loss"

    def value(self, batch: Batch) -> Tensor:
        return uniformity(batch, batch.x, batch.all_y)
