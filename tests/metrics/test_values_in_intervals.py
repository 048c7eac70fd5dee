"""No value lies outside of its own interval, and the published form stands beside it where sampling biases it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import Estimate, Pairs

FIXTURES = os.environ.get("ISTHMUS_FIXTURES", "")


def with_gap(rng: np.random.Generator, *, degrees: float, n: int, d: int) -> Pairs:
    z = 0.3 * rng.normal(size=(n, d))
    x, y = z + 0.2 * rng.normal(size=(2, n, d))
    x[:, 0] += 1
    y[:, :2] += np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return Pairs(x=x, y=y)


def outside(pairs: Pairs, metrics: str) -> Iterator[str]:
    """Yield measures and components whose value lies outside of its interval."""
    explanation = isthmus.explain(pairs, metrics=metrics, sample=300)
    captured = explanation.budget.captured_fraction
    estimates = {**explanation.result, **explanation.budget, "captured": captured}
    estimates = {name: e for name, e in estimates.items() if not np.isnan(e.low)}
    assert len(estimates) > 10
    for name, e in estimates.items():
        if not e.low <= e.value <= e.high:
            yield f"{name} {e.value} outside of [{e.low}, {e.high}]"


@pytest.mark.parametrize("degrees", [0, 1, 176, 180])
def test_values_at_extreme_gaps_lie_in_their_intervals(degrees: float, rng: np.random.Generator) -> None:
    for _ in range(4):
        assert list(outside(with_gap(rng, degrees=degrees, n=100, d=8), "fast")) == []


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [0, 1, 176, 180])
def test_all_values_at_extreme_gaps_lie_in_their_intervals(degrees: float, rng: np.random.Generator) -> None:
    for n, d in [(60, 8), (300, 16)] * 4:
        assert list(outside(with_gap(rng, degrees=degrees, n=n, d=d), "all")) == []


@pytest.mark.slow
@pytest.mark.skipif(not FIXTURES, reason="needs ISTHMUS_FIXTURES")
def test_values_of_all_shared_sets_lie_in_their_intervals() -> None:
    folders = sorted(path for path in Path(FIXTURES).iterdir() if path.is_dir())
    assert len(folders) >= 6
    for folder in folders:
        x, y = (np.load(path) for path in sorted(folder.glob("*.npy"))[:2])
        assert list(outside(Pairs(x=x, y=y), "all")) == [], folder.name


def test_components_without_bias_add_up(rng: np.random.Generator) -> None:
    budget = isthmus.explain(with_gap(rng, degrees=0, n=100, d=8)).budget
    for numbers in ("value", "plugin"):
        parts = sum(getattr(component, numbers) for component in budget.values())
        assert parts == pytest.approx(budget.total.value, abs=1e-12)
    assert budget["orientation"].value < budget["orientation"].plugin


def test_plugin_is_the_value_unless_it_is_given() -> None:
    assert Estimate(1.0).plugin == 1.0
    assert Estimate(1.0).to_dict()["plugin"] is None
    biased = Estimate.debiased(0.5, (0.6, 0.8), plugin=1.0, null=0.1)
    assert (biased.value, biased.low, biased.high, biased.null, biased.plugin) == (0.6, 0.6, 0.8, 0.1, 1.0)
    without = Estimate.debiased(0.5, (np.nan, np.nan), plugin=1.0)
    assert (without.value, without.plugin_text) == (1.0, "")
    assert Estimate.from_dict(json.loads(json.dumps(biased.to_dict()))) == biased
    assert str(biased) == "0.6 [0.6, 0.8] (plug-in 1)"
