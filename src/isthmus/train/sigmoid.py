"""Sigmoid loss of SigLIP: each pair of rows is one binary classification."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from isthmus.train._base import Loss
from isthmus.train._batch import Batch, map_tiles
from isthmus.train._registry import loss
from isthmus.utils.errors import InputError


@loss(
    source="Zhai et al. 2023, arXiv 2303.15343; relative bias: Bangachev et al. 2025, arXiv 2509.18552",
    standalone=True,
)
class Sigmoid(Loss):
    """Classify each of the n^2 pairs of rows as matching or not, the loss of SigLIP.

    Parameters
    ----------
    bias : {"absolute", "relative"}, default "absolute"
        Add `logit_bias` to the logits, or subtract it from the cosines.
    block : int or None, default None
        Number of rows of a tile of logits, as in `InfoNCE`.

    Raises
    ------
    InputError
        If `bias` is unknown or `block` is below 1.

    Notes
    -----
    L = -(1/n) sum_ij log sigmoid(z_ij l_ij) in nats, with z_ij = 1 for matching pairs and -1 otherwise. With s
    `logit_scale` and b `logit_bias` (0 if None), l_ij = s x_i.y_j + b for the absolute bias and s (x_i.y_j - b) for the
    relative one. The relative bias is the threshold between positives and negatives. It does not move when the scale
    grows. A model that starts at b_absolute starts at the relative bias -b_absolute / s. Both directions are the same
    classification, so nothing is averaged. The range is >= 0 and the key is `contrastive_loss`.

    References
    ----------
    X. Zhai et al. (2023), arXiv 2303.15343. K. Bangachev et al. (2025), arXiv 2509.18552.

    Examples
    --------
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
            raise InputError(f"bias={bias!r}, expected 'absolute' (added to the logits) or 'relative' (a cosine)")
        if block is not None and block < 1:
            raise InputError(f"block={block}, expected None or a number of rows from 1 up")
        self.bias, self.block = bias, block

    def value(self, batch: Batch) -> Tensor:
        bias = 0 * batch.scale if batch.bias is None else batch.bias
        if self.bias == "relative":
            bias = -batch.scale * bias

        def row_losses(rows: Tensor, start: int, candidates: Tensor) -> Tensor:
            logits = rows @ candidates.T + bias
            batch.positives(logits, start).neg_()
            return functional.softplus(logits).sum(1)

        return batch.mean(map_tiles(row_losses, batch.scale * batch.x, batch.all_y, block=self.block).mean())
