"""CUAXU: CUA with uniformity across the sides."""

from __future__ import annotations

from isthmus.train._base import Sum
from isthmus.train._registry import loss
from isthmus.train.cross_uniformity import CrossUniformity
from isthmus.train.cua import CUA


@loss(source="Fahim, Murphy and Fyshe 2024, arXiv 2405.18570", standalone=True)
class CUAXU(Sum):
    """`CUA` + `cross_uniformity` * `CrossUniformity`, weights 1 in the source.

    >>> import torch
    >>> len(CUAXU()(torch.eye(3), torch.eye(3), 1.0, output_dict=True))
    4
    """

    def __init__(self, *, uniformity: float = 1.0, alignment: float = 1.0, cross_uniformity: float = 1.0) -> None:
        super().__init__(CUA(uniformity=uniformity, alignment=alignment), CrossUniformity() * cross_uniformity)
