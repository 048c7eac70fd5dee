"""The causal experiment: does dimension collapse make the gap, and what do the tasks feel?

The digits dual encoder is trained for every loss and temperature, for doses of imposed collapse (a rank limit and an
angle between two subspaces), and for what rival explanations name, and is watched on the way.
"""

from __future__ import annotations

from isthmus.train.experiment import figures
from isthmus.train.experiment.collect import collect
from isthmus.train.experiment.outcome import Outcome
from isthmus.train.experiment.page import write_page
from isthmus.train.experiment.plan import PARTS
from isthmus.train.experiment.settings import REGIMES, Setting
from isthmus.train.experiment.trainer import Run, train

__all__ = ["PARTS", "REGIMES", "Outcome", "Run", "Setting", "collect", "figures", "train", "write_page"]
