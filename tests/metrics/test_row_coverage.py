"""Intervals of measures of rows contain the true value in about 95 of 100 of 300 simulated data sets.

Every formula has a faster test in the file of its measure.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.metrics import MetricContext
from isthmus.statistics.moments import moments_of

SETS = 300
ITEMS = 80
#: Measures of the population. The true value comes from data sets of many items.
POPULATION = [
    "instance_gap", "alignment", "energy_distance", "centred_energy_distance", "mmd2_0.5", "mmd2_1", "mmd2_2",
    "uniformity_{side}", "cross_uniformity", "unbiased_cka",
]  # fmt: skip
#: Measures that depend on the number of items. The true value is the mean over the data sets.
OF_THIS_SIZE = [
    "mutual_knn", "mixed_partner_rank_{side}", "intrinsic_dimension_{side}", "linear_separability",
    "separability_auc",
]  # fmt: skip


def pairs(seed: int, n: int, gap: float, stretch: float = 1.0) -> Pairs:
    """Return anisotropic correlated clouds of unequal spread, with a gap and half of the directions of y stretched."""
    rng, d = np.random.default_rng(seed), 8
    scales = 1 / np.sqrt(np.arange(1, d + 1))
    latent = rng.normal(size=(n, d)) * scales
    x, y = latent + 0.5 * rng.normal(size=(2, n, d)) * scales * np.array([1.0, 1.3])[:, None, None]
    y[:, d // 2 :] *= stretch
    x[:, 0] += gap
    y[:, 1] += gap
    return Pairs(image=x, text=y)


def measured(seed: int, n: int, gap: float, names: list[str], stretch: float = 1.0) -> dict[str, isthmus.Estimate]:
    data = pairs(seed, n, gap, stretch)
    context = MetricContext(moments_of(data), data)
    entries = isthmus.metrics.registry()
    return {name: entries[name].compute(context) for name in names}


@cache
def estimates(gap: float) -> list[dict[str, isthmus.Estimate]]:
    return [measured(seed, ITEMS, gap, POPULATION + OF_THIS_SIZE) for seed in range(SETS)]


@cache
def population(gap: float) -> dict[str, float]:
    large = [measured(10_000 + seed, 1200, gap, POPULATION) for seed in range(6)]
    return {name: float(np.mean([estimates[name].value for estimates in large])) for name in POPULATION}


def coverage(name: str, gap: float, truth: float) -> float:
    return float(np.mean([sets[name].low <= truth <= sets[name].high for sets in estimates(gap)]))


@pytest.mark.slow
@pytest.mark.parametrize("name", POPULATION)
def test_interval_of_a_population_value_covers(name: str) -> None:
    assert 0.90 <= coverage(name, 0.7, population(0.7)[name]) <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_THIS_SIZE)
def test_interval_of_an_expectation_covers(name: str) -> None:
    truth = float(np.mean([sets[name].value for sets in estimates(0.7)]))
    assert 0.90 <= coverage(name, 0.7, truth) <= 0.985


@pytest.mark.slow
@pytest.mark.parametrize("name", ["energy_distance", "mmd2_1", "centred_energy_distance"])
def test_interval_without_a_gap_is_not_too_narrow(name: str) -> None:
    results = [measured(seed, ITEMS, 0.0, [name])[name] for seed in range(SETS)]
    assert np.mean([e.low <= population(0.0)[name] <= e.high for e in results]) >= 0.93


@pytest.mark.slow
def test_centred_mmd_interval_covers_different_shapes() -> None:
    """If the shapes hardly differ, the interval is too wide (.99), as the definition of the measure says."""
    name, sets = "centred_mmd2_1", range(SETS)
    truth = np.mean([measured(10_000 + seed, 1200, 0.7, [name], 3.0)[name].value for seed in range(6)])
    results = [measured(seed, ITEMS, 0.7, [name], 3.0)[name] for seed in sets]
    assert 0.90 <= np.mean([e.low <= truth <= e.high for e in results]) <= 0.985


@pytest.mark.slow
def test_mmd_interval_in_narrow_cones_covers_the_value_at_the_bandwidth_of_many_rows() -> None:
    """The error of the median distance counts. Without it, intervals cover .86 and .82."""
    names, d = ["mmd2_1", "mmd2_2"], 24
    scales, axes = 1 / np.sqrt(np.arange(1, d + 1)), np.eye(d)

    def in_a_cone(seed: int, n: int) -> dict[str, isthmus.Estimate]:
        latent, own_x, own_y = np.random.default_rng(seed).normal(size=(3, n, d)) * scales
        x, y = latent + 0.6 * own_x + 1.5 * axes[12], latent + 0.8 * own_y - 1.5 * axes[12]
        return isthmus.measure(Pairs(image=x + 12 * axes[5], text=y + 12 * axes[5]), metrics=names)

    large = [in_a_cone(10_000 + seed, 1200) for seed in range(8)]
    results = [in_a_cone(seed, 150) for seed in range(SETS)]
    for name in names:
        truth = np.mean([estimates[name].value for estimates in large])
        assert 0.90 <= np.mean([e[name].low <= truth <= e[name].high for e in results]) <= 0.99, name


TRIMMED = ("siglip_margin_trimmed", "siglip_relative_bias_trimmed")


@pytest.mark.slow
def test_trimmed_margin_interval_covers_from_200_items() -> None:
    names = list(TRIMMED)
    truth = [measured(10_000 + seed, 2500, 0.7, names) for seed in range(3)]
    results = [measured(seed, 200, 0.7, names) for seed in range(SETS)]
    for name in names:
        true = float(np.mean([e[name].value for e in truth]))
        assert 0.92 <= np.mean([e[name].low <= true <= e[name].high for e in results]) <= 0.99, name


def isotropic_caps(seed: int, n: int, shared: float = 0.0) -> Pairs:
    """Return rows around two orthogonal axes, whose directions have a common part."""
    rng, d = np.random.default_rng(seed), 24
    rows = rng.normal(size=(2, n, d))
    heights = rng.beta(8, 2, size=(2, n, 1))
    rows += shared * rng.normal(size=(n, d)) if shared else 0
    for axis, modality in enumerate(rows):
        modality[:, axis] = 0
        modality *= np.sqrt(1 - heights[axis] ** 2) / np.linalg.norm(modality, axis=1, keepdims=True)
        modality[:, axis] = heights[axis, :, 0]
    return Pairs(image=rows[0], text=rows[1])


@pytest.mark.slow
def test_mixing_rate_interval_covers_a_rate_of_few_neighbours() -> None:
    """Isotropic caps far apart: a symmetric interval covers .85 here, and the exact one more than .95."""
    results = [
        isthmus.measure(isotropic_caps(seed, 150), metrics=["mixing_rate"])["mixing_rate"] for seed in range(120)
    ]
    true = float(np.mean([e.value for e in results]))
    assert true < 0.01
    assert np.mean([e.low <= true <= e.high for e in results]) >= 0.93
    assert max(e.high for e in results) < 0.1


@pytest.mark.slow
def test_intervals_in_isotropic_caps_cover() -> None:
    """Some rows are near to many. One of hundreds of rows may be misclassified."""
    names = ["mutual_knn", "intrinsic_dimension_{side}", "linear_separability"]
    results = [isthmus.measure(isotropic_caps(seed, 300, 1.7), metrics=names) for seed in range(150)]
    for name in results[0]:
        true = float(np.mean([sets[name].value for sets in results]))
        assert np.mean([sets[name].low <= true <= sets[name].high for sets in results]) >= 0.92, name


def test_pair_distance_interval_of_several_rows_per_item_covers() -> None:
    """Items have one to five rows of y whose distances to x are correlated."""
    rng, results = np.random.default_rng(3), []
    names = ["instance_gap", "alignment"]
    entries = isthmus.metrics.registry()
    for sets in range(SETS + 1):
        items = ITEMS if sets < SETS else 100_000
        index = np.repeat(np.arange(items), rng.integers(1, 6, size=items))
        x, shared = rng.normal(size=(2, items, 4)) * [[[1.0]], [[0.6]]]
        data = Pairs(image=x + 2, text=(x + shared)[index] + 0.2 * rng.normal(size=(len(index), 4)) + 2, index=index)
        if sets == SETS:
            distances = np.linalg.norm(data.unit()[0][index] - data.unit()[1], axis=1)
            truth = {"instance_gap": distances.mean(), "alignment": np.mean(distances**2)}
        else:
            context = MetricContext(moments_of(data), data)
            results.append({name: entries[name].compute(context) for name in names})
    for name in names:
        assert 0.90 <= np.mean([e[name].low <= truth[name] <= e[name].high for e in results]) <= 0.98, name


def test_every_interval_is_simulated() -> None:
    """The coverage of every interval is tested here, or in test_coverage.py for moments."""
    here = {*POPULATION, *OF_THIS_SIZE, "mixing_rate", "centred_mmd2_1", *TRIMMED}
    for name, m in isthmus.metrics.registry().items():
        if m.requires == "rows" and not m.interval.startswith("none: ") and "_R@" not in name:
            assert name in here, name
        if m.interval.startswith("none: "):
            assert len(m.interval) > len("none: ") + 15, name  # the reason


@pytest.mark.parametrize("gap", [0.0, 0.7])
def test_mixing_rate_interval_is_not_too_narrow(gap: float) -> None:
    results = [measured(seed, ITEMS, gap, ["mixing_rate"])["mixing_rate"] for seed in range(SETS)]
    truth = float(np.mean([e.value for e in results]))
    assert np.mean([e.low <= truth <= e.high for e in results]) >= 0.95
    # ... and in a well-mixed union about twice too wide, no more.
    assert np.mean([e.high - e.low for e in results]) < 2.3 * 3.92 * np.std([e.value for e in results])
