"""Aligners: one file each, fitted to moments and judged on other pairs.

A new module in this folder is found without an edit of this file. Its aligner is `isthmus.align.NAME`, and `get`,
`registry`, `load` and the command line find it. Other packages register aligners by the entry point `isthmus.aligners`.
"""

from __future__ import annotations

from typing import Any

from isthmus.align._base import Aligner
from isthmus.align._combined_items import CombinedItems
from isthmus.align._drift import Drift, ModalityDrift
from isthmus.align._hit_model import Reliability
from isthmus.align._hits import Hits
from isthmus.align._maps import Affine, NormalizedAffine
from isthmus.align._registry import REGISTRY
from isthmus.align._relevance import Relevance
from isthmus.align._score_correction import ScoreCorrection
from isthmus.align._score_model import ScoreRule
from isthmus.align._self_judging import RecallWarning, SelfJudging
from isthmus.align._state import FittedState
from isthmus.align._statistics import Statistics
from isthmus.align.auto import Auto
from isthmus.align.bank_normalization import BankNormalization
from isthmus.align.blend import Blend
from isthmus.align.centering import Centering
from isthmus.align.csls import CSLS
from isthmus.align.difference_whitening import DifferenceWhitening
from isthmus.align.dimension_removal import DimensionRemoval
from isthmus.align.gap_projection import GapProjection
from isthmus.align.hyperplane_rotation import HyperplaneRotation
from isthmus.align.identity import Identity
from isthmus.align.inverted_softmax import InvertedSoftmax
from isthmus.align.kernel_blend import KernelBlend
from isthmus.align.mean_rotation import MeanRotation
from isthmus.align.orthogonal_shift import OrthogonalShift
from isthmus.align.partial_whitening import PartialWhitening
from isthmus.align.procrustes import Procrustes
from isthmus.align.realign import ReAlign
from isthmus.align.registration import get, load, register, registry, unregister
from isthmus.align.ridge_cca import RidgeCCA
from isthmus.align.ridge_map import RidgeMap
from isthmus.align.score_calibration import ScoreCalibration
from isthmus.align.score_standardization import ScoreStandardization
from isthmus.align.shared_signal import SharedSignal
from isthmus.align.shared_space_projection import SharedSpaceProjection
from isthmus.align.standardization import Standardization
from isthmus.align.translation import Translation
from isthmus.utils.errors import unknown_attribute

__all__ = [
    "CSLS",
    "Affine",
    "Aligner",
    "Auto",
    "BankNormalization",
    "Blend",
    "Centering",
    "CombinedItems",
    "DifferenceWhitening",
    "DimensionRemoval",
    "Drift",
    "FittedState",
    "GapProjection",
    "Hits",
    "HyperplaneRotation",
    "Identity",
    "InvertedSoftmax",
    "KernelBlend",
    "MeanRotation",
    "ModalityDrift",
    "NormalizedAffine",
    "OrthogonalShift",
    "PartialWhitening",
    "Procrustes",
    "ReAlign",
    "RecallWarning",
    "Relevance",
    "Reliability",
    "RidgeCCA",
    "RidgeMap",
    "ScoreCalibration",
    "ScoreCorrection",
    "ScoreRule",
    "ScoreStandardization",
    "SelfJudging",
    "SharedSignal",
    "SharedSpaceProjection",
    "Standardization",
    "Statistics",
    "Translation",
    "get",
    "load",
    "register",
    "registry",
    "unregister",
]


def __getattr__(name: str) -> Any:
    # Submodules are looked up before the registry imports them, so private and lower-case names never reach it.
    if name.startswith("_") or name.islower():
        raise unknown_attribute("isthmus.align", name, __all__)
    if name not in REGISTRY:
        raise unknown_attribute("isthmus.align", name, [*__all__, *REGISTRY])
    return REGISTRY[name]
