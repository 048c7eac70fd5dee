"""The table of a comparison, its files, and merging of several runs."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.evaluation.summary import Summary, pool_trials
from isthmus.evaluation.trial import Trial
from isthmus.statistics.result import NAN
from isthmus.utils.errors import InputError
from isthmus.utils.files import FORMAT_VERSION, atomic_path
from isthmus.utils.validation import check_readable
from isthmus.utils.version import __version__

_EXPECTED = "a comparison written by `isthmus compare X Y -o run.json`"
_CSV_HEADER = (
    "data", "fit_pairs", "test_pairs", "splits", "aligner", "fit_items", "score", "better", "value", "change", "low",
    "high", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """The table of `isthmus.compare`.

    Parameters
    ----------
    rows : list of Summary
        One row for each aligner, Identity (the raw embeddings) first.
    n_fit, n_test : int
        Numbers of pairs.
    splits : int
        Number of splits.
    trials : list of Trial
        Every aligner on every split.
    data : dict
        Names, files, sizes and fingerprint of the pairs.
    settings : dict
        Arguments of the run.
    better : dict of str to str
        Direction of each score: 'higher', 'lower' or 'neither'.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1)
    >>> [row.name for row in table.rows]
    ['Identity', 'Centering']
    >>> table["Centering"].scores["gap_distance"].value < table["Identity"].scores["gap_distance"].value
    True
    """

    rows: list[Summary]
    n_fit: int
    n_test: int
    splits: int
    trials: list[Trial] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_trials(
        cls, trials: Sequence[Trial], /, *, data: dict[str, Any], settings: dict[str, Any], better: dict[str, str]
    ) -> Comparison:
        """Pool the trials of one run into rows.

        Parameters
        ----------
        trials : sequence of Trial
            Every aligner on every split.
        data : dict
            Description of the pairs.
        settings : dict
            Arguments of the run.
        better : dict of str to str
            Direction of each score.

        Returns
        -------
        Comparison
            The table, in the order of the first trials.
        """
        groups: dict[Any, list[Trial]] = {}
        for trial in trials:
            groups.setdefault(trial.summary_key, []).append(trial)
        rows = [pool_trials(group, data.get("name", "")) for group in groups.values()]
        first = next((trial for trial in trials if trial.fit_size is None), trials[0])
        splits = len({trial.split for trial in trials})
        return cls(rows, first.fit_pairs, first.test_pairs, splits, list(trials), data, settings, better)

    def __getitem__(self, name: str) -> Summary:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no aligner {name!r} in this table; it has {', '.join(row.name for row in self.rows)}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values.

        Returns
        -------
        dict
            Content of `to_json`.
        """
        return {
            "format": FORMAT_VERSION,
            "kind": "comparison",
            "version": __version__,
            "data": self.data,
            "settings": self.settings,
            "n_fit": self.n_fit,
            "n_test": self.n_test,
            "splits": self.splits,
            "better": self.better,
            "rows": [
                {
                    "aligner": row.name,
                    "scores": {name: estimate.to_dict() for name, estimate in row.scores.items()},
                    "changes": {name: estimate.to_dict() for name, estimate in row.changes.items()},
                    "notes": row.notes,
                }
                for row in self.rows
            ],
            "trials": [trial.to_dict() for trial in self.trials],
        }

    def to_json(self) -> str:
        """Return the table and its trials as JSON.

        Returns
        -------
        str
            Valid JSON. Absent and undefined numbers are null.
        """
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_csv(self) -> str:
        """Return one line for each aligner and score.

        Returns
        -------
        str
            CSV with a header: value, change from the raw embeddings, and its 95 % interval.
        """
        return to_csv([self])

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Write the table as JSON, or as CSV if the name ends in .csv.

        Parameters
        ----------
        path : str or path-like
            File to write atomically.
        """
        file_text = self.to_csv() if str(path).lower().endswith(".csv") else self.to_json() + "\n"
        with atomic_path(path) as temporary:
            temporary.write_text(file_text, encoding="utf-8")


def load_comparison(path: str | os.PathLike[str], /) -> Comparison:
    """Read a comparison that `Comparison.save` wrote as JSON.

    Parameters
    ----------
    path : str or path-like
        JSON file.

    Returns
    -------
    Comparison
        The table.

    Raises
    ------
    InputError
        If the file does not exist, is not JSON, holds something else, or has a newer format.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table.save(pathlib.Path(folder) / "run.json")
    ...     load_comparison(pathlib.Path(folder) / "run.json").to_json() == table.to_json()
    True
    """
    path = check_readable(path, _EXPECTED)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        raise InputError(f"{path}: not valid JSON; expected {_EXPECTED}") from None
    if not isinstance(content, dict) or content.get("kind") != "comparison":
        raise InputError(f"{path}: not a comparison; expected {_EXPECTED}")
    if content["format"] > FORMAT_VERSION:
        versions = f"has format {content['format']}, this version reads up to {FORMAT_VERSION}"
        raise InputError(f"{path}: {versions}; update isthmus")
    trials = [Trial.from_dict(trial) for trial in content["trials"]]
    return Comparison.from_trials(trials, data=content["data"], settings=content["settings"], better=content["better"])


def merge(runs: Sequence[Comparison], /) -> list[Comparison]:
    """Merge runs of the same pairs and settings into one table each.

    Parameters
    ----------
    runs : sequence of Comparison
        Comparisons. If several runs hold a trial, the one of the first run counts.

    Returns
    -------
    list of Comparison
        One table for each set of pairs and settings, in the order of the runs.

    Raises
    ------
    InputError
        If there is no run.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1)
    >>> other = isthmus.compare(pairs, aligners=["MeanRotation"], tasks=["retrieval"], splits=1)
    >>> [[row.name for row in merged.rows] for merged in merge([table, other])]
    [['Identity', 'Centering', 'MeanRotation']]
    """
    if not runs:
        raise InputError("nothing to merge: give one comparison or more")
    groups: dict[str, list[Comparison]] = {}
    for run in runs:
        groups.setdefault(json.dumps([run.data.get("fingerprint"), run.settings], sort_keys=True), []).append(run)
    merged = []
    for group in groups.values():
        trials: dict[Any, Trial] = {}
        for trial in (trial for run in group for trial in run.trials):
            trials.setdefault(trial.key, trial)
        better = {name: direction for run in group for name, direction in run.better.items()}
        first = group[0]
        merged.append(
            Comparison.from_trials(list(trials.values()), data=first.data, settings=first.settings, better=better)
        )
    return merged


def to_csv(tables: Sequence[Comparison], /) -> str:
    """Return one or more comparisons as one long CSV table.

    Parameters
    ----------
    tables : sequence of Comparison
        Comparisons.

    Returns
    -------
    str
        One line for each aligner and score, after a header. The columns `fit_pairs`, `test_pairs` and `splits` belong
        to the comparison, and distinguish runs on the same data.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1)
    >>> to_csv([table]).splitlines()[0][:40]
    'data,fit_pairs,test_pairs,splits,aligner'
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_CSV_HEADER)
    for table in tables:
        for row in table.rows:
            for line in _csv_lines(row, table.better):
                writer.writerow((row.data, table.n_fit, table.n_test, table.splits, *line))
    return buffer.getvalue()


def _csv_lines(row: Summary, better: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    """Yield the columns from `aligner` on."""
    aligner = (row.label, "" if row.fit_size is None else row.fit_size)
    if not row.scores:
        yield (*aligner, "", "", "", "", "", "", "; ".join(row.notes))
    for name, score in row.scores.items():
        change = row.changes.get(name)
        numbers = [score.value] + ([change.value, change.low, change.high] if change else [NAN] * 3)
        note = score.undefined or (change.note if change else "")
        yield (
            *aligner, name, better.get(name, ""), *("" if math.isnan(v) else repr(float(v)) for v in numbers), note,
        )  # fmt: skip
