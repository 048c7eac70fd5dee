"""Causal study of dimension collapse, the modality gap and the tasks.

A dual encoder of digits and captions is trained for every loss and temperature. It is trained with imposed collapse (a
rank limit and an angle between two subspaces), and with the alternative causes that other papers name. Every training
is measured on held-out pairs.
"""

from __future__ import annotations

from isthmus.studies.training.figures import write_figures
from isthmus.studies.training.grid import PARTS
from isthmus.studies.training.page import write_page
from isthmus.studies.training.results import StudyResult
from isthmus.studies.training.runner import run_study
from isthmus.studies.training.settings import REGIMES, Setting
from isthmus.studies.training.trainer import TrainingRun, train_setting

__all__ = [
    "PARTS",
    "REGIMES",
    "Setting",
    "StudyResult",
    "TrainingRun",
    "run_study",
    "train_setting",
    "write_figures",
    "write_page",
]
