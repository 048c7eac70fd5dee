"""The table of a comparison: trials (one aligner on one split), and rows that pool them."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from isthmus.align import Aligner, get
from isthmus.statistics.intervals import Z95
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.errors import InputError
from isthmus.utils.files import FORMAT_VERSION, atomic_path
from isthmus.utils.validation import check_readable
from isthmus.utils.version import __version__


@dataclass(frozen=True)
class Trial:
    """One aligner on one split.

    `scores` by name; `changes` are (difference to the raw embeddings, its variance): per item for scores that are means
    over items, NaN variance for the others. `gap` is the angle between the means in degrees, NaN with the reason in
    `gap_undefined`. `error` says why the aligner could not be fitted, or is None.
    """

    aligner: str
    options: dict[str, Any]
    split: int
    fit_pairs: int
    test_pairs: int
    fit_size: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    changes: dict[str, tuple[float, float]] = field(default_factory=dict)
    gap: float = NAN
    gap_undefined: str | None = None
    notes: list[str] = field(default_factory=list)
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, int | None, int]:
        """What tells this trial from the others of a run."""
        return (*self.summary_key, self.split)

    @property
    def summary_key(self) -> tuple[str, str, int | None]:
        """The row of the table that this trial belongs to."""
        return (self.aligner, json.dumps(self.options, sort_keys=True), self.fit_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; NaN becomes None."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found["scores"] = {name: _plain(v) for name, v in self.scores.items()}
        found["changes"] = {name: [_plain(v) for v in pair] for name, pair in self.changes.items()}
        return {**found, "gap": _plain(self.gap)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Trial:
        """The trial that `to_dict` wrote."""
        found = dict(found, gap=_number(found["gap"]))
        found["scores"] = {name: _number(v) for name, v in found["scores"].items()}
        found["changes"] = {name: (_number(a), _number(b)) for name, (a, b) in found["changes"].items()}
        return cls(**found)


@dataclass(frozen=True)
class Summary:
    """One aligner on the test pairs, mean over splits.

    `scores` by name: 'gap' (degrees, undefined when the means vanish), 'gap_distance' (between the means),
    'paired_cosine', 'ceiling' (the largest mean cosine that any pairing of these clouds could have) and
    'ceiling_reached' (the share of it), and those of the tasks ('R@1', 'mixed_R@1', 'mixed_NDCG@10',
    'same_modality_share' ...). `changes` are the differences to Identity with 95 % intervals. `notes` say what went
    wrong. `fit_size` is the number of fitting items where that was varied. `data` names the pairs in a merged table.
    """

    aligner: Aligner
    scores: dict[str, Estimate]
    changes: dict[str, Estimate]
    notes: list[str] = field(default_factory=list)
    fit_size: int | None = None
    data: str = ""

    @property
    def name(self) -> str:
        """The class name with the options that are not defaults, and the number of fitting items if it was varied."""
        options = [f"{name}={value!r}" for name, value in own_options(self.aligner).items()]
        size = "" if self.fit_size is None else f" on {self.fit_size} items"
        return type(self.aligner).__name__ + (f"({', '.join(options)})" if options else "") + size


@dataclass(frozen=True)
class Comparison:
    """The table of `compare`: `rows` in the order of the aligners, Identity first.

    `trials` hold every split, `data` where the pairs come from, `settings` how the runs were made, and `better` for
    each score 'higher', 'lower' or 'neither'.
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
        cls, trials: Sequence[Trial], *, data: dict[str, Any], settings: dict[str, Any], better: dict[str, str]
    ) -> Comparison:
        """Pool the trials of one run into rows."""
        groups: dict[Any, list[Trial]] = {}
        for trial in trials:
            groups.setdefault(trial.summary_key, []).append(trial)
        rows = [_pooled(group, data.get("name", "")) for group in groups.values()]
        whole = [trial for trial in trials if trial.fit_size is None] or list(trials)
        splits = len({trial.split for trial in trials})
        return cls(rows, whole[0].fit_pairs, whole[0].test_pairs, splits, list(trials), data, settings, better)

    def __getitem__(self, name: str) -> Summary:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no aligner {name!r} in this table; it has {', '.join(row.name for row in self.rows)}")

    def to_dict(self) -> dict[str, Any]:
        """The content of `to_json` as plain Python values."""
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
                    "scores": {name: e.to_dict() for name, e in row.scores.items()},
                    "changes": {name: e.to_dict() for name, e in row.changes.items()},
                    "notes": row.notes,
                }
                for row in self.rows
            ],
            "trials": [trial.to_dict() for trial in self.trials],
        }

    def to_json(self) -> str:
        """Valid JSON: numbers that are absent or undefined are null."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_csv(self) -> str:
        """One line for each aligner and score: value, change against the raw embeddings, its 95 % interval."""
        return to_csv([self])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write JSON, or CSV when `path` ends in .csv; the file appears whole or not at all."""
        text = self.to_csv() if str(path).lower().endswith(".csv") else self.to_json() + "\n"
        with atomic_path(path) as part:
            part.write_text(text, encoding="utf-8")


