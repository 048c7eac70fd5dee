"""TwoNN against scikit-learn's neighbours, known dimensions, and duplicates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.neighbors import NearestNeighbors

import isthmus
from isthmus import Pairs
from isthmus.metrics.twonn import intrinsic_dimension, two_nearest


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow(rows: np.ndarray) -> float:
    distances, _ = NearestNeighbors(n_neighbors=2).fit(rows).kneighbors()
    return float((len(rows) - 1) / np.sum(np.log(distances[:, 1] / distances[:, 0])))


def measured(x: Any, y: Any, **options: Any) -> isthmus.Estimate:
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=["intrinsic_dimension_{side}"], **options)
    return estimates["intrinsic_dimension_image"]


def test_twonn_equals_scikit_learn(cones: Any) -> None:
    x, y = cones
    assert measured(x, y).value == pytest.approx(slow(unit(x)), abs=1e-8)
    assert measured(x, y, normalize=False).value == pytest.approx(slow(x), abs=1e-8)
    assert measured(y, x).value == pytest.approx(slow(unit(y)), abs=1e-8)


@pytest.mark.parametrize("dimension", [1, 3, 6])
def test_twonn_of_a_known_dimension_is_covered(rng: np.random.Generator, dimension: int) -> None:
    rows = np.zeros((3000, 10))
    rows[:, :dimension] = rng.uniform(size=(3000, dimension))
    value, error = two_nearest(rows @ np.linalg.qr(rng.normal(size=(10, 10)))[0])
    assert value == pytest.approx(dimension, rel=0.12)
    assert 0.8 * value / np.sqrt(3000) < error < 2 * value / np.sqrt(3000)


def test_twonn_counts_duplicates_once(cones: Any, rng: np.random.Generator) -> None:
    x, y = cones
    plain = measured(x, y)
    copies = rng.permutation(
        np.concatenate([np.arange(120), [3, 3, 40], np.full(30, 77)])
    )  # more copies than neighbours
    twice = measured(x[copies], y[copies])
    assert twice.value == pytest.approx(plain.value, abs=1e-10)
    assert measured(3 * x[copies].astype(np.float32), y[copies].astype(np.float32)).value == pytest.approx(
        plain.value, rel=1e-4
    )
    scaled = np.concatenate([x, 3.7 * x[:50]])  # equal directions
    assert measured(scaled, scaled).value == pytest.approx(plain.value, abs=1e-8)


def test_twonn_of_few_distinct_rows_is_undefined() -> None:
    x = np.eye(6)[[0, 0, 0, 1, 1, 1]]
    assert "fewer than three distinct rows" in str(measured(x, x, group=False).undefined)
    assert "equal distances to all neighbours" in str(measured(np.eye(8), np.eye(8)).undefined)
    assert np.isnan(intrinsic_dimension(np.eye(2)))


@pytest.mark.parametrize(("n_distinct", "is_defined"), [(11, False), (12, True)])
def test_twonn_interval_counts_distinct_rows(rng: np.random.Generator, n_distinct: int, is_defined: bool) -> None:
    x = rng.normal(size=(n_distinct, 3))
    copies, y = np.repeat(x, 9, axis=0), rng.normal(size=(9 * n_distinct, 3))
    e = measured(copies, y, group=False)
    assert e.value == pytest.approx(slow(unit(x)), abs=1e-8)
    assert np.isfinite(e.low) == is_defined
    if is_defined:
        plain = measured(x, y[:n_distinct])
        assert (e.low, e.high) == pytest.approx((plain.low, plain.high), abs=1e-8)
    else:
        assert e.note == "no interval: 11 rows are distinct, 12 are needed"


def test_twonn_separates_close_rows_in_float32(rng: np.random.Generator) -> None:
    base = unit(rng.normal(size=(1, 20)))
    rows = (base + 1e-3 * rng.normal(size=(300, 20))).astype(np.float32)  # cosines of 1 - 1e-5
    estimates = measured(rows, rows).value
    assert estimates == pytest.approx(slow(unit(rows.astype(np.float64))), rel=0.05)


def test_twonn_of_clip_has_known_values(clip_coco: Pairs) -> None:
    estimates = isthmus.measure(clip_coco, metrics=["intrinsic_dimension_{side}"])
    assert estimates["intrinsic_dimension_image"].value == pytest.approx(14.8, abs=0.06)
    assert estimates["intrinsic_dimension_text"].value == pytest.approx(12.2, abs=0.06)


def test_twonn_interval_equals_a_loop(cones: Any) -> None:
    x, y = cones
    rows = unit(x)
    distances, index = NearestNeighbors(n_neighbors=2).fit(rows).kneighbors()
    logs = np.log(distances[:, 1] / distances[:, 0])
    residuals, pairs = logs - logs.mean(), [{i, int(index[i, 0])} for i in range(120)]
    parts = np.zeros(120)  # half of each product of dependent pairs at each of their shared rows
    for i, j in np.ndindex(120, 120):
        for shared in pairs[i] & pairs[j]:
            parts[shared] += residuals[i] * residuals[j] / len(pairs[i] & pairs[j])
    variance = parts.sum()
    freedom = 2 * variance**2 / (120 * parts.var())
    independent = sum(residuals[i] * residuals[j] for i, j in np.ndindex(120, 120) if pairs[i] == pairs[j])
    error = np.sqrt(max(variance * (t.ppf(0.975, freedom) / norm.ppf(0.975)) ** 2, independent)) / 119
    e, mean = measured(x, y), logs.sum() / 119
    ratio = np.exp(t.ppf(0.975, 119) * error / mean)
    assert (e.low, e.high) == pytest.approx((1 / mean / ratio, ratio / mean), rel=1e-6)


def test_twonn_of_nearly_equal_distances_equals_scikit_learn(rng: np.random.Generator) -> None:
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 6), axis=-1).reshape(-1, 6)  # six neighbours at the same distance
    rows = np.concatenate([corners + 3 * i for i in range(4)]) + 1e-6 * rng.normal(size=(256, 6))
    assert two_nearest(rows.astype(np.float32))[0] == pytest.approx(slow(rows.astype(np.float32)), rel=1e-3)
