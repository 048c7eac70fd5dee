"""Points between partners as hard negatives of other pairs."""

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
    """InfoNCE whose negatives are points on the arcs between partners, in nats, the mean of both directions.

    m_j = sin(r t_j)/sin(t_j) x_j + sin((1 - r) t_j)/sin(t_j) y_j, t_j the angle of pair j (unit rows); direction x:
    -(1/n) sum_i [s x_i.y_i - log(exp(s x_i.y_i) + sum_{j != i} exp(s x_i.m_j))], direction y the same with y_i. The
    ratio r ~ Beta(`alpha`, `alpha`) is drawn for each step, from `seed` and the number of the step, so that all
    processes draw the same; `ratio` fixes it. In eval mode the number does not move. Range >= 0. Key
    `geodesic_mixing_loss`. Errors: `InputError` for alpha that is not positive or a ratio outside [0, 1].

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
        mixed = _arc(cosines, ratio) * batch.all_x + _arc(cosines, 1 - ratio) * batch.all_y
        partner = batch.scale * (batch.x * batch.y).sum(1)
        total = 0 * partner
        for rows in (batch.x, batch.y):
            logits = batch.scale * rows @ mixed.T
            batch.positives(logits).copy_(partner)
            total = total + logits.logsumexp(1) - partner
        return batch.mean(total.mean()) / 2


def _arc(cosines: Tensor, ratio: float) -> Tensor:
    """sin(ratio t)/sin(t) for t = arccos(cosines), smooth also where partners coincide."""
    near = 1 - cosines
    angle = cosines.clamp(-1 + 1e-4, 1 - 1e-4).arccos()
    # t^2 = 2 u + u^2/3 + ...; the quotient loses its gradient's digits below.
    square = 2 * near + near.square() / 3
    series = ratio * (1 + (1 - ratio**2) * square / 6 * (1 + (7 - 3 * ratio**2) * square / 60))
    return torch.where(near < 1e-4, series, torch.sin(ratio * angle) / torch.sin(angle))
