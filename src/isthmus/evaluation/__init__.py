"""Aligners x tasks x splits: every map is fitted on some pairs and judged on others."""

from __future__ import annotations

from isthmus.evaluation.comparison import SAMPLE, compare, default_aligners
from isthmus.evaluation.grid import swept
from isthmus.evaluation.table import Cell, Comparison, Row, load_comparison, merge

__all__ = [
    "SAMPLE",
    "Cell",
    "Comparison",
    "Row",
    "compare",
    "default_aligners",
    "load_comparison",
    "merge",
    "swept",
]
