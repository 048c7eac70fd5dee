"""CUAXU: CUA with uniformity between the modalities."""

from __future__ import annotations

from isthmus.train._base import Sum
from isthmus.train._registry import loss
from isthmus.train.cross_uniformity import CrossUniformity
from isthmus.train.cua import CUA


@loss(source="Fahim, Murphy and Fyshe 2024, arXiv 2405.18570", standalone=True)
class CUAXU(Sum):
    """Add `CUA` and `CrossUniformity`.

    Parameters
    ----------
    uniformity : float, default 1.0
        Weight of `Uniformity`, 1 in the source.
    alignment : float, default 1.0
        Weight of `TruePairAlignment`, 1 in the source.
    cross_uniformity : float, default 1.0
        Weight of `CrossUniformity`, 1 in the source.

    Notes
    -----
    L = `CUA` + `cross_uniformity` XU. The terms have the keys of their classes.

    References
    ----------
    A. Fahim, A. Murphy and A. Fyshe (2024), arXiv 2405.18570.

    Examples
    --------
    >>> import torch
    >>> len(CUAXU()(torch.eye(3), torch.eye(3), 1.0, output_dict=True))
    4
    """

    def __init__(self, *, uniformity: float = 1.0, alignment: float = 1.0, cross_uniformity: float = 1.0) -> None:
        super().__init__(CUA(uniformity=uniformity, alignment=alignment), CrossUniformity() * cross_uniformity)
