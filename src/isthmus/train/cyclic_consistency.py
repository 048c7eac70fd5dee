"""Similarities that do not change when the sides are exchanged."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss
from isthmus.utils.errors import InputError


@loss(source="CyCLIP: Goel et al. 2022, arXiv 2205.14459", weight=0.25)
class CyclicConsistency(Loss):
    """(1/n) sum_ij [(x_i.y_j - x_j.y_i)^2 + (x_i.x_j - y_i.y_j)^2]: cross-modal and within-modality consistency.

    The sum over j is the source's (it gives both parts the weight 0.25); `reduction="mean"` divides by n once more, so
    that the value does not grow with the batch. `cross` and `within` weigh the parts. Range >= 0. Key
    `cyclic_consistency_loss`. Errors: `InputError` for another reduction.

    >>> import torch
    >>> x, y = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> CyclicConsistency()(x, y, 1.0).item(), CyclicConsistency(reduction="mean")(x, y, 1.0).item()
    (2.0, 1.0)
    """

    key = "cyclic_consistency_loss"

    def __init__(self, *, reduction: str = "sum", cross: float = 1.0, within: float = 1.0) -> None:
        super().__init__()
        if reduction not in ("sum", "mean"):
            raise InputError(f"reduction {reduction!r} came: give 'sum' (over the other items) or 'mean'")
        self.reduction, self.cross, self.within = reduction, cross, within

    def value(self, batch: Batch) -> Tensor:
        across = batch.x @ batch.all_y.T
        across = across - (across.T if batch.processes == 1 else batch.y @ batch.all_x.T)
        inside = batch.x @ batch.all_x.T - batch.y @ batch.all_y.T
        squares = self.cross * across.square().sum(1) + self.within * inside.square().sum(1)
        total = batch.mean(squares.mean())
        return total if self.reduction == "sum" else total / batch.total
