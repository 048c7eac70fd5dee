"""Intervals from values without each item, and their limits for few items."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from isthmus.statistics.jackknife import jackknife_interval, mean_interval, pair_mean


def test_jackknife_interval_of_a_mean_is_its_standard_error(rng: np.random.Generator) -> None:
    values = rng.normal(size=17)
    left_out = (values.sum() - values) / 16
    low, high = jackknife_interval(float(values.mean()), left_out)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * student.ppf(0.975, 16) * values.std(ddof=1) / 17**0.5, rel=1e-10)


def test_mean_interval_of_independent_values_is_their_standard_error(rng: np.random.Generator) -> None:
    values = rng.normal(size=23)
    mean, low, high = mean_interval(values)
    assert mean == pytest.approx(values.mean())
    assert high - mean == pytest.approx(student.ppf(0.975, 22) * values.std(ddof=1) / 23**0.5, rel=1e-10)
    assert mean - low == pytest.approx(high - mean)


def test_mean_interval_adds_up_the_values_of_an_item_first(rng: np.random.Generator) -> None:
    values, owner = rng.normal(size=30), np.repeat([0, 2, 3, 7], [5, 10, 8, 7])  # items 1, 4, 5 and 6 have no value
    residuals = [float(np.sum(values[owner == item] - values.mean())) for item in (0, 2, 3, 7)]
    variance = sum(r * r for r in residuals) / 30**2 * 4 / 3
    mean, low, high = mean_interval(values, owner)
    assert mean == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * student.ppf(0.975, 3) * variance**0.5, rel=1e-10)


@pytest.mark.parametrize("owner", [None, np.zeros(1, dtype=int)])
def test_mean_interval_of_one_item_is_undefined(owner: np.ndarray | None) -> None:
    mean, low, high = mean_interval(np.array([2.0]), owner)
    assert mean == 2
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize("n", [2, 3])
def test_intervals_of_few_values_have_the_quantile_of_their_degrees_of_freedom(n: int) -> None:
    """Three degrees of freedom instead of one and two cover .81 of means of two values, and .91 of three."""
    samples = np.random.default_rng(4).normal(size=(4000, n))
    intervals = np.array([mean_interval(sample)[1:] for sample in samples])
    assert np.mean((intervals[:, 0] <= 0) & (intervals[:, 1] >= 0)) == pytest.approx(0.95, abs=0.01)
    left_out = (samples[0].sum() - samples[0]) / (n - 1)
    assert jackknife_interval(float(samples[0].mean()), left_out) == pytest.approx(intervals[0])


def test_pair_mean_without_each_item_is_that_of_the_smaller_table(rng: np.random.Generator) -> None:
    table = rng.normal(size=(9, 9))
    table = table + table.T
    np.fill_diagonal(table, 0)
    mean, left_out = pair_mean(table.sum(axis=1))
    assert mean == pytest.approx(table.sum() / 72)
    for item in range(9):
        smaller = np.delete(np.delete(table, item, 0), item, 1)
        assert left_out[item] == pytest.approx(smaller.sum() / 56)


def test_pair_mean_of_two_items_has_no_values_without_each() -> None:
    mean, left_out = pair_mean(np.array([3.0, 3.0]))
    assert mean == 3.0
    assert [math.isnan(value) for value in left_out] == [True, True]
    assert np.isfinite(pair_mean(np.array([3.0, 3.0, 4.0]))[1]).all()
