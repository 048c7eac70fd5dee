"""Points on the arcs between matching rows as hard negatives of other pairs."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss
from isthmus.train._state import StepCounterMixin
from isthmus.utils.errors import InputError


@loss(source="m2-mix: Oh et al. 2023 (NeurIPS), arXiv 2203.03897", weight=0.01)
class GeodesicMixing(Loss, StepCounterMixin):
    """Contrast each row with points on the arcs between the rows of other pairs.

    Parameters
    ----------
    alpha : float, default 0.5
        Parameter of the distribution Beta(alpha, alpha) of the mixing ratio.
    ratio : float or None, default None
        Fixed mixing ratio from 0 to 1. By default it is drawn for each step from `seed` and the number of the step, so
        that all processes use the same ratio. In eval mode the step does not advance.
    seed : int, default 0
        Seed of the ratios.

    Raises
    ------
    InputError
        If `alpha` is not positive or `ratio` lies outside [0, 1].

    Notes
    -----
    With t_j the angle of pair j (unit rows) and the ratio r, the mixed points are
    ``m_j = sin(r t_j)/sin(t_j) x_j + sin((1 - r) t_j)/sin(t_j) y_j``. The direction x is
    ``-(1/n) sum_i [s x_i.y_i - log(exp(s x_i.y_i) + sum_{j != i} exp(s x_i.m_j))]`` in nats. The direction y is the
    same with y_i, and the value is their mean. The source weights the term with 0.01 beside InfoNCE. The range is >= 0
    and the key is `geodesic_mixing_loss`.

    References
    ----------
    C. Oh et al. (2023), Geodesic multi-modal mixup, NeurIPS, arXiv 2203.03897.

    Examples
    --------
    >>> import torch
    >>> x = torch.eye(2)
    >>> round(GeodesicMixing(ratio=0.5)(x, x, 1.0).item(), 6)
    0.313262
    """

    key = "geodesic_mixing_loss"

    def __init__(self, *, alpha: float = 0.5, ratio: float | None = None, seed: int = 0) -> None:
        super().__init__()
        if not 0 < alpha < math.inf or (ratio is not None and not 0 <= ratio <= 1):
            raise InputError(f"alpha={alpha}, ratio={ratio}: expected alpha above 0 and a ratio from 0 to 1")
        self.alpha, self.ratio, self.seed = alpha, ratio, seed

    def value(self, batch: Batch) -> Tensor:
        ratio = self.ratio
        if ratio is None:
            ratio = float(np.random.default_rng([self.seed, self.steps]).beta(self.alpha, self.alpha))
        self.steps += self.training
        cosines = (batch.all_x * batch.all_y).sum(1, keepdim=True)
        mixed = arc_weight(cosines, ratio) * batch.all_x + arc_weight(cosines, 1 - ratio) * batch.all_y
        positives = batch.scale * (batch.x * batch.y).sum(1)
        total = 0 * positives
        for rows in (batch.x, batch.y):
            logits = batch.scale * rows @ mixed.T
            batch.positives(logits).copy_(positives)
            total = total + logits.logsumexp(1) - positives
        return batch.mean(total.mean()) / 2


def arc_weight(cosines: Tensor, ratio: float) -> Tensor:
    """Return sin(ratio t)/sin(t) for t = arccos(cosines), with a smooth gradient at t = 0."""
    deficit = 1 - cosines
    angle = cosines.clamp(-1 + 1e-4, 1 - 1e-4).arccos()
    # The quotient loses the digits of its gradient at small angles. There t^2 = 2 u + u^2/3 + ... with u the deficit.
    squared_angle = 2 * deficit + deficit.square() / 3
    series = ratio * (1 + (1 - ratio**2) * squared_angle / 6 * (1 + (7 - 3 * ratio**2) * squared_angle / 60))
    return torch.where(deficit < 1e-4, series, torch.sin(ratio * angle) / torch.sin(angle))
