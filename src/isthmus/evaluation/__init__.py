"""Evaluation on held-out pairs: aligners x tasks x splits, and interventions on the gap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.evaluation.comparison import MAX_ITEMS, compare, default_aligners
from isthmus.evaluation.grid import expand_grid
from isthmus.evaluation.held_out import check_disjoint, fingerprint, group_split
from isthmus.evaluation.intervention_curve import INTERVENTIONS, InterventionCurve, InterventionPoint
from isthmus.evaluation.interventions import apply_intervention, intervene
from isthmus.evaluation.shared_space import count_shared_dimensions, shared_alignment, shared_basis
from isthmus.evaluation.summary import Summary
from isthmus.evaluation.table import Comparison, load_comparison, merge, to_csv
from isthmus.evaluation.trial import Trial, TrialLog
from isthmus.evaluation.zero_shot_report import ZeroShotReport, evaluate_zero_shot
from isthmus.utils.lazy import hinting_getter

__all__ = [
    "INTERVENTIONS",
    "MAX_ITEMS",
    "Comparison",
    "InterventionCurve",
    "InterventionPoint",
    "Summary",
    "Trial",
    "TrialLog",
    "ZeroShotReport",
    "apply_intervention",
    "check_disjoint",
    "compare",
    "count_shared_dimensions",
    "default_aligners",
    "evaluate_zero_shot",
    "expand_grid",
    "fingerprint",
    "group_split",
    "intervene",
    "load_comparison",
    "merge",
    "shared_alignment",
    "shared_basis",
    "to_csv",
]

if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter(__name__, __all__)
