"""The contract suite of measures fails for every broken promise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Estimate, InputError
from isthmus.metrics import Metric, MetricContext, registry
from isthmus.metrics._paired_rows import PairedRows
from isthmus.testing import METRIC_CHECKS, check_metric


def mean_dot(context: MetricContext) -> Estimate:
    """Mean inner product of matching rows."""
    return Estimate(context.moments.mean_paired)


def declared(compute: Callable[[MetricContext], Estimate] = mean_dot, **options: Any) -> Metric:
    fields: dict[str, Any] = {"unit": "cosine", "range": (-1, 1), "direction": "higher", "source": "a test"}
    fields |= {"interval": "none: a test", "null_model": "none: a test"}
    fields |= {"reference_case": lambda: (np.eye(2), np.eye(2), 1.0)}
    return Metric("mean_dot", compute, **fields | options)


def by_first_row(context: MetricContext) -> Estimate:
    """First coordinate of the first row of x."""
    return Estimate(float(context.shared(PairedRows).x[0, 0]))


def by_rounded_precision(context: MetricContext) -> Estimate:
    """Value that depends on the precision of the rows."""
    return Estimate(float(context.shared(PairedRows).x.dtype.itemsize))


def by_first_coordinate(context: MetricContext) -> Estimate:
    """First coordinate of the mean of x."""
    return Estimate(float(context.moments.mean_x[0]))


def with_infinite_interval(context: MetricContext) -> Estimate:
    """Mean inner product with an interval that is far away."""
    return Estimate(context.moments.mean_paired, 0.98, 0.99)


def without_docstring(context: MetricContext) -> Estimate:
    return Estimate(0.5)


def with_short_docstring(context: MetricContext) -> Estimate:
    """Mean inner product"""
    return Estimate(0.5)


def by_blocks(context: MetricContext) -> Estimate:
    """Number of rows in a block of the pairs."""
    assert context.pairs is not None
    return Estimate(float(len(next(iter(context.pairs.blocks()))[0])))


def by_array_library(context: MetricContext) -> Estimate:
    """Value that depends on the array library of the rows."""
    assert context.pairs is not None
    return Estimate(float(isinstance(context.pairs.unit()[0], np.ndarray)))


@pytest.mark.parametrize(
    ("metric", "check", "message"),
    [
        (declared(without_docstring), "declaration", "there is no docstring, whose first paragraph defines"),
        (declared(with_short_docstring), "declaration", "is 'Mean inner product', expected more than 20 .* full stop"),
        (declared(interval="none: the measure declares none"), "declaration", "interval is 'none: the .*, expected"),
        (declared(null_model="none: the measure declares none"), "declaration", "null_model is 'none: .*, expected"),
        (declared(reference_case=None), "declaration", "there is no reference_case"),
        (declared(reference_case=(1, 2, 3)), "reference case", "reference_case is not a function that returns X, Y"),
        (declared(reference_case=lambda: (1, 2)), "reference case", "reference_case returned 2 items, expected X, Y"),
        (declared(interval="bootstrap"), "declaration", "interval is 'bootstrap', expected one of"),
        (declared(interval="none: "), "declaration", "interval is 'none: ', expected one of"),
        (declared(null_model="chance"), "declaration", "null_model is 'chance', expected one of"),
        (declared(unit=""), "declaration", "the unit is missing"),
        (declared(source=""), "declaration", "the source is missing"),
        (declared(range=(1, 1)), "declaration", r"the range \(1, 1\) is empty"),
        (declared(interval="normal"), "evidence", r"mean_dot has the interval \[nan, nan\] and declares 'normal'"),
        (declared(null_model="zero mean"), "evidence", "mean_dot has the null nan and declares 'zero mean'"),
        (declared(with_infinite_interval), "evidence", r"mean_dot has the interval \[0.98, 0.99\] and declares 'none"),
        (declared(with_infinite_interval, interval="normal"), "evidence", "lies outside .* see Estimate.debiased"),
        (declared(reference_case=lambda: (np.eye(2), np.eye(2), 0.5)), "reference case", "= 1.0 .*expected 0.5"),
        (declared(range=(-1, 0)), "range", r"lies outside the range \(-1, 0\)"),
        (declared(with_infinite_interval, range=(-1, 0.985)), "range", r"\[0.98, 0.99\] of mean_dot leaves"),
        (declared(by_first_coordinate), "invariances", "after the change 'rotation'"),
        (declared(by_first_coordinate, invariances=("swap",)), "invariances", "after the change 'swap'"),
        (declared(by_first_row, requires="rows"), "order of pairs", "for another order of the pairs"),
        (declared(by_rounded_precision, requires="rows"), "float32", "value is 8.0, and 4.0 in float32"),
        (declared(by_blocks, requires="rows"), "blocks", "in blocks of seven rows"),
        (declared(by_array_library, requires="rows"), "array libraries", "for arrays of torch"),
    ],
)  # fmt: skip
def test_check_metric_broken_promise_is_named(metric: Metric, check: str, message: str) -> None:
    pytest.importorskip("torch")
    with pytest.raises(AssertionError, match=f"measure mean_dot: .*{message}"):
        check_metric(metric, checks=[check])


def test_check_metric_row_scale_is_tested() -> None:
    def length(context: MetricContext) -> Estimate:
        """Mean squared length of the rows of x before they are normalized."""
        assert context.pairs is not None
        return Estimate(float(np.mean(context.pairs.x.read(0, context.pairs.n_items) ** 2)))

    metric = declared(length, requires="rows", range=(0, math.inf))
    with pytest.raises(AssertionError, match="after the change 'row scale'"):
        check_metric(metric, checks=["invariances"])


def test_check_metric_moments_of_parts_are_tested() -> None:
    def has_pairs(context: MetricContext) -> Estimate:
        """Value that depends on whether there are pairs."""
        return Estimate(float(context.pairs is not None))

    with pytest.raises(AssertionError, match="plug-in is 1.0, and 0.0 for moments of three parts"):
        check_metric(declared(has_pairs), checks=["blocks"])


def test_check_metric_complete_declaration_keeps_the_contract() -> None:
    check_metric(declared())


def test_check_metric_undecorated_function_is_named() -> None:
    with pytest.raises(AssertionError, match=r"measure mean_dot: is a function; add the decorator @metric\(\.\.\.\)"):
        check_metric(mean_dot)  # type: ignore[arg-type]


def test_check_metric_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="unknown measure 'centroid_angel': did you mean 'centroid_angle'"):
        check_metric("centroid_angel")


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (0.5, "measure mean_dot returned float, expected Estimate"),
        (None, "measure mean_dot returned NoneType, expected Estimate"),
        (Estimate(np.zeros(12)), r"measure mean_dot: value has shape \(12,\), expected a number"),  # type: ignore[arg-type]
    ],
)
def test_check_metric_of_another_result_names_what_came(result: Any, message: str) -> None:
    def compute(context: MetricContext) -> Estimate:
        return result  # type: ignore[no-any-return]

    with pytest.raises(AssertionError, match=f"measure mean_dot, check 'evidence': InputError: {message}"):
        check_metric(declared(compute), checks=["evidence"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mean_{sides}", {}, r"got \{sides\}, expected one of \{side\}, \{x\}, \{y\}"),
        ("mean", {"range": 1}, r"measure mean: range=1, expected \(smallest, largest\) value"),
        ("mean", {"intervals": "normal"}, "unknown option of @metric 'intervals': did you mean 'interval'"),
    ],
)
def test_metric_of_an_invalid_declaration_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"unit": "cosine", "range": (-1, 1), "direction": "higher", "source": "a test"}
    with pytest.raises(InputError, match=message):
        isthmus.metrics.metric(name, **fields | options)(mean_dot)


def test_check_metric_unknown_check_is_refused() -> None:
    with pytest.raises(InputError, match="unknown check 'ranges': did you mean 'range'"):
        check_metric("cka", checks=["ranges"])


def test_registered_metrics_have_a_family_and_a_reference_case() -> None:
    for entry in registry().values():
        assert entry.family != "others", entry.name
        assert entry.reference_case is not None, entry.name
        assert len(entry.definition) > 30, entry.name


def test_checks_are_documented() -> None:
    for check in METRIC_CHECKS:
        assert f"- '{check}':" in str(check_metric.__doc__)
