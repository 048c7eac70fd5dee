"""Aligners x tasks x splits: every map is fitted on some pairs and judged on others."""

from __future__ import annotations

from isthmus.evaluation.comparison import SAMPLE, compare, default_aligners
from isthmus.evaluation.grid import expand_grid
from isthmus.evaluation.table import Comparison, Summary, Trial, load_comparison, merge

__all__ = [
    "SAMPLE",
    "Comparison",
    "Summary",
    "Trial",
    "compare",
    "default_aligners",
    "expand_grid",
    "load_comparison",
    "merge",
]
