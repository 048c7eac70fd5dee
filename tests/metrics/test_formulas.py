"""Terms of intervals and nulls that are small on large data, against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

import isthmus
from isthmus import Moments, Pairs
from isthmus.metrics import frechet, margin
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics.margin import half_sample_ends
from isthmus.statistics.mean_intervals import mean_product_noise
from isthmus.statistics.mean_variance import product_variance


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clouds(rng: np.random.Generator, n: int, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    latent = rng.normal(size=(n, d))
    x, y = latent + 0.6 * rng.normal(size=(2, n, d))
    return unit(x + np.eye(d)[0]), unit(y + 0.5 * np.eye(d)[1])


def test_fisher_ratio_null_is_exact_for_swaps(rng: np.random.Generator) -> None:
    """After swaps the squared gap has the mean sum |x_i - y_i|^2 / n^2, and the total scatter stays."""
    x, y = clouds(rng, 20)
    swapped_gap = np.sum((x - y) ** 2) / 20**2
    gap = x.mean(axis=0) - y.mean(axis=0)
    within = 2 - np.sum(x.mean(axis=0) ** 2) - np.sum(y.mean(axis=0) ** 2)
    # tr S_W falls by as much as tr S_B rises: |gap|^2 / 2 + tr S_x + tr S_y is the scatter around the mean of all.
    within_after = within + (gap @ gap - swapped_gap) / 2
    null = isthmus.measure(Moments.of(x, y), metrics="fisher_ratio")["fisher_ratio"].null
    assert null == pytest.approx(swapped_gap / (2 * within_after), rel=1e-10)


def test_mean_unpaired_cosine_of_opposite_rows_is_mirrored(rng: np.random.Generator) -> None:
    x, y = np.eye(4)[0] + 0.15 * rng.normal(size=(2, 8, 4))
    y[0] = [0.2, 1, 0, 0]
    same, opposite = (isthmus.measure(x, rows)["mean_unpaired_cosine"] for rows in (y, -y))
    assert (opposite.value, opposite.low) == pytest.approx((-same.value, -same.high), rel=1e-9)
    assert opposite.high == pytest.approx(-same.low, rel=1e-9)
    assert -1 <= opposite.low < opposite.value < opposite.high < 0


def test_mean_unpaired_cosine_of_equal_rows_is_exactly_one() -> None:
    rows = np.tile(np.random.default_rng(1).normal(size=5), (40, 1))
    estimate = isthmus.measure(rows, rows, metrics=["mean_unpaired_cosine"], group=False)["mean_unpaired_cosine"]
    assert estimate.value == estimate.high == 1


def test_mean_unpaired_cosine_interval_counts_the_product_of_the_noises_once(rng: np.random.Generator) -> None:
    x, y = (unit(rows) for rows in rng.normal(size=(2, 60, 5)))
    m = Moments.of(x, y)
    noise, variance = mean_product_noise(m), product_variance(m, xy=1.0)
    estimate = isthmus.measure(m, metrics="mean_unpaired_cosine")["mean_unpaired_cosine"]
    expected = max(variance - noise, noise)
    assert expected < 0.95 * variance
    half = student.ppf(0.975, 59) * math.sqrt(expected)
    assert estimate.high == pytest.approx(estimate.value + half, rel=1e-10)


@pytest.mark.parametrize(("n", "has_interval"), [(22, False), (23, True)])
def test_mixing_rate_interval_needs_23_items(n: int, has_interval: bool, rng: np.random.Generator) -> None:
    """A list of 20 needs two rows that move up, also if both modalities have only n rows."""
    x, y = (unit(rows) for rows in rng.normal(size=(2, n, 5)))
    estimate = isthmus.measure(Pairs(image=x, text=y), metrics="mixing_rate")["mixing_rate"]
    assert math.isnan(estimate.low) is not has_interval


def test_half_sample_ends_of_many_items_scatter_as_those_of_all(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = PairedRows(*clouds(rng, 200))
    monkeypatch.setattr(margin, "MAX_SPLIT_ITEMS", 50)
    items, draws, ends = rows.random_order[:50], np.random.default_rng(0), []
    for _ in range(margin.HALF_SAMPLES):
        half = items[draws.permutation(50)[:25]]
        scores = rows.x[half] @ rows.y[half].T
        negatives = np.sort(scores[~np.eye(25, dtype=bool)])
        lowest = np.sort(np.diag(scores))[:2]
        quantile = lowest[0] + 0.3 * (lowest[1] - lowest[0])  # rank .05 * 26 = 1.3
        ends.append((quantile, negatives[len(negatives) - 1 - 30]))  # 5 % of 25 * 24
    table = half_sample_ends(rows)
    np.testing.assert_allclose(table.mean(axis=0), np.mean(ends, axis=0), rtol=1e-12)
    np.testing.assert_allclose(table.std(axis=0), np.std(ends, axis=0) / 2, rtol=1e-10)  # sqrt(50 / 200)


def test_coral_null_of_several_rows_per_item_sums_each_item(rng: np.random.Generator) -> None:
    index = np.sort(np.concatenate([np.arange(20), rng.integers(0, 20, size=25)]))
    x, latent = unit(rng.normal(size=(20, 4)) + 1), rng.normal(size=(20, 4))
    y = unit(latent[index] + 0.3 * rng.normal(size=(45, 4)))
    pairs = Pairs(image=x, text=y, index=index)
    midpoint = (x[index].mean(axis=0) + y.mean(axis=0)) / 2
    a, b = x[index] - midpoint, y - midpoint
    sums = [(a[index == i].T @ a[index == i] - b[index == i].T @ b[index == i]) for i in range(20)]
    expected = math.sqrt(sum(float(np.sum(matrix**2)) for matrix in sums)) / len(y)
    assert isthmus.measure(pairs, metrics="coral_distance")["coral_distance"].null == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "is_defined"), [(19, False), (20, True)])
def test_coral_interval_takes_the_quantile_of_students_t(
    n: int, is_defined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, n, 4)) * [[[1, 1, 1, 1]], [[3, 1, 1, 0.1]]]
    e = isthmus.measure(Pairs(x=x, y=y), metrics="coral_distance")["coral_distance"]
    assert np.isfinite(e.low) == is_defined
    assert e.note == ("" if is_defined else "no interval: 20 items are needed")
    if is_defined:
        monkeypatch.setattr(frechet, "widened_variance", lambda variance, freedom: variance)
        normal = isthmus.measure(Pairs(x=x, y=y), metrics="coral_distance")["coral_distance"]
        ratio = student.ppf(0.975, n - 1) / norm.ppf(0.975)
        assert (e.high - e.low) / (normal.high - normal.low) == pytest.approx(ratio, rel=0.02)
