"""CUA: contrast, uniformity and alignment."""

from __future__ import annotations

from isthmus.train._base import Sum
from isthmus.train._registry import loss
from isthmus.train.info_nce import InfoNCE
from isthmus.train.true_pair_alignment import TruePairAlignment
from isthmus.train.uniformity import Uniformity


@loss(source="Fahim, Murphy and Fyshe 2024, arXiv 2405.18570", standalone=True)
class CUA(Sum):
    """Add `InfoNCE`, `Uniformity` and `TruePairAlignment`.

    Parameters
    ----------
    uniformity : float, default 1.0
        Weight of the mean uniformity of both modalities, (U_x + U_y)/2, 1 in the source.
    alignment : float, default 1.0
        Weight of the alignment A, 1 in the source.

    Notes
    -----
    L = InfoNCE (mean of both directions) + `uniformity` (U_x + U_y)/2 + `alignment` A. The terms have the keys of
    their classes.

    References
    ----------
    A. Fahim, A. Murphy and A. Fyshe (2024), arXiv 2405.18570.

    Examples
    --------
    >>> import torch
    >>> sorted(CUA()(torch.eye(3), torch.eye(3), 1.0, output_dict=True))
    ['contrastive_loss', 'true_pair_alignment_loss', 'uniformity_loss']
    """

    def __init__(self, *, uniformity: float = 1.0, alignment: float = 1.0) -> None:
        super().__init__(InfoNCE(), Uniformity() * uniformity, TruePairAlignment() * alignment)
