"""Consistency of similarities when the modalities are exchanged."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss
from isthmus.utils.errors import InputError


@loss(source="CyCLIP: Goel et al. 2022, arXiv 2205.14459", weight=0.25)
class CyclicConsistency(Loss):
    """Make similarities equal across the modalities and within each modality.

    Parameters
    ----------
    reduction : {"sum", "mean"}, default "sum"
        Add over the other items as in the source, or divide by n once more. The mean does not grow with the batch.
    cross : float, default 1.0
        Weight of the consistency across the modalities.
    within : float, default 1.0
        Weight of the consistency within each modality.

    Raises
    ------
    InputError
        If `reduction` is unknown.

    Notes
    -----
    The value is (1/n) sum_ij [`cross` (x_i.y_j - x_j.y_i)^2 + `within` (x_i.x_j - y_i.y_j)^2]. The source weights the
    term with 0.25 beside InfoNCE. The range is >= 0 and the key is `cyclic_consistency_loss`.

    References
    ----------
    S. Goel et al. (2022), arXiv 2205.14459.

    Examples
    --------
    >>> import torch
    >>> x, y = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> CyclicConsistency()(x, y, 1.0).item(), CyclicConsistency(reduction="mean")(x, y, 1.0).item()
    (2.0, 1.0)
    """

    key = "cyclic_consistency_loss"

    def __init__(self, *, reduction: str = "sum", cross: float = 1.0, within: float = 1.0) -> None:
        super().__init__()
        if reduction not in ("sum", "mean"):
            raise InputError(f"reduction={reduction!r}, expected 'sum' (over the other items) or 'mean'")
        self.reduction, self.cross, self.within = reduction, cross, within

    def value(self, batch: Batch) -> Tensor:
        x_to_y = batch.x @ batch.all_y.T
        y_to_x = x_to_y.T if batch.world_size == 1 else batch.y @ batch.all_x.T
        across = x_to_y - y_to_x
        inside = batch.x @ batch.all_x.T - batch.y @ batch.all_y.T
        squares = self.cross * across.square().sum(1) + self.within * inside.square().sum(1)
        total = batch.mean(squares.mean())
        return total if self.reduction == "sum" else total / batch.n_total
