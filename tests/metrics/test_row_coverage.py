"""Intervals of the measures of rows cover what they promise: over 300 simulated data sets each."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.metrics import View

SETS = 300
ITEMS = 80
#: Measures of the population: their truth comes from data sets of many items.
POPULATION = [
    "instance_gap", "alignment", "energy_distance", "centred_energy_distance", "mmd2_0.5", "mmd2_1", "mmd2_2",
    "uniformity_{side}", "cross_uniformity", "unbiased_cka",
]  # fmt: skip
#: Measures of this number of items: their truth is the mean over the data sets.
SAMPLE = [
    "mutual_knn", "mixed_partner_rank_{side}", "intrinsic_dimension_{side}", "linear_separability",
    "separability_auc",
]  # fmt: skip


def pairs(seed: int, n: int, gap: float) -> Pairs:
    """Anisotropic correlated clouds of unequal spread, their means apart by `gap`."""
    rng, d = np.random.default_rng(seed), 8
    scales = 1 / np.sqrt(np.arange(1, d + 1))
    latent = rng.normal(size=(n, d)) * scales
    x, y = latent + 0.5 * rng.normal(size=(2, n, d)) * scales * np.array([1.0, 1.3])[:, None, None]
    x[:, 0] += gap
    y[:, 1] += gap
    return Pairs(image=x, text=y)


def measured(seed: int, n: int, gap: float, names: list[str]) -> dict[str, isthmus.Estimate]:
    data = pairs(seed, n, gap)
    view = View(data.moments(), data)
    entries = isthmus.metrics.registry()
    return {name: entries[name].compute(view) for name in names}


@cache
def estimates(gap: float) -> list[dict[str, isthmus.Estimate]]:
    return [measured(seed, ITEMS, gap, POPULATION + SAMPLE) for seed in range(SETS)]


@cache
def population(gap: float) -> dict[str, float]:
    large = [measured(10_000 + seed, 1200, gap, POPULATION) for seed in range(6)]
    return {name: float(np.mean([found[name].value for found in large])) for name in POPULATION}


def coverage(name: str, gap: float, truth: float) -> float:
    found = [sets[name] for sets in estimates(gap)]
    return float(np.mean([e.low <= truth <= e.high for e in found]))


@pytest.mark.parametrize("name", POPULATION)
def test_population(name: str) -> None:
    assert 0.90 <= coverage(name, 0.7, population(0.7)[name]) <= 0.985


@pytest.mark.parametrize("name", SAMPLE)
def test_expectation_at_this_number_of_items(name: str) -> None:
    truth = float(np.mean([sets[name].value for sets in estimates(0.7)]))
    assert 0.90 <= coverage(name, 0.7, truth) <= 0.985


@pytest.mark.parametrize("name", ["energy_distance", "mmd2_1", "centred_energy_distance"])
def test_too_wide_rather_than_too_narrow_without_a_gap(name: str) -> None:
    found = [measured(seed, ITEMS, 0.0, [name])[name] for seed in range(SETS)]
    assert np.mean([e.low <= population(0.0)[name] <= e.high for e in found]) >= 0.95


@pytest.mark.parametrize("gap", [0.0, 0.7])
def test_mixing_rate_is_never_too_narrow(gap: float) -> None:
    found = [measured(seed, ITEMS, gap, ["mixing_rate"])["mixing_rate"] for seed in range(SETS)]
    truth = float(np.mean([e.value for e in found]))
    assert np.mean([e.low <= truth <= e.high for e in found]) >= 0.95
    # ... and in a well-mixed union about twice too wide, no more.
    assert np.mean([e.high - e.low for e in found]) < 2.3 * 3.92 * np.std([e.value for e in found])
