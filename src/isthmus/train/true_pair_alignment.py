"""Squared distance of matching pairs."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss


@loss(source="Wang and Isola 2020, arXiv 2005.10242; ModGap: Grassucci et al. 2026, arXiv 2601.18525")
class TruePairAlignment(Loss):
    """Penalise the mean squared distance of matching pairs.

    The loss has no negatives. Alone it collapses all rows into one point, so add it to a contrastive loss.

    Notes
    -----
    A = (1/n) sum_i |x_i - y_i|^2, which is 2 - 2 mean x_i.y_i for unit rows. The range is [0, 4] for unit rows and the
    key is `true_pair_alignment_loss`.

    References
    ----------
    T. Wang and P. Isola (2020), arXiv 2005.10242. E. Grassucci et al. (2026), arXiv 2601.18525.

    Examples
    --------
    >>> import torch
    >>> TruePairAlignment()(torch.eye(2), torch.eye(2).flip(0), 1.0).item()
    2.0
    """

    key = "true_pair_alignment_loss"

    def value(self, batch: Batch) -> Tensor:
        return batch.mean((batch.x - batch.y).square().sum(1).mean())
