"""Post-hoc aligners: one file each, fitted from moments, judged on pairs that they have not seen."""

from __future__ import annotations

from isthmus.align._base import Affine, Aligner, NormalizedAffine, get, load, register, registry, unregister
from isthmus.align.auto import Auto
from isthmus.align.blend import Blend
from isthmus.align.centering import Centering
from isthmus.align.difference_whitening import DifferenceWhitening
from isthmus.align.dimension_removal import DimensionRemoval
from isthmus.align.gap_projection import GapProjection
from isthmus.align.hyperplane_rotation import HyperplaneRotation
from isthmus.align.identity import Identity
from isthmus.align.kernel_blend import KernelBlend
from isthmus.align.mean_rotation import MeanRotation
from isthmus.align.orthogonal_shift import OrthogonalShift
from isthmus.align.partial_whitening import PartialWhitening
from isthmus.align.procrustes import Procrustes
from isthmus.align.realign import ReAlign
from isthmus.align.ridge_cca import RidgeCCA
from isthmus.align.ridge_map import RidgeMap
from isthmus.align.score_standardization import ScoreStandardization
from isthmus.align.shared_signal import SharedSignal
from isthmus.align.shared_space_projection import SharedSpaceProjection
from isthmus.align.standardization import Standardization
from isthmus.align.translation import Translation

__all__ = [
    "Affine",
    "Aligner",
    "Auto",
    "Blend",
    "Centering",
    "DifferenceWhitening",
    "DimensionRemoval",
    "GapProjection",
    "HyperplaneRotation",
    "Identity",
    "KernelBlend",
    "MeanRotation",
    "NormalizedAffine",
    "OrthogonalShift",
    "PartialWhitening",
    "Procrustes",
    "ReAlign",
    "RidgeCCA",
    "RidgeMap",
    "ScoreStandardization",
    "SharedSignal",
    "SharedSpaceProjection",
    "Standardization",
    "Translation",
    "get",
    "load",
    "register",
    "registry",
    "unregister",
]
