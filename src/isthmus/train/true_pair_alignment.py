"""How far partners lie from each other."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss


@loss(source="Wang and Isola 2020, arXiv 2005.10242; ModGap: Grassucci et al. 2026, arXiv 2601.18525")
class TruePairAlignment(Loss):
    """The mean squared distance of partners, A = (1/n) sum_i |x_i - y_i|^2; for unit rows 2 - 2 mean x_i.y_i.

    Range [0, 4] for unit rows. Key `true_pair_alignment_loss`. It knows no negatives: alone it collapses everything
    into one point, so add it to a contrastive loss.

    >>> import torch
    >>> TruePairAlignment()(torch.eye(2), torch.eye(2).flip(0), 1.0).item()
    2.0
    """

    key = "true_pair_alignment_loss"

    def value(self, batch: Batch) -> Tensor:
        return batch.mean((batch.x - batch.y).square().sum(1).mean())
