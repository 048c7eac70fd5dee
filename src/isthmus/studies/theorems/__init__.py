"""The statements of the theory as experiments: predicted, measured, verdict.

A new statement is one file in this folder with functions marked `@experiment(...)`.

>>> list(experiments())[:3]
['theorem_1', 'theorem_2', 'theorem_3']
"""

from __future__ import annotations

from isthmus.studies.theorems._experiment import (
    Experiment,
    ExperimentResult,
    Row,
    experiment,
    experiments,
    run,
)
from isthmus.studies.theorems.page import collect, run_all, write

__all__ = ["Experiment", "ExperimentResult", "Row", "collect", "experiment", "experiments", "run", "run_all", "write"]
