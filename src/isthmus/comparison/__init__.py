"""Aligners x tasks x splits: every map is fitted on some pairs and judged on others."""

from __future__ import annotations

from isthmus.comparison.run import SAMPLE, compare, default_aligners
from isthmus.comparison.sweep import swept
from isthmus.comparison.table import Cell, Comparison, Row, load_comparison, merge

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
