"""How evenly the rows of each side are spread."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch, squared_distances
from isthmus.train._registry import loss


@loss(source="Wang and Isola 2020, arXiv 2005.10242")
class Uniformity(Loss):
    """The mean of the uniformities of both sides, (U_x + U_y)/2, U_x = log mean_{i != j} exp(-2 |x_i - x_j|^2).

    Lower is more even. Range [-8, 0] for unit rows: 0 when all rows of a side are one point. Key `uniformity_loss`.

    >>> import torch
    >>> round(Uniformity()(torch.eye(3), torch.eye(3), 1.0).item(), 4)
    -4.0
    """

    key = "uniformity_loss"

    def value(self, batch: Batch) -> Tensor:
        return (uniformity(batch, batch.x, batch.all_x) + uniformity(batch, batch.y, batch.all_y)) / 2


def uniformity(batch: Batch, rows: Tensor, others: Tensor) -> Tensor:
    """log mean exp(-2 |a_i - b_j|^2) over pairs of different items."""
    return batch.log_mean_exp(-2 * squared_distances(rows, others), others=True)
