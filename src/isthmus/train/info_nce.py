"""InfoNCE: each row must find its partner among all rows of the other side."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch, tiled
from isthmus.train._registry import loss
from isthmus.utils.errors import InputError


@loss(
    source="van den Oord, Li and Vinyals 2018, arXiv 1807.03748; Radford et al. 2021, arXiv 2103.00020", standalone=True
)
class InfoNCE(Loss):
    """Symmetric InfoNCE, L = (1/n) sum_i [-log softmax_j(s x_i.y_j)_i - log softmax_j(s y_i.x_j)_i] / 2 in nats.

    s is `logit_scale`. The two directions are averaged as in CLIP; `reduction="sum"` adds them (the convention of
    `isthmus.theory`). A bias of the logits does not change a softmax and is not used. With `block` the logits are made
    in tiles of that many rows and made again in the backward pass: memory O(block N) instead of O(n N) for two thirds
    more products. Range >= 0. Key `contrastive_loss`. Errors: `InputError` for another reduction or a block below 1.

    >>> import torch
    >>> round(InfoNCE()(torch.eye(2), torch.eye(2), 1.0).item(), 6)
    0.313262
    """

    key = "contrastive_loss"

    def __init__(self, *, reduction: str = "mean", block: int | None = None) -> None:
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise InputError(f"reduction {reduction!r} came: give 'mean' or 'sum' (of the two directions)")
        if block is not None and block < 1:
            raise InputError(f"block={block}, expected None or a number of rows from 1 up")
        self.reduction, self.block = reduction, block

    def value(self, batch: Batch) -> Tensor:
        both = info_nce(batch, batch.x, batch.y, batch.all_x, batch.all_y, block=self.block)
        return both if self.reduction == "sum" else both / 2


def info_nce(batch: Batch, x: Tensor, y: Tensor, all_x: Tensor, all_y: Tensor, *, block: int | None = None) -> Tensor:
    """The sum of both directions for rows `x`, `y` (n, k) of the processes' pairs, gathered as `all_x`, `all_y`."""
    scaled = batch.scale * x
    partner = (scaled * y).sum(1)
    if batch.processes == 1 and (block is None or batch.n <= block):
        logits = scaled @ all_y.T
        rows, columns = logits.logsumexp(1), logits.logsumexp(0)
    else:
        rows = tiled(_log_sums, scaled, all_y, block=block)
        columns = tiled(_log_sums, batch.scale * y, all_x, block=block)
    return batch.mean((rows + columns - 2 * partner).mean())


def _log_sums(rows: Tensor, start: int, others: Tensor) -> Tensor:
    return torch.logsumexp(rows @ others.T, 1)
