"""Measures of the modality gap: one file for each group of measures, and `measure`, which computes all of them.

A new measure is a function in a new module of this package, under the decorator `metric`. The registry imports the
modules on first use. Modules that start with '_' define what measures share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.metrics._context import MAX_ROW_ITEMS, MetricContext, SecondMoment
from isthmus.metrics._evaluation import evaluate
from isthmus.metrics._measure import expand_alias, families, measure
from isthmus.metrics._metric import FAMILIES, Metric, metric, register, registry, unregister
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._subspaces import RandomAngles, Subspaces
from isthmus.utils.lazy import hinting_getter

__all__ = [
    "FAMILIES",
    "MAX_ROW_ITEMS",
    "Metric",
    "MetricContext",
    "PairedRows",
    "RandomAngles",
    "SecondMoment",
    "Subspaces",
    "evaluate",
    "expand_alias",
    "families",
    "measure",
    "metric",
    "register",
    "registry",
    "unregister",
]

if not TYPE_CHECKING:  # a type checker would then find every name
    __getattr__ = hinting_getter(__name__, __all__)
