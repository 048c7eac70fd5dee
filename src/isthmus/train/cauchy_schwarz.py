"""Cauchy-Schwarz divergence between the two modalities."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch, squared_distances
from isthmus.train._registry import loss
from isthmus.utils.errors import InputError


@loss(source="CS-Aligner: Yin et al. 2025, arXiv 2502.17028")
class CauchySchwarz(Loss):
    """Penalise the Cauchy-Schwarz divergence between the distributions of the modalities, ignoring the pairing.

    Parameters
    ----------
    width : float, default 1.0
        Standard deviation of the Gaussian kernel. The width of the source is not published. 1 suits unit rows.

    Raises
    ------
    InputError
        If `width` is not positive.

    Notes
    -----
    ``D = -2 log mean_ij k(x_i, y_j) + log mean_ij k(x_i, x_j) + log mean_ij k(y_i, y_j)`` with the kernel
    ``k(a, b) = exp(-|a - b|^2 / (2 width^2))``. The means include each row with itself. The range is >= 0, and 0 if the
    modalities are the same set of points. The key is `cauchy_schwarz_loss`.

    References
    ----------
    Yin et al. (2025), arXiv 2502.17028.

    Examples
    --------
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
        def log_mean_kernel(a: Tensor, b: Tensor) -> Tensor:
            return batch.log_mean_exp(squared_distances(a, b) / (-2 * self.width**2))

        across = log_mean_kernel(batch.x, batch.all_y)
        return log_mean_kernel(batch.x, batch.all_x) + log_mean_kernel(batch.y, batch.all_y) - 2 * across
