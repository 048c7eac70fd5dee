"""InfoNCE: each row must find its match among all rows of the other modality."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch, map_tiles
from isthmus.train._registry import loss
from isthmus.utils.errors import InputError


@loss(
    source="van den Oord, Li and Vinyals 2018, arXiv 1807.03748; Radford et al. 2021, arXiv 2103.00020",
    standalone=True,
)
class InfoNCE(Loss):
    """Contrast each row with all rows of the other modality, the symmetric loss of CLIP.

    Call `loss(x, y, logit_scale)` with unit rows x and y of shape (n, d), whose rows i are one pair, as in open_clip.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        Average the two directions as in CLIP, or add them as in `isthmus.theory`.
    block : int or None, default None
        Number of rows of a tile of logits. Tiles are computed again in the backward pass: memory O(block N) instead of
        O(n N), for two thirds more products.

    Raises
    ------
    InputError
        If `reduction` is unknown or `block` is below 1.

    Notes
    -----
    L = (1/n) sum_i [-log softmax_j(s x_i.y_j)_i - log softmax_j(s y_i.x_j)_i] / 2 in nats, where s is `logit_scale`.
    The range is >= 0 and the key is `contrastive_loss`. A bias of the logits does not change a softmax and is ignored.

    References
    ----------
    A. van den Oord, Y. Li and O. Vinyals (2018), arXiv 1807.03748. A. Radford et al. (2021), arXiv 2103.00020.

    Examples
    --------
    >>> import torch
    >>> round(InfoNCE()(torch.eye(2), torch.eye(2), 1.0).item(), 6)
    0.313262
    """

    key = "contrastive_loss"

    def __init__(self, *, reduction: str = "mean", block: int | None = None) -> None:
        super().__init__()
        if reduction not in ("mean", "sum"):
            raise InputError(f"reduction={reduction!r}, expected 'mean' or 'sum' (of the two directions)")
        if block is not None and block < 1:
            raise InputError(f"block={block}, expected None or a number of rows from 1 up")
        self.reduction, self.block = reduction, block

    def value(self, batch: Batch) -> Tensor:
        total = info_nce(batch, batch.x, batch.y, batch.all_x, batch.all_y, block=self.block)
        return total if self.reduction == "sum" else total / 2


def info_nce(batch: Batch, x: Tensor, y: Tensor, all_x: Tensor, all_y: Tensor, *, block: int | None = None) -> Tensor:
    """Return the sum of both directions for rows `x`, `y` (n, k), which are `all_x`, `all_y` (N, k) when gathered."""
    scaled = batch.scale * x
    positives = (scaled * y).sum(1)
    if batch.world_size == 1 and (block is None or batch.n <= block):
        logits = scaled @ all_y.T
        x_to_y, y_to_x = logits.logsumexp(1), logits.logsumexp(0)
    else:
        x_to_y = map_tiles(_log_sum_exp, scaled, all_y, block=block)
        y_to_x = map_tiles(_log_sum_exp, batch.scale * y, all_x, block=block)
    return batch.mean((x_to_y + y_to_x - 2 * positives).mean())


def _log_sum_exp(rows: Tensor, _start: int, candidates: Tensor) -> Tensor:
    return torch.logsumexp(rows @ candidates.T, 1)
