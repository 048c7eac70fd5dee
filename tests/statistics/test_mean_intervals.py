"""Variances of functions of the means against sums over items, and the limits of their intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chi2

from isthmus import Moments
from isthmus.statistics.intervals import normal_interval
from isthmus.statistics.mean_intervals import (
    debiased_gap_squared,
    debiased_mean_products,
    gap_interval,
    gap_p_value,
    mean_covariance,
    mean_length_interval,
    mean_p_value,
    mean_product_noise,
)
from isthmus.statistics.mean_variance import effective_items, linear_variance
from isthmus.statistics.noise_intervals import noise_interval

D = 4


class Sample:
    """Unit rows of items that may have several pairs. The means of x and y are not orthogonal."""

    def __init__(self, rng: np.random.Generator, items: int = 60, rows_per_item: int = 3):
        self.items = items
        self.index = np.repeat(np.arange(items), rng.integers(1, rows_per_item + 1, size=items))
        latent = rng.normal(size=(items, D))
        self.x = _unit(latent + np.array([1.0, 0.5, 0, 0]))
        self.y = _unit(latent[self.index] + 0.5 * rng.normal(size=(len(self.index), D)) + [0.7, 0, -0.8, 0])
        self.n = len(self.y)
        self.moments = Moments.of(self.x, self.y, index=self.index)

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Sums of values of the pairs over the pairs of each item."""
        totals = np.zeros((self.items, *values.shape[1:]))
        np.add.at(totals, self.index, values)
        return totals

    def covariance(self, values: np.ndarray) -> np.ndarray:
        """Covariance of the mean of values of the pairs, with independent items, without n / (n - 1)."""
        centred = self.totals(values - values.mean(axis=0))
        return centred.T @ centred / self.n**2


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(params=[1, 3])
def sample(rng: np.random.Generator, request: pytest.FixtureRequest) -> Sample:
    return Sample(rng, rows_per_item=request.param)


def test_linear_variance_is_the_sum_over_items(sample: Sample, rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, D))
    x = sample.x[sample.index]
    cosines = np.einsum("ij,ij->i", x, sample.y)
    effective = effective_items(sample.moments)
    factor = effective / (effective - 1)
    for along_x, along_y, along_p in ((a, b, 0.7), (a, b, -0.7), (a, None, 0.0), (None, b, 1.3), (None, None, 2.0)):
        values = along_p * cosines
        values = values + (0 if along_x is None else x @ along_x) + (0 if along_y is None else sample.y @ along_y)
        expected = float(sample.covariance(values[:, None])[0, 0]) * factor
        assert linear_variance(sample.moments, along_x, along_y, along_p) == pytest.approx(expected, rel=1e-9)


def test_linear_variance_of_a_constant_is_zero_and_not_negative() -> None:
    rows = np.tile(_unit(np.array([[0.3, 0.4, 0.5]])), (7, 1))
    moments = Moments.of(rows, rows)
    assert 0 <= linear_variance(moments, np.ones(3), np.ones(3), 1.0) < 1e-15


def test_linear_variance_of_one_item_is_finite() -> None:
    moments = Moments.of(np.eye(2)[:1].repeat(2, axis=0)[:1].repeat(2, axis=0), np.eye(2))
    assert np.isfinite(linear_variance(moments, np.ones(2)))


def test_mean_covariance_is_the_sum_over_items(sample: Sample) -> None:
    expected = sample.covariance(sample.x[sample.index])
    np.testing.assert_allclose(mean_covariance(sample.moments), expected, atol=1e-14)
    np.testing.assert_allclose(mean_covariance(sample.moments.swapped()), sample.covariance(sample.y), atol=1e-14)


def test_debiased_mean_products_leave_out_an_item_with_itself(sample: Sample) -> None:
    x, y = sample.totals(sample.x[sample.index]), sample.totals(sample.y)
    counts = np.bincount(sample.index)
    different = ~np.eye(sample.items, dtype=bool)
    n_products = float(np.sum(np.outer(counts, counts)[different]))
    expected = [float(np.sum((a @ b.T)[different])) / n_products for a, b in ((x, y), (x, x), (y, y))]
    assert debiased_mean_products(sample.moments) == pytest.approx(expected, rel=1e-10)


