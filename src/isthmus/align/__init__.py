"""Post-hoc aligners: one file each, fitted from moments, judged on pairs that they have not seen."""

from __future__ import annotations

from isthmus.align._base import Affine, Aligner, get, load, registry
from isthmus.align.centering import Centering
from isthmus.align.hyperplane_rotation import HyperplaneRotation
from isthmus.align.identity import Identity
from isthmus.align.mean_rotation import MeanRotation
from isthmus.align.shared_space_projection import SharedSpaceProjection

__all__ = [
    "Affine",
    "Aligner",
    "Centering",
    "HyperplaneRotation",
    "Identity",
    "MeanRotation",
    "SharedSpaceProjection",
    "get",
    "load",
    "registry",
]
