"""Pushing rows of one side apart, unless their items mean the same."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss


@loss(source="AlignCLIP: Eslami and de Melo 2025, arXiv 2406.17639", weight=0.5)
class IntraModalitySeparation(Loss):
    """Each row must find its partner among the other rows of its own side, in nats; the mean of both sides.

    Side x: -(1/n) sum_i log softmax_j(l_ij)_i with l_ii = s x_i.y_i and l_ij = s (1 - S_ij) x_i.x_j for j != i, where
    S_ij is the similarity of the items' meanings: the products of `semantic_features`, unit rows such as a sentence
    encoder's of the captions, given to the call (no gradient reaches them). Without them S = 0 and all rows are
    pushed. Range >= 0. Key `intra_modality_loss`; the source adds it to the mean of CLIP's directions with weight 0.5.

    >>> import torch
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> separation = IntraModalitySeparation()
    >>> same = separation(x, x, 1.0, semantic_features=x)
    >>> round(separation(x, x, 1.0).item(), 4), round(same.item(), 4)
    (0.6931, 0.3133)
    """

    key = "intra_modality_loss"

    def value(self, batch: Batch) -> Tensor:
        partner = batch.scale * (batch.x * batch.y).sum(1)
        factors = batch.scale
        if batch.semantic is not None:
            factors = batch.scale * (1 - batch.semantic @ batch.gather(batch.semantic).T)
        total = 0 * partner
        for rows, others in ((batch.x, batch.all_x), (batch.y, batch.all_y)):
            logits = factors * (rows @ others.T)
            batch.positives(logits).copy_(partner)
            total = total + logits.logsumexp(1) - partner
        return batch.mean(total.mean()) / 2
