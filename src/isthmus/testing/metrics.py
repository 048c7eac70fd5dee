"""Contract suite of measures."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from unittest import mock

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.metrics import Metric, MetricContext, evaluate, registry
from isthmus.metrics._evaluation import NO_VARIATION
from isthmus.metrics._metric import (
    DEFAULT_REASON,
    DIRECTIONS,
    FAMILIES,
    INTERVALS,
    INVARIANCES,
    NULL_MODELS,
    REQUIREMENTS,
)
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.result import Estimate
from isthmus.utils.errors import unknown_name

Estimates = Mapping[str, Estimate]

#: Items and dimensions of the example data.
N_ITEMS, N_DIMS = 120, 12
#: Result of the reference case of a measure, for messages.
REFERENCE_CASE = "X, Y and the exact value, or X, Y, labels and the exact value"
#: Array libraries that are tested if they are installed.
ARRAY_LIBRARIES = ("torch", "array_api_strict")


def check_metric(metric: Metric | str, /, *, checks: Sequence[str] | None = None) -> None:
    """Check that a measure keeps its contract.

    Example data are 120 pairs of 12 dimensions in four classes. Like those of CLIP, they are two cones apart, with
    correlated pairs, unequal variances and unequal norms.

    Parameters
    ----------
    metric : Metric or str
        The measure, or its name in the registry.
    checks : sequence of str or None
        Names of `METRIC_CHECKS`. Default: all of them.

    Raises
    ------
    AssertionError
        If the measure breaks its contract. The message names the broken promise.
    InputError
        If a check or a name is unknown.

    Notes
    -----
    - 'declaration': every field has a value that its documentation allows, and the docstring gives a definition. There
      is a reference case. A missing interval or null model has a reason.
    - 'evidence': the estimate has an interval and a null if the measure declares them, and only then.
    - 'reference case': the value equals the exact one, to 2e-6.
    - 'range': value and interval lie in the declared range.
    - 'invariances': a rotation, positive factors of rows and a swap leave the estimate alone, if declared.
    - 'order of pairs': the estimate does not depend on it.
    - 'array libraries': PyTorch and array-api-strict arrays give the same estimate, if they are installed.
    - 'blocks': small blocks give the same estimate, and so do moments that are summed over parts.
    - 'float32': single precision gives the same estimate, to 1e-4.

    Examples
    --------
    >>> check_metric("mean_paired_cosine")
    """
    entry = _find(metric)
    for check in METRIC_CHECKS if checks is None else checks:
        if check not in METRIC_CHECKS:
            raise unknown_name("check", check, METRIC_CHECKS)
        try:
            METRIC_CHECKS[check](entry)
        except AssertionError:
            raise
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            raise AssertionError(f"measure {entry.name}, check {check!r}: {cause}") from error


def _find(metric: object) -> Metric:
    if isinstance(metric, str):
        entries = registry()
        if metric not in entries:
            raise unknown_name("measure", metric, entries)
        return entries[metric]
    if not isinstance(metric, Metric):
        name, kind = getattr(metric, "__name__", repr(metric)), type(metric).__name__
        raise AssertionError(f"measure {name}: is a {kind}; add the decorator @metric(...) and pass the name")
    return metric


def _require(entry: Metric, condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(f"measure {entry.name}: {message}")


def _example_rows() -> tuple[np.ndarray, np.ndarray]:
    """Return two paired clouds, (n, d) each."""
    rng = np.random.default_rng(20260101)
    scales = 1 / np.arange(1, N_DIMS + 1)
    latent = rng.normal(size=(N_ITEMS, N_DIMS)) * scales
    x = latent + 0.3 * rng.normal(size=latent.shape) * scales + 1.5 * np.eye(N_DIMS)[0]
    y = latent + 0.3 * rng.normal(size=latent.shape) * scales + 1.5 * np.eye(N_DIMS)[3]
    return x * rng.uniform(0.5, 2, size=(N_ITEMS, 1)), y


def _classes() -> np.ndarray:
    return np.arange(N_ITEMS) % 4


def _estimates(entry: Metric, x: object, y: object, labels: np.ndarray | None = None) -> Estimates:
    """Return the estimates of the pairs of rows. Labels are used only if the measure needs them."""
    if entry.requires == "labels" and labels is None:
        labels = _classes()
    pairs = Pairs(image=x, text=y, labels=labels if entry.requires == "labels" else None)
    return evaluate(entry, MetricContext(moments_of(pairs).numpy(), pairs))


def _require_equal(entry: Metric, first: Estimates, second: Estimates, tolerance: float, condition: str) -> None:
    """Compare the numbers of two sets of estimates in their order. The modalities may be swapped."""
    for estimate, changed in zip(first.values(), second.values(), strict=True):
        for number in ("value", "low", "high", "null", "plugin"):
            expected, actual = getattr(changed, number), getattr(estimate, number)
            _require(
                entry,
                _is_close(actual, expected, tolerance),
                f"{number} is {actual!r}, and {expected!r} {condition}",
            )


def _is_close(actual: float, expected: float, tolerance: float) -> bool:
    if actual == expected or (math.isnan(actual) and math.isnan(expected)):
        return True
    return abs(actual - expected) <= max(tolerance, tolerance * abs(expected))


def _check_declaration(entry: Metric) -> None:
    for field, value, choices in (
        ("direction", entry.direction, DIRECTIONS),
        ("requires", entry.requires, REQUIREMENTS),
        ("family", entry.family, FAMILIES),
        *(("invariances", invariance, INVARIANCES) for invariance in entry.invariances),
    ):
        _require(entry, value in choices, f"{field} is {value!r}, expected one of {choices}")
    for field, value, choices in (
        ("interval", entry.interval, INTERVALS),
        ("null_model", entry.null_model, NULL_MODELS),
    ):
        is_reason = value.startswith("none: ") and len(value) > len("none: ") and value != DEFAULT_REASON
        is_valid = value in choices or is_reason
        _require(entry, is_valid, f"{field} is {value!r}, expected one of {choices}, or 'none: ' and the reason")
    _require(entry, bool(entry.unit), "the unit is missing")
    _require(entry, bool(entry.source), "the source is missing")
    _require(entry, entry.range[0] < entry.range[1], f"the range {entry.range} is empty")
    _require(entry, entry.reference_case is not None, "there is no reference_case: give X, Y and the exact value")
    definition = entry.definition
    _require(entry, bool(definition), "there is no docstring, whose first paragraph defines the measure")
    is_definition = len(definition) > 20 and definition.endswith((".", ")"))
    rule = "more than 20 characters and a full stop at the end"
    _require(entry, is_definition, f"the first paragraph of the docstring is {definition!r}, expected {rule}")


def _check_evidence(entry: Metric) -> None:
    for name, estimate in _estimates(entry, *_example_rows()).items():
        if estimate.undefined:
            continue
        gives_reason = "no interval" in estimate.note and estimate.note != NO_VARIATION  # the example rows vary
        is_missing = entry.interval.startswith("none: ") or gives_reason
        _require(
            entry,
            math.isnan(estimate.low) == math.isnan(estimate.high) == is_missing,
            f"{name} has the interval [{estimate.low}, {estimate.high}] and declares {entry.interval!r}",
        )
        _require(
            entry,
            math.isnan(estimate.null) == entry.null_model.startswith("none: "),
            f"{name} has the null {estimate.null} and declares {entry.null_model!r}",
        )
        # A plug-in with the bias of sampling may lie outside, and stands beside the value.
        _require(
            entry,
            is_missing or estimate.low <= estimate.value <= estimate.high,
            f"{name} = {estimate.value} lies outside [{estimate.low}, {estimate.high}]; see Estimate.debiased",
        )


def _check_reference_case(entry: Metric) -> None:
    if entry.reference_case is None:
        return
    _require(entry, callable(entry.reference_case), f"reference_case is not a function that returns {REFERENCE_CASE}")
    case = entry.reference_case()
    is_case = isinstance(case, tuple) and len(case) in (3, 4)
    returned = f"{len(case)} items" if isinstance(case, tuple) else type(case).__name__
    _require(entry, is_case, f"reference_case returned {returned}, expected {REFERENCE_CASE}")
    x, y, *labels, expected = case
    for name, estimate in _estimates(entry, x, y, *labels).items():
        _require(
            entry,
            _is_close(estimate.plugin, expected, 2e-6),
            f"{name} = {estimate.plugin} on its reference case, expected {expected} "
            f"({estimate.undefined or 'defined'})",
        )


def _check_range(entry: Metric) -> None:
    low, high = entry.range
    for name, estimate in _estimates(entry, *_example_rows()).items():
        _require(entry, estimate.unit == entry.unit, f"{name} has the unit {estimate.unit!r}, declared {entry.unit!r}")
        is_inside = bool(estimate.undefined) or low <= estimate.value <= high
        _require(entry, is_inside, f"{name} = {estimate.value} lies outside the range {entry.range}")
        is_inside = math.isnan(estimate.low) or low <= estimate.low <= estimate.high <= high
        _require(
            entry, is_inside, f"the interval [{estimate.low}, {estimate.high}] of {name} leaves the range {entry.range}"
        )


def _check_invariances(entry: Metric) -> None:
    x, y = _example_rows()
    rotation = np.linalg.qr(np.random.default_rng(5).normal(size=(N_DIMS, N_DIMS)))[0]
    factors = np.random.default_rng(6).uniform(0.1, 10, size=(N_ITEMS, 1))
    changed = {
        "rotation": (x @ rotation, y @ rotation),
        "row scale": (x * factors, y / factors),
        "swap": (y, x),
    }
    estimates = _estimates(entry, x, y)
    for invariance in entry.invariances:
        after = _estimates(entry, *changed[invariance])
        _require_equal(entry, estimates, after, 1e-8, f"after the change {invariance!r}")


def _check_order_of_pairs(entry: Metric) -> None:
    x, y = _example_rows()
    order = np.random.default_rng(7).permutation(N_ITEMS)
    reordered = _estimates(entry, x[order], y[order], _classes()[order])
    _require_equal(entry, _estimates(entry, x, y), reordered, 1e-9, "for another order of the pairs")


def _check_array_libraries(entry: Metric) -> None:
    x, y = _example_rows()
    estimates = _estimates(entry, x, y)
    for library_name in ARRAY_LIBRARIES:
        if importlib.util.find_spec(library_name) is not None:
            library = importlib.import_module(library_name)
            converted = _estimates(entry, library.asarray(x), library.asarray(y))
            _require_equal(entry, estimates, converted, 1e-9, f"for arrays of {library_name}")


def _check_blocks(entry: Metric) -> None:
    x, y = _example_rows()
    estimates = _estimates(entry, x, y)
    with (
        mock.patch("isthmus.data.pairs.block_rows", return_value=7),
        mock.patch("isthmus.compute.score_matrix.BLOCK_SCORES", 7 * 2 * N_ITEMS),
        mock.patch("isthmus.compute.score_sweep.TILE_ROWS", 16),
    ):
        _require_equal(entry, estimates, _estimates(entry, x, y), 1e-9, "in blocks of seven rows")
    if entry.requires == "moments":
        first, second, third = (Moments.of(x[start : start + 50], y[start : start + 50]) for start in (0, 50, 100))
        merged = evaluate(entry, MetricContext((first + second + third).numpy()))
        for estimate, of_moments in zip(estimates.values(), merged.values(), strict=True):
            # Without rows there is no interval, so the value is the published plug-in.
            is_equal = _is_close(estimate.plugin, of_moments.plugin, 1e-9)
            numbers = f"{estimate.plugin}, and {of_moments.plugin}"
            _require(entry, is_equal, f"plug-in is {numbers} for moments of three parts")


def _check_float32(entry: Metric) -> None:
    x, y = _example_rows()
    single = _estimates(entry, x.astype(np.float32), y.astype(np.float32))
    _require_equal(entry, _estimates(entry, x, y), single, 1e-4, "in float32")


#: Checks of `check_metric` by name.
METRIC_CHECKS: dict[str, Callable[[Metric], None]] = {
    "declaration": _check_declaration,
    "evidence": _check_evidence,
    "reference case": _check_reference_case,
    "range": _check_range,
    "invariances": _check_invariances,
    "order of pairs": _check_order_of_pairs,
    "array libraries": _check_array_libraries,
    "blocks": _check_blocks,
    "float32": _check_float32,
}
