"""Exponential averages of the second moments of recent batches, equal on every process."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.train._batch import Batch
from isthmus.train._state import DynamicBuffersMixin
from isthmus.utils.errors import InputError


class RunningMoments(DynamicBuffersMixin):
    """Average the moments of paired rows exponentially, as the mean of z z' with z = (1, x, y).

    A batch t steps ago has the weight `decay ** t`. No gradient flows through the averages. They are buffers, so that
    checkpoints store them.

    Parameters
    ----------
    decay : float, default 0.99
        Factor by which the weight of a batch falls with each step, from 0 up and below 1.

    Attributes
    ----------
    table : Tensor of shape (1 + 2d, 1 + 2d)
        Average of z z' in float64, before division by `weight`.
    weight : Tensor
        Sum of the weights of the rows.
    squared_weights : Tensor
        Sum of the squared weights of the rows.

    Raises
    ------
    InputError
        If `decay` is out of range.

    Examples
    --------
    >>> moments = RunningMoments(decay=0.5)
    >>> for value in (1.0, 4.0):
    ...     rows = torch.full((2, 3), value)
    ...     moments.update(Batch(rows, -rows, 1.0))
    >>> moments.mean_x.tolist(), moments.mean_y.tolist(), round(moments.n_effective, 2)
    ([3.0, 3.0, 3.0], [-3.0, -3.0, -3.0], 3.6)
    """

    table: Tensor
    weight: Tensor
    squared_weights: Tensor

    def __init__(self, decay: float = 0.99) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise InputError(f"decay={decay}, expected a number from 0 up and below 1")
        self.decay = decay
        self.register_buffer("table", torch.zeros(1, 1, dtype=torch.float64))
        self.register_buffer("weight", torch.zeros((), dtype=torch.float64))
        self.register_buffer("squared_weights", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def update(self, batch: Batch) -> None:
        """Add a batch with the rows of all processes. A batch of another width starts new averages.

        Parameters
        ----------
        batch : Batch
            Pairs of this step.
        """
        rows = torch.cat([torch.ones_like(batch.x[:, :1]), batch.x, batch.y], dim=1)
        table = batch.mean(rows.T @ rows / batch.n).double()
        if self.table.shape != table.shape:
            self.table = torch.zeros_like(table)
            self.weight.zero_()
            self.squared_weights.zero_()
        self.table.lerp_(table, 1 - self.decay)
        self.weight.lerp_(torch.ones_like(self.weight), 1 - self.decay)
        self.squared_weights.mul_(self.decay**2).add_((1 - self.decay) ** 2 / batch.n_total)

    @property
    def n_effective(self) -> float:
        """Number of equally weighted rows with the same variance of the mean."""
        return float(self.weight**2 / self.squared_weights)

    @property
    def mean_x(self) -> Tensor:
        """Mean of x, (d,), float64."""
        return self._averages[0, 1 : 1 + self.width]

    @property
    def mean_y(self) -> Tensor:
        """Mean of y, (d,), float64."""
        return self._averages[0, 1 + self.width :]

    @property
    def covariances(self) -> tuple[Tensor, Tensor, Tensor]:
        """Covariances of x, of y, and of x with y, (d, d) each, float64."""
        averages = self._averages
        centred = averages[1:, 1:] - torch.outer(averages[0, 1:], averages[0, 1:])
        d = self.width
        return centred[:d, :d], centred[d:, d:], centred[:d, d:]

    @property
    def width(self) -> int:
        """Number of dimensions d, 0 before the first batch."""
        return (len(self.table) - 1) // 2

    @property
    def _averages(self) -> Tensor:
        # Averages that start from zero are divided by the total weight so far.
        return self.table / self.weight
