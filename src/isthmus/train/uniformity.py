"""Uniformity of the rows of each modality."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch, squared_distances
from isthmus.train._registry import loss


@loss(source="Wang and Isola 2020, arXiv 2005.10242")
class Uniformity(Loss):
    """Spread the rows of each modality evenly over the sphere.

    Notes
    -----
    The value is (U_x + U_y)/2 with U_x = log mean_{i != j} exp(-2 |x_i - x_j|^2). Lower is more even. The range is
    [-8, 0] for unit rows, 0 if all rows of a modality are one point. The key is `uniformity_loss`.

    References
    ----------
    T. Wang and P. Isola (2020), arXiv 2005.10242.

    Examples
    --------
    >>> import torch
    >>> round(Uniformity()(torch.eye(3), torch.eye(3), 1.0).item(), 4)
    -4.0
    """

    key = "uniformity_loss"

    def value(self, batch: Batch) -> Tensor:
        return (uniformity(batch, batch.x, batch.all_x) + uniformity(batch, batch.y, batch.all_y)) / 2


def uniformity(batch: Batch, a: Tensor, b: Tensor) -> Tensor:
    """Return log mean exp(-2 |a_i - b_j|^2) over the rows of different items."""
    return batch.log_mean_exp(-2 * squared_distances(a, b), exclude_positives=True)
