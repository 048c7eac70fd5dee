"""The causal experiment: does dimension collapse make the gap, and what do the tasks feel?

The digits dual encoder is trained for every loss and temperature, for doses of imposed collapse (a rank limit and an
angle between two subspaces), and for what rival explanations name, and is watched on the way.
"""

from __future__ import annotations

from isthmus.studies.training import figures
from isthmus.studies.training.collect import collect
from isthmus.studies.training.grid import PARTS
from isthmus.studies.training.page import write_page
from isthmus.studies.training.results import StudyResult
from isthmus.studies.training.settings import REGIMES, Setting
from isthmus.studies.training.trainer import Run, train

__all__ = ["PARTS", "REGIMES", "Run", "Setting", "StudyResult", "collect", "figures", "train", "write_page"]
