"""Variances of functions of the means, against a jackknife that leaves out each item."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from isthmus import Moments
from isthmus.statistics.mean_intervals import debiased_mean_products
from isthmus.statistics.mean_variance import effective_items, interval_variance, mean_freedom, product_variance


def unit_rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    rows = rng.normal(size=(2, n, 5)) + np.array([[[1.0, 0, 0, 0, 0]], [[1.0, 1, 0, 0, 0]]])
    rows[1] += rows[0]
    return tuple(rows / np.linalg.norm(rows, axis=2, keepdims=True))


@pytest.mark.parametrize("weights", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, -2, 0.7)])
def test_product_variance_is_the_jackknife_of_unit_rows(weights: tuple[float, ...], rng: np.random.Generator) -> None:
    n = 9
    x, y = unit_rows(rng, n)

    def statistic(kept: np.ndarray) -> float:
        m = Moments.of(x[kept], y[kept])
        xy, xx, yy = debiased_mean_products(m)
        return float(np.dot(weights, [xx, yy, xy, m.mean_paired]))

    left_out = np.array([statistic(np.delete(np.arange(n), i)) for i in range(n)])
    expected = (n - 1) / n * np.sum((left_out - left_out.mean()) ** 2)
    derivatives = dict(zip(("xx", "yy", "xy", "paired"), weights, strict=True))
    assert product_variance(Moments.of(x, y), **derivatives) == pytest.approx(expected, rel=1e-9)


def test_interval_variance_has_the_quantile_of_student(rng: np.random.Generator) -> None:
    moments = Moments.of(*unit_rows(rng, 9))
    factor = student.ppf(0.975, 8) / norm.ppf(0.975)
    assert interval_variance(moments, xx=1.0) == pytest.approx(factor**2 * product_variance(moments, xx=1.0), rel=1e-9)


def test_items_with_many_pairs_leave_fewer_degrees_of_freedom(rng: np.random.Generator) -> None:
    counts = [12, 12, *[2] * 48]
    x, y = unit_rows(rng, sum(counts))
    moments = Moments.of(x[:50], y, index=np.repeat(np.arange(50), counts))
    effective = 120**2 / (2 * 12**2 + 48 * 4)
    assert effective_items(moments) == pytest.approx(effective)
    assert mean_freedom(moments) == pytest.approx(effective**3 / 50**2 - 1)
    assert mean_freedom(Moments.of(x, y)) == 119
