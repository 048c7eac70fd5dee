"""Explain the modality gap: cosine decomposition, collapse report, calibration and verdict."""

from typing import TYPE_CHECKING

from isthmus.diagnosis.calibration import Calibration
from isthmus.diagnosis.collapse import CollapseReport, report_collapse
from isthmus.diagnosis.cosine_decomposition import COMPONENTS, CosineDecomposition, decompose_cosine
from isthmus.diagnosis.cosine_histograms import calibrate
from isthmus.diagnosis.decomposition_intervals import decompose_pairs
from isthmus.diagnosis.explanation import Explanation, explain
from isthmus.diagnosis.hypotheses import Hypothesis, Prediction
from isthmus.diagnosis.modalities import Modalities
from isthmus.diagnosis.model_table import ModelComparison
from isthmus.diagnosis.models import compare_models
from isthmus.diagnosis.pairwise_results import PairwiseResults
from isthmus.diagnosis.recommendation import best_row, best_row_map
from isthmus.diagnosis.verdict_sentences import retrieval_at_chance, verdict
from isthmus.utils.lazy import hinting_getter

__all__ = [
    "COMPONENTS",
    "Calibration",
    "CollapseReport",
    "CosineDecomposition",
    "Explanation",
    "Hypothesis",
    "Modalities",
    "ModelComparison",
    "PairwiseResults",
    "Prediction",
    "best_row",
    "best_row_map",
    "calibrate",
    "compare_models",
    "decompose_cosine",
    "decompose_pairs",
    "explain",
    "report_collapse",
    "retrieval_at_chance",
    "verdict",
]

if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter(__name__, __all__)
