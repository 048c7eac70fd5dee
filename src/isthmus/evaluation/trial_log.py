"""The journal of a comparison: its finished trials."""

from __future__ import annotations

import os
from typing import Any

from isthmus.evaluation.table import Trial
from isthmus.utils.journal import Journal


class TrialLog(Journal):
    """Finished trials at `path` by key; see `Journal`."""

    def __init__(self, path: str | os.PathLike[str], run: dict[str, Any]):
        super().__init__(path, "compare", run)
        self.trials = {trial.key: trial for trial in map(Trial.from_dict, self.lines)}

    def append(self, trial: Trial) -> None:
        """Keep `trial` and write its line at once."""
        self.trials[trial.key] = trial
        self.add(trial.to_dict())
