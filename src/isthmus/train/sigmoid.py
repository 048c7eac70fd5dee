"""The sigmoid loss of SigLIP: every pair of rows is a yes-or-no question of its own."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from isthmus.train._base import Loss
from isthmus.train._batch import Batch, tiled
from isthmus.train._registry import loss
from isthmus.utils.errors import InputError


@loss(
    source="Zhai et al. 2023, arXiv 2303.15343; relative bias: Bangachev et al. 2025, arXiv 2509.18552", standalone=True
)
class Sigmoid(Loss):
    """L = -(1/n) sum_ij log sigmoid(z_ij l_ij) in nats, z_ij = 1 for partners and -1 otherwise.

    `bias="absolute"` (SigLIP): l_ij = s x_i.y_j + b with s `logit_scale` and b `logit_bias`. `bias="relative"`:
    l_ij = s (x_i.y_j - b), so that the threshold b between partners and others stays put while the scale grows; a
    model that starts at b_absolute starts at b = -b_absolute / s. No `logit_bias` means b = 0. The two directions are
    the same questions, so nothing is averaged. `block` as in `InfoNCE`. Range >= 0. Key `contrastive_loss`.
    Errors: `InputError` for another bias or a block below 1.

    >>> import torch
    >>> x = torch.eye(2)
    >>> absolute, relative = Sigmoid()(x, x, 10.0, -5.0), Sigmoid(bias="relative")(x, x, 10.0, 0.5)
    >>> round(absolute.item(), 6), round(relative.item(), 6)
    (0.013431, 0.013431)
    """

    key = "contrastive_loss"

    def __init__(self, *, bias: str = "absolute", block: int | None = None) -> None:
        super().__init__()
        if bias not in ("absolute", "relative"):
            raise InputError(f"bias {bias!r} came: give 'absolute' (added to the logits) or 'relative' (a cosine)")
        if block is not None and block < 1:
            raise InputError(f"block={block}, expected None or a number of rows from 1 up")
        self.bias, self.block = bias, block

    def value(self, batch: Batch) -> Tensor:
        bias = 0 * batch.scale if batch.bias is None else batch.bias
        if self.bias == "relative":
            bias = -batch.scale * bias

        def questions(rows: Tensor, start: int, others: Tensor) -> Tensor:
            logits = rows @ others.T + bias
            batch.positives(logits, start).neg_()
            return functional.softplus(logits).sum(1)

        return batch.mean(tiled(questions, batch.scale * batch.x, batch.all_y, block=self.block).mean())