def test_debiased_gap_squared_is_the_sum_of_the_debiased_products(sample: Sample) -> None:
    xy, xx, yy = debiased_mean_products(sample.moments)
    squared, noise = debiased_gap_squared(sample.moments)
    assert squared == pytest.approx(xx + yy - 2 * xy, rel=1e-12)
    assert noise is None  # the gap is clear


def test_debiased_gap_squared_of_noise_has_the_interval_of_the_differences(rng: np.random.Generator) -> None:
    x, y = (_unit(rows) for rows in rng.normal(size=(2, 400, D)))
    moments = Moments.of(x, y)
    difference = (x - y).mean(axis=0)
    covariance = np.cov(x - y, rowvar=False, bias=True) / 400
    noise = debiased_gap_squared(moments)[1]
    assert noise == pytest.approx(noise_interval(float(difference @ difference), covariance), rel=1e-9)
    low, high = gap_interval(moments)
    assert low == 0 == noise[0]
    assert np.sqrt(noise[1]) <= high < 1.1 * np.sqrt(noise[1])


def test_gap_interval_of_a_clear_gap_has_the_delta_method_width(rng: np.random.Generator) -> None:
    sample = Sample(rng, items=4_000, rows_per_item=1)
    gap = sample.x.mean(axis=0) - sample.y.mean(axis=0)
    along = (sample.x - sample.y) @ gap / np.linalg.norm(gap)
    low, high = gap_interval(sample.moments)
    expected = normal_interval(float(np.linalg.norm(gap)), float(np.var(along)) / 4_000)
    assert high - low == pytest.approx(expected[1] - expected[0], rel=1e-3)
    assert (low + high) / 2 == pytest.approx(np.linalg.norm(gap), rel=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    ("interval", "p_value"), [(mean_length_interval, mean_p_value), (gap_interval, gap_p_value)], ids=["mean", "gap"]
)
@pytest.mark.parametrize("level", [0.001, 0.05])
def test_interval_of_a_length_has_no_jump_where_noise_becomes_improbable(
    interval: Callable[[Moments], tuple[float, float]],
    p_value: Callable[[Moments], float],
    axis: int,
    level: float,
    rng: np.random.Generator,
) -> None:
    """A change of rule at a p-value of .001 moves the ends by a fifth of the width, up or down."""
    rows = rng.normal(size=(150, 3)) * [1.0, 0.4, 0.2]
    other = np.concatenate([rows[1:], rows[:1]]) - rows.mean(axis=0)

    def moments_at(length: float) -> Moments:
        return Moments.of(rows + length * np.eye(3)[axis], other, normalize=False)

    is_noise, is_clear = 0.0, 2.0
    for _ in range(40):
        middle = (is_noise + is_clear) / 2
        is_noise, is_clear = (middle, is_clear) if p_value(moments_at(middle)) > level else (is_noise, middle)
    assert p_value(moments_at(is_noise)) == pytest.approx(level, rel=1e-6)
    assert interval(moments_at(is_noise)) == pytest.approx(interval(moments_at(is_clear)), rel=1e-5, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("axis", "least"), [(0, 0.87), (20, 0.93)])
def test_interval_of_a_short_mean_covers_along_strong_and_weak_directions(axis: int, least: float) -> None:
    """The interval of noise alone covers .87 to .92 where the mean lies along the direction of largest variance."""
    scales, n, covered = np.arange(1, 25) ** -0.5, 150, []
    for length in (0.1, 0.3, 0.4):
        shift = length * np.eye(24)[axis]
        population = _unit(np.random.default_rng(1).normal(size=(100_000, 24)) * scales + shift)
        true = float(np.linalg.norm(population.mean(axis=0)))
        intervals = []
        for seed in range(300):
            rows = np.random.default_rng([2, seed]).normal(size=(n, 24)) * scales + shift
            intervals.append(mean_length_interval(Moments.of(rows, rows)))
        covered.append(np.mean([low <= true <= high for low, high in intervals]))
    assert min(covered) >= least
    assert np.mean(covered) >= 0.93


