"""Slopes of nearly isotropic spectra, and spectra of repeated rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.metrics import MetricContext, evaluate, registry
from isthmus.metrics.spectrum import _scores_and_bias
from isthmus.statistics.moments import moments_of
from isthmus.statistics.spectral_errors import SpectralErrors

SETS = 200


def slopes(
    n: int, exponent: float, rows_per_item: int, rng: np.random.Generator, d: int = 10
) -> list[isthmus.Estimate]:
    """Return the slopes of x and y for items whose variances fall as k^-exponent."""
    scales = np.arange(1, d + 1) ** (-exponent / 2)
    index = np.repeat(np.arange(n), rows_per_item)
    latent = rng.normal(size=(n, d)) * scales
    y = 0.8 * latent[index] + 0.6 * rng.normal(size=(len(index), d)) * scales
    pairs = Pairs(image=latent, text=y, index=None if rows_per_item == 1 else index)
    context = MetricContext(moments_of(pairs), pairs)
    return list(evaluate(registry()["power_law_slope_{side}"], context).values())


def test_slope_of_isotropic_rows_has_no_interval(rng: np.random.Generator) -> None:
    for estimate in slopes(200, 0.0, 1, rng):
        assert math.isnan(estimate.low)
        assert estimate.note == "no interval: the spectrum is nearly isotropic at this n"
        assert estimate.value == pytest.approx(estimate.null, rel=0.6)


def second_moment(rows: np.ndarray, *, is_centred: bool) -> np.ndarray:
    rows = rows - rows.mean(axis=0) if is_centred else rows
    return rows.T @ rows / len(rows)


@pytest.mark.parametrize("is_centred", [False, True])
def test_errors_of_sums_over_eigenvalues_are_those_of_the_jackknife(is_centred: bool, rng: np.random.Generator) -> None:
    n, d = 120, 12
    x = rng.normal(size=(n, d)) * np.arange(1, d + 1) ** -0.6
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    context = MetricContext(moments_of(pairs := Pairs(image=x, text=x)), pairs)
    values, directions = np.linalg.eigh(second_moment(x, is_centred=is_centred))
    values, directions = values[::-1], directions[:, ::-1]
    centre = context.moments.mean_x if is_centred else None
    errors = SpectralErrors(values, directions, context.influence_sample, centre=centre)
    weights = np.linspace(-1, 1, d)

    def weighted_logarithms(rows: np.ndarray) -> float:
        return float(weights @ np.log(np.linalg.eigvalsh(second_moment(rows, is_centred=is_centred))[::-1]))

    scores, _ = _scores_and_bias(errors, weights / values, -weights / values**2, n)
    without = np.array([weighted_logarithms(np.delete(x, row, axis=0)) for row in range(n)])
    assert context.influence_sample is not None
    assert context.influence_sample.variance(scores) == pytest.approx((n - 1) * without.var(), rel=0.04)


def test_slope_of_two_groups_of_equal_variances_has_no_interval(rng: np.random.Generator) -> None:
    x = rng.normal(size=(1000, 16)) * np.where(np.arange(16) < 4, 2.0, 1.0)
    estimate = isthmus.measure(Pairs(image=x, text=x + 1), metrics=["power_law_slope_image"])["power_law_slope_image"]
    assert math.isnan(estimate.low)
    assert estimate.note == "no interval: directions of equal variance would explain the spectrum"


def test_anisotropy_of_isotropic_rows_has_an_interval_from_one(rng: np.random.Generator) -> None:
    x = rng.normal(size=(400, 12))
    estimate = isthmus.measure(Pairs(image=x, text=x + 1), metrics=["anisotropy_image"])["anisotropy_image"]
    assert estimate.low == 1
    assert 1 <= estimate.value < estimate.plugin < estimate.high < 2


@pytest.mark.parametrize("name", ["effective_rank_image", "participation_ratio_image"])
def test_ranks_near_the_dimension_have_longer_intervals_below_than_above(name: str, rng: np.random.Generator) -> None:
    x = rng.normal(size=(2000, 12)) * np.linspace(1, 1.2, 12)
    estimate = isthmus.measure(Pairs(image=x, text=x + 1), metrics=[name])[name]
    assert estimate.high < 12
    assert estimate.value - estimate.low > 1.15 * (estimate.high - estimate.value)


def test_slope_of_many_isotropic_dimensions_has_no_interval(rng: np.random.Generator) -> None:
    estimate = slopes(640, 0.1, 1, rng, d=64)[0]
    assert math.isnan(estimate.low)
    assert estimate.note == "no interval: the spectrum is nearly isotropic at this n"


def test_spectrum_nulls_of_repeated_rows_are_those_of_the_distinct_rows(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 60, 5)) + 1
    many = np.repeat(y, 4, axis=0) + 0.1 * rng.normal(size=(240, 5))
    single, flat = (
        isthmus.measure(pairs, metrics="spectrum")
        for pairs in (Pairs(image=x, text=y), Pairs(image=x, text=many, index=np.repeat(np.arange(60), 4)))
    )
    names = [name for name, e in single.items() if name.endswith("_image") and not math.isnan(e.null)]
    assert names
    for name in names:
        assert flat[name].null == single[name].null, name


@pytest.mark.slow
@pytest.mark.parametrize("rows_per_item", [1, 5])
def test_intervals_of_clear_slopes_cover(rows_per_item: int) -> None:
    truth = slopes(200_000 // rows_per_item, 1.0, rows_per_item, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    estimates = [slopes(400, 1.0, rows_per_item, rng) for _ in range(SETS)]
    for number, large in enumerate(truth):
        stated = [pair[number] for pair in estimates if not math.isnan(pair[number].low)]
        assert len(stated) >= 0.75 * SETS
        assert 0.89 <= np.mean([e.low <= large.plugin <= e.high for e in stated]) <= 0.999


@pytest.mark.slow
@pytest.mark.parametrize(
    "variances",
    [
        np.ones(8),
        np.arange(1, 9) ** -0.4,
        np.arange(1, 9) ** -1.0,
        np.repeat([2.0, 1.0], 4),
        np.repeat([4.0, 1.0], [2, 6]),
    ],
)
def test_intervals_of_anisotropy_cover_isotropic_steep_and_tied_spectra(variances: np.ndarray) -> None:
    def anisotropy(n: int, rng: np.random.Generator) -> isthmus.Estimate:
        x = rng.normal(size=(n, 8)) * np.sqrt(variances)
        pairs = Pairs(image=x, text=x + rng.normal(size=(n, 8)))
        context = MetricContext(moments_of(pairs), pairs)
        return evaluate(registry()["anisotropy_{side}"], context)["anisotropy_image"]

    truth = anisotropy(200_000, np.random.default_rng(0)).plugin
    rng = np.random.default_rng(1)
    estimates = [anisotropy(200, rng) for _ in range(SETS)]
    assert np.mean([e.low <= truth <= e.high for e in estimates]) >= 0.89
