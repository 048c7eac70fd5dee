"""Rank correlation and isotonic R2 against SciPy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.isotonic import IsotonicRegression

from isthmus.statistics.correlation import (
    isotonic_r2,
    isotonic_r2_of_samples,
    spearman,
    spearman_of_samples,
)


def test_spearman_with_ties_is_that_of_scipy(rng: np.random.Generator) -> None:
    a, b = rng.integers(0, 6, 25).astype(float), rng.normal(size=25)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_spearman_of_a_constant_is_undefined() -> None:
    assert math.isnan(spearman(np.arange(25.0), np.ones(25)))


def test_isotonic_r2_is_that_of_the_better_regression_of_scikit_learn(rng: np.random.Generator) -> None:
    a, b = rng.integers(0, 6, 25).astype(float), rng.normal(size=25)
    fitted = [IsotonicRegression(increasing=up).fit(a, b).predict(a) for up in (True, False)]
    residual = min(np.sum((b - f) ** 2) for f in fitted)
    assert isotonic_r2(a, b) == pytest.approx(1 - residual / np.sum((b - b.mean()) ** 2))


def test_isotonic_r2_of_a_decreasing_function_is_one(rng: np.random.Generator) -> None:
    a = rng.integers(0, 6, 25).astype(float)
    assert isotonic_r2(a, -(a**3)) == pytest.approx(1)


def test_spearman_ignores_differences_below_the_twelfth_decimal() -> None:
    a = np.array([1.0, 1.0 + 1e-14, 2.0, 3.0])
    b = np.array([2.0, 1.0, 3.0, 4.0])
    assert spearman(a, b) == pytest.approx(spearmanr([1, 1, 2, 3], b).statistic)
    assert spearman(a + np.array([0, 1e-11, 0, 0]), b) == pytest.approx(spearmanr([1, 2, 3, 4], b).statistic)


def test_isotonic_r2_treats_values_within_two_per_cent_as_ties() -> None:
    b = np.array([0.0, 1.0, 0.0, 1.0])
    apart = np.array([0.0, 0.03, 0.97, 1.0])
    tied = np.array([0.0, 0.004, 0.996, 1.0])
    assert isotonic_r2(tied, b) == pytest.approx(0.0)
    assert isotonic_r2(apart, b) == pytest.approx(0.5)


def test_isotonic_r2_of_a_constant_is_zero_and_of_a_constant_response_undefined() -> None:
    assert isotonic_r2(np.ones(5), np.arange(5.0)) == 0.0
    assert math.isnan(isotonic_r2(np.arange(5.0), np.ones(5)))
    assert math.isnan(isotonic_r2(np.ones(5), np.ones(5)))


@pytest.mark.parametrize("n", [12, 150], ids=["fewer values than cells", "more values than cells"])
def test_correlations_of_samples_are_those_of_the_drawn_pairs(n: int, rng: np.random.Generator) -> None:
    a, b = rng.normal(size=n).round(1), rng.normal(size=n)
    drawn = rng.integers(0, n, size=(6, n))
    counts = np.stack([np.bincount(rows, minlength=n) for rows in drawn])
    ranks, shares = spearman_of_samples(a, b, counts), isotonic_r2_of_samples(a, b, counts)
    for rows, rank, share in zip(drawn, ranks, shares, strict=True):
        assert rank == pytest.approx(spearmanr(a[rows], b[rows]).statistic, rel=1e-12)
        cells = np.round(a[rows] / (0.02 * np.ptp(a[rows])))
        fitted = [IsotonicRegression(increasing=up).fit(cells, b[rows]).predict(cells) for up in (True, False)]
        residual = min(np.sum((b[rows] - f) ** 2) for f in fitted)
        assert share == pytest.approx(1 - residual / np.sum((b[rows] - b[rows].mean()) ** 2), rel=1e-12)


def test_isotonic_r2_of_an_undefined_response_is_undefined() -> None:
    assert math.isnan(isotonic_r2(np.arange(3.0), np.array([1.0, math.nan, 2.0])))
