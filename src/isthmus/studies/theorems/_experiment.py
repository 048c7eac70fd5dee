"""What an experiment is: a claim, checks of its predictions against measurements, a verdict, a figure."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from isthmus.utils.registry import Registry

Kind = Literal["theorem", "corollary", "counterexample", "sweep"]


@dataclass(frozen=True)
class Row:
    """One check. `predicted` and `measured` are numbers or short words; `tolerance` belongs to "=" checks."""

    what: str
    relation: str
    predicted: float | str
    measured: float | str
    tolerance: float | None
    passed: bool


@dataclass(frozen=True)
class Outcome:
    """What the function of an experiment returns: the rest of an `Experiment` comes from its `Entry`."""

    rows: Sequence[Row]
    verdict: str
    finding: str
    numbers: Mapping[str, Any]
    draw: Callable[[Any], None]
    picture: str


@dataclass(frozen=True)
class Experiment:
    """The result of one experiment.

    `claim` as published or as derived, `assumption` under which it is tested, `rows` of predicted against
    measured, `verdict` ("holds", "holds under ..." or "fails, as stated"), `finding` in a few sentences,
    `numbers` behind the figure, `picture` the text alternative of the figure, `seconds` taken.
    """

    name: str
    title: str
    kind: Kind
    claim: str
    assumption: str
    rows: tuple[Row, ...]
    verdict: str
    finding: str
    numbers: Mapping[str, Any] = field(repr=False)
    picture: str = field(repr=False)
    seconds: float
    _draw: Callable[[Any], None] = field(repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """Whether every prediction of the claim came true."""
        return all(row.passed for row in self.rows)

    def figure(self) -> Any:
        """A matplotlib figure of the result (the caller closes or saves it)."""
        from matplotlib.figure import Figure

        from isthmus.studies.theorems._style import style

        with style():
            figure = Figure(figsize=(7.2, 3.4), layout="constrained")
            self._draw(figure)
        return figure

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON (no number: None)."""
        return {
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "claim": self.claim,
            "assumption": self.assumption,
            "verdict": self.verdict,
            "finding": self.finding,
            "rows": [
                {
                    "what": row.what,
                    "relation": row.relation,
                    "predicted": _plain(row.predicted),
                    "measured": _plain(row.measured),
                    "tolerance": row.tolerance,
                    "passed": row.passed,
                }
                for row in self.rows
            ],
            "numbers": _plain(dict(self.numbers)),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Entry:
    """A registered experiment; calling it runs it."""

    name: str
    title: str
    kind: Kind
    order: int
    claim: str
    assumption: str
    function: Callable[..., Outcome] = field(repr=False)

    def __call__(self, *, quick: bool = False) -> Experiment:
        began = time.perf_counter()
        outcome = self.function(quick=quick)
        return Experiment(
            name=self.name,
            title=self.title,
            kind=self.kind,
            claim=self.claim,
            assumption=self.assumption,
            rows=tuple(outcome.rows),
            verdict=outcome.verdict,
            finding=outcome.finding,
            numbers=outcome.numbers,
            picture=outcome.picture,
            seconds=time.perf_counter() - began,
            _draw=outcome.draw,
        )


def experiment(
    *, title: str, kind: Kind, order: int, claim: str, assumption: str
) -> Callable[[Callable[..., Outcome]], Entry]:
    """Return a decorator that registers a function `f(*, quick) -> Outcome` under its own name."""

    def register(function: Callable[..., Outcome]) -> Entry:
        entry = Entry(
            name=function.__name__,
            title=title,
            kind=kind,
            order=order,
            claim=claim,
            assumption=assumption,
            function=function,
        )
        return registry.register(entry.name, entry)

    return register


#: Every experiment by name.
registry: Registry[Entry] = Registry("experiment", package="isthmus.studies.theorems")


def experiments() -> dict[str, Entry]:
    """Return all experiments by name, in the order of the theory."""
    return {entry.name: entry for entry in sorted(registry.values(), key=lambda entry: entry.order)}


def run(name: str, /, *, quick: bool = False) -> Experiment:
    """Run the experiment `name`; `quick` takes fewer particles and settings.

    Raises `InputError` for an unknown name.

    >>> run("certificate", quick=True).verdict
    'holds'
    """
    return registry[name](quick=quick)


def near(what: str, predicted: float, measured: float, tolerance: float) -> Row:
    """`measured` = `predicted` within `tolerance`; what is undefined (NaN) equals nothing."""
    predicted, measured = float(predicted), float(measured)
    passed = abs(measured - predicted) <= tolerance
    return Row(what, "=", predicted, "undefined" if math.isnan(measured) else measured, tolerance, passed)


def at_least(what: str, predicted: float, measured: float) -> Row:
    """`measured` >= `predicted`."""
    predicted, measured = float(predicted), float(measured)
    return Row(what, "≥", predicted, measured, None, measured >= predicted)


def at_most(what: str, predicted: float, measured: float) -> Row:
    """`measured` <= `predicted`."""
    predicted, measured = float(predicted), float(measured)
    return Row(what, "≤", predicted, measured, None, measured <= predicted)


def same(what: str, predicted: str, measured: str) -> Row:
    """Two words agree."""
    return Row(what, "is", predicted, measured, None, predicted == measured)


def undefined(what: str, angle: float) -> Row:
    """An angle has no meaning (NaN)."""
    gone = math.isnan(angle)
    return Row(what, "is", "undefined", "undefined" if gone else angle, None, gone)


def judge(rows: Sequence[Row], condition: str = "") -> str:
    """ "holds" (under `condition`) if every row passed, else "fails, as stated"."""
    if all(row.passed for row in rows):
        return f"holds under {condition}" if condition else "holds"
    return "fails, as stated"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (str, bool)) or value is None:
        return value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