def load_comparison(path: str | os.PathLike[str]) -> Comparison:
    """The comparison that `Comparison.save` wrote as JSON. Errors: `InputError` when it is something else."""
    path = check_readable(path, "a comparison written by `isthmus compare X Y -o run.json`")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        raise InputError(f"{path}: is no JSON; expected a file written by `isthmus compare X Y -o run.json`") from None
    if not isinstance(found, dict) or found.get("kind") != "comparison":
        raise InputError(f"{path}: holds no comparison; expected a file written by `isthmus compare X Y -o run.json`")
    if found["format"] > FORMAT_VERSION:
        raise InputError(
            f"{path}: has format {found['format']}, this version reads up to {FORMAT_VERSION}; update isthmus"
        )
    trials = [Trial.from_dict(trial) for trial in found["trials"]]
    return Comparison.from_trials(trials, data=found["data"], settings=found["settings"], better=found["better"])


def merge(runs: Sequence[Comparison], /) -> list[Comparison]:
    """Runs of the same pairs and settings become one table; others stay apart, in order.

    A trial that several runs hold counts once. Errors: `InputError` when there is no run.
    """
    if not runs:
        raise InputError("nothing to merge: give one comparison or more")
    groups: dict[str, list[Comparison]] = {}
    for run in runs:
        groups.setdefault(json.dumps([run.data.get("fingerprint"), run.settings], sort_keys=True), []).append(run)
    merged = []
    for group in groups.values():
        trials = {trial.key: trial for run in reversed(group) for trial in run.trials}
        in_order = {trial.key: None for run in group for trial in run.trials}
        better = {name: direction for run in group for name, direction in run.better.items()}
        merged.append(
            Comparison.from_trials(
                [trials[key] for key in in_order], data=group[0].data, settings=group[0].settings, better=better
            )
        )
    return merged


def to_csv(tables: Sequence[Comparison]) -> str:
    """The long table of one or more comparisons as CSV with a header; `fit_pairs`, `test_pairs` and `splits` are those
    of the comparison, and tell runs on the same data apart."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("data", "fit_pairs", "test_pairs", "splits", "aligner", "fit_items", "score", "better", "value", "change",
         "low", "high", "note")
    )  # fmt: skip
    for table in tables:
        for row in table.rows:
            for data, *line in _lines(row, table.better):
                writer.writerow((data, table.n_fit, table.n_test, table.splits, *line))
    return out.getvalue()


def own_options(aligner: Aligner) -> dict[str, Any]:
    """The options of an aligner that are not its defaults."""
    return {f.name: getattr(aligner, f.name) for f in fields(aligner) if getattr(aligner, f.name) != f.default}


def _lines(row: Summary, better: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    base = (row.data, row.name.partition(" on ")[0], "" if row.fit_size is None else row.fit_size)
    if not row.scores:
        yield (*base, "", "", "", "", "", "", "; ".join(row.notes))
    for name, score in row.scores.items():
        change = row.changes.get(name)
        numbers = [score.value] + ([change.value, change.low, change.high] if change else [NAN] * 3)
        yield (
            *base, name, better.get(name, ""), *("" if math.isnan(v) else repr(float(v)) for v in numbers),
            score.undefined or (change.note if change else ""),
        )  # fmt: skip


def _pooled(trials: list[Trial], data: str) -> Summary:
    """Mean over splits. Splits share items, so their mean is taken to be no surer than one of them."""
    first = trials[0]
    aligner = get(first.aligner)(**first.options)
    failed = [trial for trial in trials if trial.error]
    if failed:
        many = f" ({len(failed)} of {len(trials)} splits)" if len(trials) > 1 else ""
        return Summary(aligner, {}, {}, [f"{failed[0].error}{many}"], first.fit_size, data)
    open_gaps = [trial.gap for trial in trials if not trial.gap_undefined]
    reason = next((trial.gap_undefined for trial in trials if trial.gap_undefined), None)
    gap = NAN if reason else float(np.mean(open_gaps))
    scores = {"gap": Estimate(gap, unit="degrees", undefined=reason)}
    scores |= {name: Estimate(float(np.mean([c.scores[name] for c in trials]))) for name in first.scores}
    changes = {name: _change([c.changes[name] for c in trials], trials) for name in first.changes}
    # Notes of different splits differ in their numbers alone: the first of each stands for them.
    notes: dict[str, str] = {}
    for note in (note for trial in trials for note in trial.notes):
        notes.setdefault(re.sub(r"[\d.,%]+", "", note), note)
    return Summary(aligner, scores, changes, list(notes.values()), first.fit_size, data)


def _change(found: list[tuple[float, float]], trials: list[Trial]) -> Estimate:
    """The mean change and its 95 % interval."""
    values, variances = np.array(found).T
    mean = float(values.mean())
    if not np.isnan(variances).any():
        half = Z95 * math.sqrt(float(variances.mean()))
        return Estimate(mean, mean - half, mean + half)
    if len(values) < 3:
        return Estimate(mean, note="no interval: a score without items takes three splits")
    if values.min() == values.max():
        return Estimate(mean, note="no interval: all splits give the same number, which says nothing of its error")
    # No items to count: the spread over splits, corrected for the items that splits share (Nadeau and Bengio 2003).
    from scipy.special import stdtrit

    shared = trials[0].test_pairs / max(trials[0].fit_pairs, 1)
    error = math.sqrt(float(values.var(ddof=1)) * (1 / len(values) + shared))
    half = float(stdtrit(len(values) - 1, 0.975)) * error
    return Estimate(mean, mean - half, mean + half)


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return NAN if value is None else value
