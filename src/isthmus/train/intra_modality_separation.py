"""Separation of the rows of one modality, unless their items have similar meanings."""

from __future__ import annotations

from torch import Tensor

from isthmus.train._base import Loss
from isthmus.train._batch import Batch
from isthmus.train._registry import loss


@loss(source="AlignCLIP: Eslami and de Melo 2025, arXiv 2406.17639", weight=0.5)
class IntraModalitySeparation(Loss):
    """Contrast each matching pair with the other rows of the same modality.

    Pass `semantic_features` to the call, such as unit rows of a sentence encoder of the captions. Their products are
    the similarities S_ij of the items. No gradient flows into them. Without them S = 0 and all rows are pushed apart.

    Notes
    -----
    The value for x is -(1/n) sum_i log softmax_j(l_ij)_i in nats, with l_ii = s x_i.y_i and
    l_ij = s (1 - S_ij) x_i.x_j for j != i. The loss is the mean over both modalities. The source adds it with weight
    0.5 to the mean of CLIP's directions. The range is >= 0 and the key is `intra_modality_loss`.

    References
    ----------
    S. Eslami and G. de Melo (2025), arXiv 2406.17639.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> separation = IntraModalitySeparation()
    >>> similar = separation(x, x, 1.0, semantic_features=x)
    >>> round(separation(x, x, 1.0).item(), 4), round(similar.item(), 4)
    (0.6931, 0.3133)
    """

    key = "intra_modality_loss"

    def value(self, batch: Batch) -> Tensor:
        positives = batch.scale * (batch.x * batch.y).sum(1)
        factors = batch.scale
        if batch.semantic is not None:
            factors = batch.scale * (1 - batch.semantic @ batch.gather(batch.semantic).T)
        total = 0 * positives
        for rows, all_rows in ((batch.x, batch.all_x), (batch.y, batch.all_y)):
            logits = factors * (rows @ all_rows.T)
            batch.positives(logits).copy_(positives)
            total = total + logits.logsumexp(1) - positives
        return batch.mean(total.mean()) / 2
