"""Second moments of the recent batches, the same on every process."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.train._batch import Batch
from isthmus.train._state import DynamicBuffersMixin
from isthmus.utils.errors import InputError


class RunningMoments(DynamicBuffersMixin):
    """Exponential averages of the moments of paired rows, all in one matrix: the mean of z z' with z = (1, x, y).

    A batch that lies t steps back weighs `decay`^t. `table` (1 + 2d, 1 + 2d) in float64, `weight` and `square` (the
    sums of the rows' weights and of their squares) are buffers, so that checkpoints hold them. No gradient passes.

    >>> moments = RunningMoments(decay=0.5)
    >>> for value in (1.0, 4.0):
    ...     rows = torch.full((2, 3), value)
    ...     moments.update(Batch(rows, -rows, 1.0))
    >>> moments.mean_x.tolist(), moments.mean_y.tolist(), round(moments.rows, 2)
    ([3.0, 3.0, 3.0], [-3.0, -3.0, -3.0], 3.6)
    """

    table: Tensor
    weight: Tensor
    square: Tensor

    def __init__(self, decay: float = 0.99) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise InputError(f"decay={decay}, expected a number from 0 up and below 1")
        self.decay = decay
        self.register_buffer("table", torch.zeros(1, 1, dtype=torch.float64))
        self.register_buffer("weight", torch.zeros((), dtype=torch.float64))
        self.register_buffer("square", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def update(self, batch: Batch) -> None:
        """Take in a batch, with the rows of all processes."""
        rows = torch.cat([torch.ones_like(batch.x[:, :1]), batch.x, batch.y], dim=1)
        table = batch.mean(rows.T @ rows / batch.n).double()
        if self.table.shape != table.shape:
            self.table = torch.zeros_like(table)
            self.weight.zero_()
            self.square.zero_()
        self.table.lerp_(table, 1 - self.decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)
        self.square.mul_(self.decay**2).add_((1 - self.decay) ** 2 / batch.n_total)

    @property
    def rows(self) -> float:
        """How many equally weighted rows say as much as these."""
        return float(self.weight**2 / self.square)

    @property
    def mean_x(self) -> Tensor:
        """(d,), float64."""
        return self._scaled[0, 1 : 1 + self.width]

    @property
    def mean_y(self) -> Tensor:
        """(d,), float64."""
        return self._scaled[0, 1 + self.width :]

    @property
    def covariances(self) -> tuple[Tensor, Tensor, Tensor]:
        """Those of x, of y, and of x with y, (d, d) each, float64."""
        full = self._scaled
        centred = full[1:, 1:] - torch.outer(full[0, 1:], full[0, 1:])
        d = self.width
        return centred[:d, :d], centred[d:, d:], centred[:d, d:]

    @property
    def width(self) -> int:
        return (len(self.table) - 1) // 2

    @property
    def _scaled(self) -> Tensor:
        # Averages that started from zero are divided by the weight that they have so far.
        return self.table / self.weight
