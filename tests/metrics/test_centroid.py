"""The interval of the angle between the means, for means at angles other than 90 degrees."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

import isthmus
from isthmus import Moments, Pairs
from isthmus.metrics import MetricContext, evaluate, registry
from isthmus.metrics.centroid import MAX_COSINE_ERROR, gap_angle
from isthmus.statistics.mean_intervals import debiased_mean_cosine
from isthmus.statistics.moments import moments_of

N, D, SETS = 240, 8, 500


def clouds(angle: float, n: int, rng: np.random.Generator, *, length: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Return unit rows of correlated, anisotropic clouds whose shifts are `angle` degrees apart."""
    scales = np.arange(1, D + 1) ** -0.5
    latent = rng.normal(size=(n, D)) * scales
    x, y = latent + 0.5 * rng.normal(size=(2, n, D)) * scales
    x[:, 0] += length
    y[:, 0] += length * math.cos(math.radians(angle))
    y[:, 1] += length * math.sin(math.radians(angle))
    return x / np.linalg.norm(x, axis=1, keepdims=True), y / np.linalg.norm(y, axis=1, keepdims=True)


def context_of(x: np.ndarray, y: np.ndarray) -> MetricContext:
    return MetricContext(Moments.of(x, y))


@cache
def population_cosine(angle: float) -> float:
    x, y = (rows.mean(axis=0) for rows in clouds(angle, 400_000, np.random.default_rng(1)))
    return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


@pytest.mark.parametrize("angle", [30, 90, 120])
def test_cosine_error_equals_the_jackknife(angle: float, rng: np.random.Generator) -> None:
    x, y = clouds(angle, N, rng)
    _, variance = debiased_mean_cosine(context_of(x, y).moments)
    left_out = np.array(
        [debiased_mean_cosine(context_of(np.delete(x, i, 0), np.delete(y, i, 0)).moments)[0] for i in range(N)]
    )
    exact = math.sqrt((N - 1) / N * float(np.sum((left_out - left_out.mean()) ** 2)))
    assert math.sqrt(variance) == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("angle", [30, 90, 120])
def test_centroid_angle_interval_covers(angle: float) -> None:
    rng, cosine = np.random.default_rng(2), population_cosine(angle)
    true = math.degrees(math.acos(cosine))
    assert true == pytest.approx(angle, abs=3)
    estimates = [gap_angle(context_of(*clouds(angle, N, rng))) for _ in range(SETS)]
    missed = np.mean([not estimate.low <= true <= estimate.high for estimate in estimates])
    assert 0.03 <= missed <= 0.075
    # The width is that of the scatter of the estimates.
    widths = [math.cos(math.radians(e.low)) - math.cos(math.radians(e.high)) for e in estimates]
    scatter = np.std([math.cos(math.radians(e.value)) for e in estimates])
    assert np.mean(widths) == pytest.approx(3.92 * scatter, rel=0.1)


def test_centroid_angle_bounds_are_in_order(rng: np.random.Generator) -> None:
    x, y = clouds(30, N, rng)
    pairs = Pairs(image=x, text=y)
    estimate = evaluate(registry()["centroid_angle"], MetricContext(moments_of(pairs), pairs))["centroid_angle"]
    assert 0 < estimate.low < estimate.value < estimate.high < 90


def test_centroid_angle_with_a_large_error_is_undefined(rng: np.random.Generator) -> None:
    """Ten items: both means differ from zero, and the cosine is known to more than `MAX_COSINE_ERROR`."""
    x, y = clouds(90, 12, rng, length=1.0)
    context = context_of(x, y)
    error = math.sqrt(debiased_mean_cosine(context.moments)[1])
    assert error > MAX_COSINE_ERROR
    estimate = gap_angle(context)
    assert math.isnan(estimate.value)
    rounded_up = math.ceil(1000 * error) / 1000
    assert estimate.undefined == f"the cosine between the means has a standard error of {rounded_up:g}, more than 0.1"


def test_gap_angle_with_inflation_needs_longer_means(rng: np.random.Generator) -> None:
    """Means that differ from zero at p < .01 do not if the variance of the means is larger by a factor."""
    context = context_of(*clouds(90, N, rng))
    assert not gap_angle(context).undefined
    estimate = gap_angle(context, inflation=400.0)
    assert "is not distinguishable from zero at p < 0.01 (length 0." in str(estimate.undefined)


@pytest.mark.parametrize(("level", "is_defined"), [(0.0099, True), (0.0101, False)])
def test_centroid_angle_is_defined_below_the_level(level: float, is_defined: bool, rng: np.random.Generator) -> None:
    """The test of the means has the level .01."""
    from isthmus.metrics import centroid

    context = context_of(*clouds(90, N, rng))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(centroid, "mean_p_value", lambda moments, inflation: level)
        assert bool(gap_angle(context).undefined) is not is_defined


@pytest.mark.parametrize("modality", ["x", "y"])
def test_centroid_angle_needs_both_means(modality: str, rng: np.random.Generator) -> None:
    x, y = clouds(30, N, rng)
    isotropic = rng.normal(size=(N, D))
    context = context_of(isotropic, y) if modality == "x" else context_of(x, isotropic)
    assert str(gap_angle(context).undefined).startswith(f"the mean of {modality} is not distinguishable from zero")


@pytest.mark.parametrize("sign", [1, -1])
def test_interval_of_an_angle_near_zero_or_180_degrees_has_a_width_and_reaches_the_end(sign: int) -> None:
    end = 0.0 if sign > 0 else 180.0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        latent, *noise = rng.normal(size=(3, 150, 12))
        x, y = latent + noise[0] + 1.0, latent + noise[1] + 1.0
        estimate = isthmus.measure(Pairs(image=x, text=sign * y), metrics="centroid_angle")["centroid_angle"]
        near, far = (estimate.low, estimate.high) if sign > 0 else (estimate.high, estimate.low)
        assert near == pytest.approx(end, abs=4)
        assert 1 < abs(far - end) < 15
