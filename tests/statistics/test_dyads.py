"""The standard error of sums over pairs of items equals a loop, and that of many simulated sums."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from isthmus.statistics.dyads import dyadic_variance


def test_variance_equals_a_loop_over_pairs_that_share_an_item(rng: np.random.Generator) -> None:
    n, m = 30, 200
    first, second = rng.integers(0, n, size=m), rng.integers(0, n - 1, size=m)
    second += second >= first
    residuals = rng.normal(size=m) + 0.5
    pairs = [{int(a), int(b)} for a, b in zip(first, second, strict=True)]
    parts = np.zeros(n)
    for i, j in np.ndindex(m, m):
        for shared in pairs[i] & pairs[j]:
            parts[shared] += residuals[i] * residuals[j] / len(pairs[i] & pairs[j])
    variance = parts.sum()
    factor = t.ppf(0.975, min(2 * variance**2 / (n * parts.var()), n - 1)) / norm.ppf(0.975)
    assert dyadic_variance(first, second, residuals, n) == pytest.approx(variance * factor**2)
    assert dyadic_variance(second[::-1], first[::-1], residuals[::-1], n) == pytest.approx(variance * factor**2)


def test_variance_is_not_below_that_of_independent_pairs() -> None:
    """Terms of pairs that share an item cancel, as in a sample where the sum of residuals is 0."""
    assert dyadic_variance(np.array([0, 0]), np.array([1, 2]), np.array([1.0, -1.0]), 3) == 2.0


def test_variance_is_that_of_simulated_sums_of_products(rng: np.random.Generator) -> None:
    """Terms u_i + u_j + e_ij of a random graph. Independent terms have a third of the variance."""
    n, first, second = 200, *rng.integers(0, 200, size=(2, 400))
    is_pair = first != second
    first, second = first[is_pair], second[is_pair]
    sums, variances = [], []
    for _ in range(300):
        u = rng.normal(size=n)
        residuals = u[first] + u[second] + rng.normal(size=len(first))
        sums.append(residuals.sum())
        variances.append(dyadic_variance(first, second, residuals, n))
    assert 0.85 < np.mean(variances) / np.var(sums) < 1.25
