"""Experiments: a claim, checks of its predictions against measurements, a verdict and a figure."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from isthmus.studies.theorems._style import panels_of, styled_figure
from isthmus.utils.errors import InputError
from isthmus.utils.format import json_number
from isthmus.utils.registry import Registry

Kind = Literal["theorem", "corollary", "counterexample", "sweep"]


@dataclass(frozen=True)
class Row:
    """One check of a prediction.

    Parameters
    ----------
    quantity : str
        The measured quantity, with its unit.
    relation : {'=', '≥', '≤', 'is'}
        Relation that the measured value must have to the predicted one.
    predicted : float or str
        Predicted value.
    measured : float or str
        Measured value.
    tolerance : float or None
        Tolerance of a check with '='.
    passed : bool
        Whether the relation holds.

    Examples
    --------
    >>> close("gap (degrees)", 60.0, 59.99, 0.1).passed
    True
    """

    quantity: str
    relation: str
    predicted: float | str
    measured: float | str
    tolerance: float | None
    passed: bool


@dataclass(frozen=True)
class Findings:
    """Return value of the function of an experiment. `ExperimentResult` adds the claim and the time."""

    rows: Sequence[Row]
    verdict: str
    finding: str
    numbers: Mapping[str, Any]
    draw: Callable[[Any], None]
    picture: str


@dataclass(frozen=True)
class ExperimentResult:
    """The result of one experiment.

    Parameters
    ----------
    name : str
        Name of the experiment.
    title : str
        Statement in a few words.
    kind : {'theorem', 'corollary', 'counterexample', 'sweep'}
        Kind of the statement.
    claim : str
        Claim as published or as derived.
    assumption : str
        Assumption under which the claim is tested.
    rows : tuple of Row
        Predicted against measured values.
    verdict : str
        'holds', 'holds under ...' or 'fails as stated'.
    finding : str
        Explanation in a few sentences.
    numbers : mapping
        Numbers behind the figure.
    picture : str
        Text alternative of the figure.
    seconds : float
        Run time.
    draw : callable or None
        Draws on an empty matplotlib figure. None for a result from the journal of an interrupted run.
    svg : str, default ''
        The figure as an inline SVG element, of a result from a journal.

    Examples
    --------
    >>> result = run("certificate", quick=True)
    >>> result.verdict, result.passed, result.rows[0].relation
    ('holds', True, '≤')
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
    draw: Callable[[Any], None] | None = field(repr=False, compare=False)
    svg: str = field(default="", repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """True if every prediction of the claim is true."""
        return all(row.passed for row in self.rows)

    def figure(self) -> Any:
        """Draw the result.

        Returns
        -------
        matplotlib.figure.Figure
            The figure, which the caller closes or saves.

        Raises
        ------
        InputError
            If the result comes from a journal, which holds the SVG alone.
        """
        if self.draw is None:
            raise InputError(f"the figure of {self.name} comes from a journal as SVG; run the experiment again")
        return styled_figure(self.draw)

    def panels(self) -> dict[str, Callable[[Any], None]]:
        """Return the panels of the figure, for `isthmus.plot.study`.

        Returns
        -------
        dict of str to callable
            Functions that draw on an axis: 'figure', or 'left' and 'right'. A result from a journal has none.
        """
        return {} if self.draw is None else panels_of(self.draw)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values. Numbers that are not finite become None.

        Returns
        -------
        dict
            Every field except the figure. The quantity of a row has the key 'what'.
        """
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
                    "what": row.quantity,
                    "relation": row.relation,
                    "predicted": _json_value(row.predicted),
                    "measured": _json_value(row.measured),
                    "tolerance": row.tolerance,
                    "passed": row.passed,
                }
                for row in self.rows
            ],
            "numbers": _json_value(dict(self.numbers)),
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Experiment:
    """A registered experiment. A call runs it.

    Parameters
    ----------
    name : str
        Name of the function.
    title : str
        Statement in a few words.
    kind : {'theorem', 'corollary', 'counterexample', 'sweep'}
        Kind of the statement.
    order : int
        Position among all experiments.
    claim : str
        Claim as published or as derived.
    assumption : str
        Assumption under which the claim is tested.
    function : callable
        Called as function(quick=bool), returns `Findings`.

    Examples
    --------
    >>> experiments()["certificate"].kind
    'theorem'
    """

    name: str
    title: str
    kind: Kind
    order: int
    claim: str
    assumption: str
    function: Callable[..., Findings] = field(repr=False)

    def __call__(self, *, quick: bool = False) -> ExperimentResult:
        """Run the experiment. `quick` takes fewer pairs and settings."""
        start = time.perf_counter()
        findings = self.function(quick=quick)
        return ExperimentResult(
            name=self.name,
            title=self.title,
            kind=self.kind,
            claim=self.claim,
            assumption=self.assumption,
            rows=tuple(findings.rows),
            verdict=findings.verdict,
            finding=findings.finding,
            numbers=findings.numbers,
            picture=findings.picture,
            seconds=time.perf_counter() - start,
            draw=findings.draw,
        )


#: Every experiment by name.
registry: Registry[Experiment] = Registry("experiment", package="isthmus.studies.theorems")


def experiment(
    *, title: str, kind: Kind, order: int, claim: str, assumption: str
) -> Callable[[Callable[..., Findings]], Experiment]:
    """Return a decorator that registers a function `f(*, quick) -> Findings` under its own name.

    Parameters
    ----------
    title : str
        Statement in a few words.
    kind : {'theorem', 'corollary', 'counterexample', 'sweep'}
        Kind of the statement.
    order : int
        Position among all experiments.
    claim : str
        Claim as published or as derived.
    assumption : str
        Assumption under which the claim is tested.

    Returns
    -------
    callable
        Decorator that returns an `Experiment`.

    Raises
    ------
    InputError
        If another experiment has the name of the function.

    Examples
    --------
    >>> @experiment(title="One is one", kind="theorem", order=900, claim="1 = 1", assumption="None.")
    ... def one(*, quick):
    ...     rows = [close("one", 1, 1, 0)]
    ...     return Findings(rows, check_all(rows), "It is.", {}, lambda figure: None, "Nothing.")
    >>> one().verdict
    'holds'
    >>> registry.unregister("one").order
    900
    """

    def register(function: Callable[..., Findings]) -> Experiment:
        entry = Experiment(
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


def experiments() -> dict[str, Experiment]:
    """Return all experiments by name, in the order of the theory.

    Returns
    -------
    dict of str to Experiment
        Experiments that have not run.

    Examples
    --------
    >>> experiments()["theorem_1"].title
    'No constraint, no gap'
    """
    return {entry.name: entry for entry in sorted(registry.values(), key=lambda entry: entry.order)}


def run(name: str, /, *, quick: bool = False) -> ExperimentResult:
    """Run one experiment.

    Parameters
    ----------
    name : str
        Name of the experiment.
    quick : bool, default False
        Take fewer pairs and settings.

    Returns
    -------
    ExperimentResult
        Rows, verdict and figure.

    Raises
    ------
    InputError
        If no experiment has this name.

    Examples
    --------
    >>> run("certificate", quick=True).verdict
    'holds'
    """
    return registry[name](quick=quick)


def close(quantity: str, predicted: float, measured: float, tolerance: float) -> Row:
    """Check that `measured` equals `predicted` within `tolerance`. An undefined value (NaN) equals nothing."""
    predicted, measured = float(predicted), float(measured)
    passed = abs(measured - predicted) <= tolerance
    return Row(quantity, "=", predicted, "undefined" if math.isnan(measured) else measured, tolerance, passed)


def at_least(quantity: str, predicted: float, measured: float) -> Row:
    """Check that `measured` >= `predicted`."""
    predicted, measured = float(predicted), float(measured)
    return Row(quantity, "≥", predicted, measured, None, measured >= predicted)


def at_most(quantity: str, predicted: float, measured: float) -> Row:
    """Check that `measured` <= `predicted`."""
    predicted, measured = float(predicted), float(measured)
    return Row(quantity, "≤", predicted, measured, None, measured <= predicted)


def equal(quantity: str, predicted: str, measured: str) -> Row:
    """Check that two words are equal."""
    return Row(quantity, "is", predicted, measured, None, predicted == measured)


def undefined(quantity: str, angle: float) -> Row:
    """Check that an angle is undefined (NaN)."""
    is_nan = math.isnan(angle)
    return Row(quantity, "is", "undefined", "undefined" if is_nan else angle, None, is_nan)


def check_all(rows: Sequence[Row], condition: str = "") -> str:
    """Return "holds" (under `condition`) if every row passed, else "fails as stated"."""
    if all(row.passed for row in rows):
        return f"holds under {condition}" if condition else "holds"
    return "fails as stated"


def _json_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, (str, bool)) or value is None:
        return value
    if hasattr(value, "tolist"):
        return _json_value(value.tolist())
    if isinstance(value, Sequence):
        return [_json_value(item) for item in value]
    if isinstance(value, float):
        return json_number(value)
    return value
