"""The Cauchy-Schwarz divergence between the two clouds."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch, squared_distances
from isthmus.train._registry import loss
from isthmus.utils.errors import InputError


@loss(source="CS-Aligner: Yin et al. 2025, arXiv 2502.17028")
class CauchySchwarz(Loss):
    """D = -2 log mean_ij k(x_i, y_j) + log mean_ij k(x_i, x_j) + log mean_ij k(y_i, y_j), pairing not used.

    k(a, b) = exp(-|a - b|^2 / (2 width^2)), all pairs of rows, a row with itself included. Range >= 0; 0 when the
    clouds are the same set of points. The source's width is not known to us; 1 suits unit rows. Key
    `cauchy_schwarz_loss`. Errors: `InputError` for a width that is not positive.

    >>> import torch
    >>> x = torch.eye(2)
    >>> round(CauchySchwarz()(x, -x, 1.0).item(), 4), abs(round(CauchySchwarz()(x, x.flip(0), 1.0).item(), 4))
    (2.0, 0.0)
    """

    key = "cauchy_schwarz_loss"

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        if not 0 < width < float("inf"):
            raise InputError(f"width={width}, expected a number above 0")
        self.width = width

    def value(self, batch: Batch) -> Tensor:
        def potential(rows: Tensor, others: Tensor) -> Tensor:
            return batch.log_mean_exp(squared_distances(rows, others) / (-2 * self.width**2))

        across = potential(batch.x, batch.all_y)
        return potential(batch.x, batch.all_x) + potential(batch.y, batch.all_y) - 2 * across
