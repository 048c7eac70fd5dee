"""Trials of a comparison (one aligner on one split), and the journal that stores finished ones."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, fields
from typing import Any

from isthmus.statistics.result import NAN
from isthmus.utils.format import json_number, number_from_json
from isthmus.utils.journal import Journal


@dataclass(frozen=True)
class Trial:
    """Result of one aligner on one split.

    Parameters
    ----------
    aligner : str
        Class name of the aligner.
    options : dict
        Options that differ from the defaults.
    split : int
        Number of the split.
    fit_pairs, test_pairs : int
        Numbers of pairs.
    fit_size : int, optional
        Number of fitting items, if it is varied.
    scores : dict of str to float
        Scores by name.
    changes : dict of str to tuple of float
        For each score of a task the difference from the raw embeddings and the variance of that difference. The
        variance comes from the items, and is NaN for a score whose error they do not show.
    group_sums : dict of str to list of int
        For each score with a variance the contributions of the items to its change, in thousandths of the standard
        error. They are summed over random groups of items, which are the same in all splits. The products of the sums
        of two splits show how far the items that both hold out move both.
    pair_sums : dict of str to list of int
        For scores that count items as stored rows, too, the contributions of pairs of a query and a stored row. They
        are summed over random groups of pairs, in the same unit. The products of `group_sums` count them twice.
    fit_effects : dict of str to tuple of float and list of int
        For some scores the variance that the fit adds to the change, and the effects of 16 groups of fitting items.
        They are in thousandths of the standard error from the items. The groups are unions of those of `group_sums`.
    selects_from_few_items : bool
        Whether the map selects directions with fewer fitting items than dimensions.
    gap : float
        Angle between the means in degrees, NaN if it is undefined.
    gap_undefined : str, optional
        Reason why the gap is undefined.
    notes : list of str
        Warnings of the fit, and the choice of an aligner that chooses.
    error : str, optional
        Reason why the aligner could not be fitted or evaluated.

    Examples
    --------
    >>> trial = Trial("Centering", {}, 0, 50, 50, scores={"R@1": 0.5})
    >>> Trial.from_dict(trial.to_dict()).scores
    {'R@1': 0.5}
    """

    aligner: str
    options: dict[str, Any]
    split: int
    fit_pairs: int
    test_pairs: int
    fit_size: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    changes: dict[str, tuple[float, float]] = field(default_factory=dict)
    group_sums: dict[str, list[int]] = field(default_factory=dict)
    pair_sums: dict[str, list[int]] = field(default_factory=dict)
    fit_effects: dict[str, tuple[float, list[int]]] = field(default_factory=dict)
    selects_from_few_items: bool = False
    gap: float = NAN
    gap_undefined: str | None = None
    notes: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, int | None, int]:
        """Return the key that identifies this trial in a run."""
        return (*self.summary_key, self.split)

    @property
    def summary_key(self) -> tuple[str, str, int | None]:
        """Return the key of the row of the table that this trial belongs to."""
        return summary_key(self.aligner, self.options, self.fit_size)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Fields by name, where NaN becomes None.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["scores"] = {name: json_number(v) for name, v in self.scores.items()}
        values["changes"] = {name: [json_number(v) for v in change] for name, change in self.changes.items()}
        return {**values, "gap": json_number(self.gap)}

    @classmethod
    def from_dict(cls, values: dict[str, Any], /) -> Trial:
        """Return the trial that `to_dict` wrote.

        Parameters
        ----------
        values : dict
            Result of `to_dict`.

        Returns
        -------
        Trial
            The trial.
        """
        values = dict(values, gap=number_from_json(values["gap"]))
        values["scores"] = {name: number_from_json(v) for name, v in values["scores"].items()}
        values["changes"] = {
            name: (number_from_json(a), number_from_json(b)) for name, (a, b) in values["changes"].items()
        }
        values["fit_effects"] = {name: (v, sums) for name, (v, sums) in values.get("fit_effects", {}).items()}
        return cls(**values)


def summary_key(aligner: str, options: dict[str, Any], fit_size: int | None) -> tuple[str, str, int | None]:
    """Return the key of a row of the table: aligner, options as JSON, number of fitting items."""
    return (aligner, json.dumps(options, sort_keys=True), fit_size)


class TrialLog(Journal):
    """Journal of finished trials, one JSON line each.

    Parameters
    ----------
    path : str or path-like
        File, which is created if it does not exist.
    run : dict
        Settings of the run. A journal of other settings is refused.

    Raises
    ------
    InputError
        If the file is not a journal of a comparison, or belongs to another run.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "run.jsonl"
    ...     TrialLog(path, {"rng": 0}).append(Trial("Centering", {}, 0, 50, 50))
    ...     [trial.aligner for trial in TrialLog(path, {"rng": 0}).trials.values()]
    ['Centering']
    """

    def __init__(self, path: str | os.PathLike[str], run: dict[str, Any], /):
        super().__init__(path, "compare", run)
        self.trials = {trial.key: trial for trial in map(Trial.from_dict, self.lines)}

    def append(self, trial: Trial, /) -> None:
        """Store a finished trial and write its line at once.

        Parameters
        ----------
        trial : Trial
            Finished trial.
        """
        self.trials[trial.key] = trial
        self.add(trial.to_dict())
