"""The table of a comparison, its files, and merging of several runs."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from isthmus.evaluation.summary import Summary, missing_intervals, pool_trials
from isthmus.evaluation.trial import Trial
from isthmus.statistics.result import NAN, Estimate
from isthmus.tasks import registry
from isthmus.utils.errors import InputError
from isthmus.utils.files import FORMAT_VERSION
from isthmus.utils.format import column_numbers, counted, sample_words, with_interval
from isthmus.utils.paths import check_readable
from isthmus.utils.tabular import Tabular, read_result
from isthmus.utils.version import __version__

_EXPECTED = "a comparison written by `isthmus compare X Y -o run.json`"
_COLUMNS = (
    "data", "fit_pairs", "test_pairs", "splits", "aligner", "fit_items", "score", "better", "value", "change", "low",
    "high", "note",
)  # fmt: skip
#: A modality in the name or the definition of a score: x or y as a word, or after '_' at the end.
_MODALITY = re.compile(r"(?<![^\W_])[xy](?!\w)")
#: Scores that the text of a comparison shows.
REPR_SCORES = ("R@1", "exchange_R@1", "mixed_R@1")


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Tabular):
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

    kind: ClassVar[str] = "comparison"

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
        reason = data.get("no_interval")
        name, n_items = data.get("name", ""), data.get("independent_items", data.get("items"))
        rows = [pool_trials(group, name, no_interval=reason, n_items=n_items) for group in groups.values()]
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

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], /) -> Comparison:
        """Return the comparison that `save` wrote as JSON.

        Parameters
        ----------
        content : mapping
            Content of the JSON file.

        Returns
        -------
        Comparison
            The table.
        """
        trials = [Trial.from_dict(trial) for trial in content["trials"]]
        return cls.from_trials(trials, data=content["data"], settings=content["settings"], better=content["better"])

    def columns(self) -> dict[str, list[Any]]:
        """Return one row for each aligner and score.

        Returns
        -------
        dict of str to list
            Data, sizes, aligner, score, its better direction, its value, the change from the raw embeddings with its
            95 % interval, and a note.
        """
        return columns_of([self])

    @property
    def sample_words(self) -> str:
        """Return 'a random sample of 10,000 of 20,000 items', or nothing if all items are compared."""
        return sample_words(self.data["items"], self.data["sampled_from"]) if "sampled_from" in self.data else ""

    @property
    def main_scores(self) -> list[str]:
        """Return the main scores of the tasks that were run."""
        known = registry()
        of_tasks = [
            score for task in self.settings.get("tasks", ()) if task in known for score in known[task].main_scores
        ]
        computed = next((row.scores for row in self.rows if row.scores), {})
        return [score for score in of_tasks if score in computed]

    def with_names(self, text: str, /) -> str:
        """Return the name or the definition of a score with the names of the modalities in place of x and y.

        Parameters
        ----------
        text : str
            Name of a score, such as 'hnsw_x', or its definition.

        Returns
        -------
        str
            The text for a reader, such as 'hnsw_image'. Files keep the name with x or y.
        """
        names = dict(zip("xy", self.data.get("names", "xy"), strict=True))
        return _MODALITY.sub(lambda match: names[match[0]], text)

    def display_columns(self) -> dict[str, list[Any]]:
        """Return one row for each aligner: gap, distance of the means, main scores and their changes.

        Returns
        -------
        dict of str to list
            Texts and numbers. The columns of `columns` hold all scores.
        """
        absent = Estimate(NAN)
        shown: dict[str, list[Any]] = {
            "aligner": [row.name for row in self.rows],
            "gap (degrees)": [row.scores.get("gap", absent).value for row in self.rows],
            "distance": [row.scores.get("gap_distance", absent).value for row in self.rows],
        }
        for score in self.main_scores:
            changes = [row.changes.get(score, absent) for row in self.rows]
            title = self.with_names(score)
            shown[title] = [row.scores.get(score, absent).value for row in self.rows]
            shown[f"change of {title}"] = [
                "" if row.name == "Identity" else with_interval(e.value, e.low, e.high, sign=True)
                for row, e in zip(self.rows, changes, strict=True)
            ]
        reasons = ["; ".join(f"no interval: {r}" for r in missing_intervals([row], self.main_scores)) for row in self]
        failures = ["" if row.scores else "; ".join(row.notes).partition(":")[0] for row in self]
        return {**shown, "note": [reason or failure for reason, failure in zip(reasons, failures, strict=True)]}

    def __iter__(self) -> Iterator[Summary]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        sizes = f"{counted(self.n_fit, 'pair')} to fit, {self.n_test:,} to test, splits: {self.splits}"
        heading = f"Comparison of {len(self.rows)} aligners, {sizes}"
        scores = list(dict.fromkeys(name for row in self.rows for name in row.changes))
        shown = [name for name in REPR_SCORES if name in scores] or scores[:3]
        width = max((len(row.name) for row in self.rows), default=0)
        lines = [f"  {'':{width}}  " + "  ".join(shown)]
        columns = [column_numbers(row.scores.get(name, Estimate(NAN)).value for row in self.rows) for name in shown]
        for row, *cells in zip(self.rows, *columns, strict=True):
            lines.append(f"  {row.name:{width}}  " + "  ".join(map(str.rjust, cells, map(len, shown))))
        return "\n".join([heading, *lines])


def load_comparison(path: str | os.PathLike[str], /) -> Comparison:
    """Read a comparison that `Comparison.save` wrote as JSON, and nothing else. `isthmus.load` reads every result.

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
    comparison: Comparison = read_result(check_readable(path, _EXPECTED), {Comparison.kind: Comparison}, _EXPECTED)
    return comparison


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
    columns = columns_of(tables)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for line in zip(*columns.values(), strict=True):
        writer.writerow("" if isinstance(cell, float) and math.isnan(cell) else cell for cell in line)
    return buffer.getvalue()


def columns_of(tables: Sequence[Comparison], /) -> dict[str, list[Any]]:
    """Return the rows of one or more comparisons as columns, as in `to_csv`."""
    lines = [
        (row.data, table.n_fit, table.n_test, table.splits, *line)
        for table in tables
        for row in table.rows
        for line in _lines(row, table.better)
    ]
    return {title: [line[i] for line in lines] for i, title in enumerate(_COLUMNS)}


def _lines(row: Summary, better: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    """Yield the columns from `aligner` on."""
    aligner = (row.label, row.fit_size)
    if not row.scores:
        yield (*aligner, "", "", NAN, NAN, NAN, NAN, "; ".join(row.notes))
    for name, score in row.scores.items():
        change = row.changes.get(name)
        numbers = [score.value] + ([change.value, change.low, change.high] if change else [NAN] * 3)
        note = score.undefined or (change.note if change else "")
        yield (*aligner, name, better.get(name, ""), *map(float, numbers), note)
