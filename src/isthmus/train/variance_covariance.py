"""Regulariser against dimension collapse: coordinates vary and are uncorrelated."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss
from isthmus.utils.errors import InputError


@loss(source="VICReg: Bardes, Ponce and LeCun 2022, arXiv 2105.04906", weight=0.1)
class VarianceCovariance(Loss):
    """Penalise coordinates that do not vary and pairs of coordinates that are correlated.

    Parameters
    ----------
    variance : float, default 1.0
        Weight of the variance term.
    covariance : float, default 0.04
        Weight of the covariance term. The ratio of the defaults is that of the source.

    Raises
    ------
    InputError
        If a weight is negative or not finite.

    Notes
    -----
    The terms are ``variance (1/d) sum_k max(0, 1 - sd_k)`` and ``covariance (1/d) sum_{k != l} C_kl^2``, each the mean
    of both modalities. sd_k and C are the standard deviations (of variance + 1e-4) and covariances (n - 1) of sqrt(d)
    times the rows. Unit rows that are even on the sphere have sd_k = 1 and C_kl = 0. A rank below d raises both terms,
    because the rows are then constant in some direction. The keys are `variance_loss` (range [0, 1] times its weight)
    and `covariance_loss` (>= 0). The weight 0.1 beside InfoNCE is a choice of this library.

    References
    ----------
    A. Bardes, J. Ponce and Y. LeCun (2022), arXiv 2105.04906.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> terms = VarianceCovariance()(x, x, 1.0, output_dict=True)
    >>> {key: round(value.item(), 4) for key, value in terms.items()}
    {'variance_loss': 0.99, 'covariance_loss': 0.0}
    """

    def __init__(self, *, variance: float = 1.0, covariance: float = 0.04) -> None:
        super().__init__()
        if not (0 <= variance < float("inf") and 0 <= covariance < float("inf")):
            raise InputError(f"variance={variance}, covariance={covariance}: expected finite weights from 0 up")
        self.variance, self.covariance = variance, covariance

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        variance, covariance = 0 * batch.x[0, 0], 0 * batch.x[0, 0]
        for rows in (batch.x, batch.y):
            width = rows.shape[1]
            # A shift by a constant changes no covariance, and products of rows near the mean keep their digits.
            shifted = rows - batch.mean(rows.detach().mean(0))
            mean = batch.mean(shifted.mean(0))
            products = batch.mean(shifted.T @ shifted / batch.n) - torch.outer(mean, mean)
            matrix = width * batch.n_total / (batch.n_total - 1) * products
            squares = matrix.diagonal()
            variance = variance + (1 - (squares + 1e-4).sqrt()).relu().mean() / 2
            covariance = covariance + (matrix.square().sum() - squares.square().sum()) / width / 2
        return {"variance_loss": self.variance * variance, "covariance_loss": self.covariance * covariance}
