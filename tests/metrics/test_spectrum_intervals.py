"""Slopes of nearly isotropic spectra, and spectra of repeated rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.metrics import MetricContext, evaluate, registry
from isthmus.statistics.moments import moments_of

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


def test_slope_of_isotropic_rows_has_an_interval_from_zero(rng: np.random.Generator) -> None:
    for estimate in slopes(200, 0.0, 1, rng):
        assert estimate.low == 0
        assert estimate.value < 0.75 * estimate.plugin < estimate.high
        assert estimate.plugin == pytest.approx(estimate.null, rel=0.6)


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
    for name, estimate in single.items():
        if name.endswith("_image") and not math.isnan(estimate.null):
            assert flat[name].null == estimate.null, name


@pytest.mark.slow
@pytest.mark.parametrize("rows_per_item", [1, 5])
@pytest.mark.parametrize("exponent", [0.0, 0.3, 0.5, 1.0])
def test_intervals_of_slopes_cover_nearly_isotropic_and_steep_spectra(exponent: float, rows_per_item: int) -> None:
    truth = slopes(200_000 // rows_per_item, exponent, rows_per_item, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    estimates = [slopes(200, exponent, rows_per_item, rng) for _ in range(SETS)]
    for number, large in enumerate(truth):
        stated = [pair[number] for pair in estimates if not math.isnan(pair[number].low)]
        assert len(stated) >= 0.9 * SETS
        share = np.mean([e.low <= large.plugin <= e.high for e in stated])
        # The slope of isotropic rows, 0, is the end of the range, so that their intervals cover always.
        assert 0.93 - 2.6 * 0.018 <= share <= (1.0 if exponent < 0.5 else 0.99)


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [0.0, 0.4, 1.0])
def test_intervals_of_anisotropy_cover_isotropic_and_steep_spectra(exponent: float) -> None:
    scales = np.arange(1, 9) ** (-exponent / 2)

    def anisotropy(n: int, rng: np.random.Generator) -> isthmus.Estimate:
        x = rng.normal(size=(n, 8)) * scales
        pairs = Pairs(image=x, text=x + rng.normal(size=(n, 8)))
        context = MetricContext(moments_of(pairs), pairs)
        return evaluate(registry()["anisotropy_{side}"], context)["anisotropy_image"]

    truth = anisotropy(200_000, np.random.default_rng(0)).plugin
    rng = np.random.default_rng(1)
    stated = [e for e in (anisotropy(200, rng) for _ in range(SETS)) if not math.isnan(e.low)]
    assert len(stated) >= 0.9 * SETS
    assert np.mean([e.low <= truth <= e.high for e in stated]) >= 0.93 - 2.6 * 0.018