def test_mean_length_interval_changes_from_noise_to_the_delta_method(rng: np.random.Generator) -> None:
    rows = _unit(rng.normal(size=(500, D)))
    noise = Moments.of(rows, rows)
    mean = noise.mean_x
    expected = noise_interval(float(mean @ mean), mean_covariance(noise))
    assert expected is not None
    low, high = mean_length_interval(noise)
    assert low == pytest.approx(np.sqrt(expected[0]), abs=1e-12)
    assert np.sqrt(expected[1]) <= high < 1.1 * np.sqrt(expected[1])
    clear = Moments.of(_unit(rows + 1.0), rows)
    length = float(np.linalg.norm(clear.mean_x))
    along = _unit(rows + 1.0) @ clear.mean_x / length
    low, high = mean_length_interval(clear)
    assert high - low == pytest.approx(2 * 1.96 * np.std(along) / 500**0.5, rel=0.01)
    assert low < length < high


def test_mean_length_interval_of_a_clear_mean_has_no_jump_at_any_width_of_the_rows() -> None:
    noise = np.random.default_rng(0).normal(size=(10, 4))
    clouds = [_unit(np.eye(4)[0] + scale * noise) for scale in np.linspace(0.3, 0.9, 300)]
    ends = np.array([mean_length_interval(Moments.of(rows, rows)) for rows in clouds])
    squares = np.array([debiased_mean_products(Moments.of(rows, rows))[1] for rows in clouds])
    assert squares.min() < 0.4 < 0.7 < squares.max()
    assert np.abs(np.diff(ends[squares > 0.4], axis=0)).max() < 0.02


def test_mean_product_noise_is_the_variance_of_independent_means(sample: Sample) -> None:
    values = np.concatenate([sample.x[sample.index], sample.y], axis=1)
    covariance = sample.covariance(values)
    xx, yy, xy = covariance[:D, :D], covariance[D:, D:], covariance[:D, D:]
    expected = np.trace(xx @ yy) + np.trace(xy @ xy)
    assert mean_product_noise(sample.moments) == pytest.approx(expected, rel=1e-9)


def test_mean_product_noise_matches_a_simulation(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 3_000, 50, 3))
    y = 0.6 * x + 0.8 * y
    products = np.einsum("ij,ij->i", x.mean(axis=1), y.mean(axis=1))
    moments = Moments.of(x.reshape(-1, 3), y.reshape(-1, 3), normalize=False)
    per_sample = mean_product_noise(moments) * 3_000**2
    assert per_sample == pytest.approx(np.var(products), rel=0.1)


def test_mean_p_value_of_isotropic_rows_is_chi_square(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(20_000, 3))
    moments = Moments.of(rows, rows, normalize=False)
    expected = chi2.sf(20_000 * float(np.sum(rows.mean(axis=0) ** 2)), 3)
    assert mean_p_value(moments) == pytest.approx(expected, abs=0.01)


def test_mean_p_value_grows_with_the_inflation(rng: np.random.Generator) -> None:
    rows = _unit(rng.normal(size=(200, 3)) + 0.15)
    moments = Moments.of(rows, rows)
    p, inflated = mean_p_value(moments), mean_p_value(moments, inflation=2.0)
    assert p < inflated < 1
    covariance = 2.0 * mean_covariance(moments)
    g = np.trace(covariance @ covariance) / np.trace(covariance)
    squared = float(moments.mean_x @ moments.mean_x)
    assert inflated == pytest.approx(chi2.sf(squared / g, np.trace(covariance) / g), rel=1e-9)


def test_mean_p_value_of_equal_rows_is_zero() -> None:
    rows = np.tile([[1.0, 0.0]], (5, 1))
    assert mean_p_value(Moments.of(rows, rows)) == 0.0
