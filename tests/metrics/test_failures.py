"""A measure that fails on the data is undefined and leaves all others alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

import isthmus
from isthmus.metrics import MetricContext
from isthmus.metrics import _measure as measure_module
from isthmus.metrics._evaluation import FAILURES
from isthmus.metrics._metric import Metric, register, unregister
from isthmus.statistics.result import Estimate
from isthmus.utils.errors import InputError


@pytest.fixture
def failing(request: pytest.FixtureRequest) -> Iterator[str]:
    def compute(context: MetricContext) -> Estimate:
        """Fail."""
        raise request.param

    register(Metric("failing", compute, "share", (0, 1), "lower", "a test"))
    yield "failing"
    unregister("failing")


def pairs(n: int = 40, dim: int = 8, seed: int = 0) -> isthmus.Pairs:
    x, y = np.random.default_rng(seed).normal(size=(2, n, dim)) + 1
    return isthmus.Pairs(image=x, text=y)


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        (InputError("the rows are all equal"), "^the rows are all equal$"),
        (np.linalg.LinAlgError("SVD did not converge"), "does not converge"),
        (FloatingPointError("underflow"), "divides by zero or overflows"),
        (ZeroDivisionError("division by zero"), "divides by zero or overflows"),
        (ValueError("zero-size array"), "fails on these data: zero-size array"),
    ],
    indirect=["failing"],
)
def test_measure_with_a_failing_measure_keeps_all_others(failing: str, reason: str) -> None:
    result = isthmus.measure(pairs())
    assert np.isnan(result[failing].value)
    assert re.search(reason, result[failing].undefined or "")
    assert result["centroid_angle"].undefined is None


@pytest.mark.parametrize("failing", [TypeError("no"), AttributeError("no")], indirect=True)
def test_measure_with_a_programming_error_raises_it(failing: str) -> None:
    with pytest.raises((TypeError, AttributeError), match="no"):
        isthmus.measure(pairs(), metrics=failing)


@pytest.mark.parametrize("error", FAILURES)
def test_measure_with_a_failing_curve_keeps_all_others(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail(context: MetricContext) -> np.ndarray:
        raise error("no")

    monkeypatch.setattr(measure_module, "gap_by_coordinate", fail)
    result = isthmus.measure(pairs(), metrics="centroid_angle")
    assert np.isnan(result.curves["gap_share_per_coordinate"]).all()
    assert np.isfinite(result.curves["spectrum_image"]).all()
    assert "null" in result.to_json()


def test_measure_of_ordinary_pairs_has_no_failure() -> None:
    result = isthmus.measure(pairs(n=200, dim=12))
    assert not [name for name, estimate in result.items() if "its computation" in (estimate.undefined or "")]


def test_concentration_of_narrow_cones_follows_their_spread() -> None:
    rng = np.random.default_rng(0)
    for spread in (1e-1, 1e-2, 1e-3, 1e-4):
        rows = np.eye(1, 16) + spread * rng.normal(size=(2, 400, 16))
        estimate = isthmus.measure(isthmus.Pairs(image=rows[0], text=rows[1]))["vmf_concentration_image"]
        assert estimate.undefined is None
        assert estimate.low < estimate.value < estimate.high
        # Near the mean the law is a Gaussian with variance 1 / kappa in each of 15 directions.
        assert estimate.value * spread**2 == pytest.approx(1, rel=0.15)


def test_concentration_at_the_end_of_the_exact_formula_is_continuous() -> None:
    from isthmus.linalg.bessel import bessel_ratio
    from isthmus.metrics.cone import _concentrations

    for dim in (2, 3, 16, 512, 4096):
        top = bessel_ratio(dim / 2 - 1, 1e6)
        below, above = _concentrations(dim, np.array([top, np.nextafter(top, 1)]))
        assert above == pytest.approx(below, rel=1e-4)
