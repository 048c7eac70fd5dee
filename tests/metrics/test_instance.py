"""Distances within pairs against loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

import isthmus
from isthmus import Pairs
from isthmus.statistics.jackknife import mean_interval, pair_mean


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measured(pairs: Pairs, name: str, **options: Any) -> isthmus.Estimate:
    return isthmus.measure(pairs, metrics=[name], **options)[name]


def test_instance_gap_equals_a_loop(cones: Any) -> None:
    x, y = map(unit, cones)
    distances = [math.dist(a, b) for a, b in zip(x, y, strict=True)]
    gap, squares = (measured(Pairs(image=cones[0], text=cones[1]), name) for name in ("instance_gap", "alignment"))
    assert gap.value == pytest.approx(np.mean(distances), abs=1e-12)
    assert squares.value == pytest.approx(np.mean(np.square(distances)), abs=1e-12)
    half = student.ppf(0.975, len(x) - 1) * np.std(distances, ddof=1) / math.sqrt(len(x))
    assert (gap.low, gap.high) == pytest.approx((gap.value - half, gap.value + half), abs=1e-12)


def test_alignment_equals_the_paired_cosine(cones: Any) -> None:
    pairs = Pairs(image=cones[0], text=cones[1])
    cosine, squares = (measured(pairs, name) for name in ("mean_paired_cosine", "alignment"))
    assert squares.value == pytest.approx(2 - 2 * cosine.value, abs=1e-12)
    assert (squares.low, squares.high) == pytest.approx((2 - 2 * cosine.high, 2 - 2 * cosine.low), abs=1e-12)


@pytest.mark.parametrize("sign", [1, -1])
def test_intervals_of_pairs_end_at_the_range(rng: np.random.Generator, sign: int) -> None:
    angle = rng.uniform(0, 2 * np.pi, size=6)
    turn = np.arccos([1, 1, 1, 1, 1, 0.5])
    x, y = (np.column_stack([np.cos(a), np.sin(a)]) for a in (angle, angle + turn))
    pairs = Pairs(image=x, text=sign * y)
    cosine, gap, squares = (measured(pairs, name) for name in ("mean_paired_cosine", "instance_gap", "alignment"))
    assert cosine.value == pytest.approx(sign * 11 / 12)
    assert (cosine.high if sign == 1 else -cosine.low) == 1
    assert [(e.low if sign == 1 else e.high) for e in (gap, squares)] == ([0, 0] if sign == 1 else [2, 4])
    assert all(e.low < e.value < e.high for e in (cosine, gap, squares))


def test_alignment_null_is_exact(cones: Any) -> None:
    x, y = map(unit, cones)
    n = len(x)
    unpaired = [math.dist(x[i], y[j]) ** 2 for i in range(n) for j in range(n) if i != j]
    assert measured(Pairs(image=x, text=y), "alignment").null == pytest.approx(np.mean(unpaired), abs=1e-12)


def test_instance_gap_null_is_the_distance_of_non_matching_pairs(cones: Any) -> None:
    x, y = map(unit, cones)
    n = len(x)
    unpaired = [math.dist(x[i], y[j]) for i in range(n) for j in range(n) if i != j]
    null = measured(Pairs(image=x, text=y), "instance_gap").null
    assert null == pytest.approx(np.mean(unpaired), abs=0.02)
    assert null != pytest.approx(measured(Pairs(image=x, text=y), "instance_gap").value, abs=0.05)


def test_instance_gap_counts_the_rows_of_an_item_once(cones: Any) -> None:
    x, y = map(unit, cones)
    index = np.repeat(np.arange(40), 3)
    e = measured(Pairs(image=x[:40], text=y, index=index), "instance_gap")
    distances = np.array([math.dist(x[i], y[j]) for j, i in enumerate(index)])
    assert e.value == pytest.approx(distances.mean(), abs=1e-12)
    by_item = distances.reshape(40, 3).mean(axis=1)  # equal counts: the mean of the items' means
    half = student.ppf(0.975, 39) * by_item.std(ddof=1) / math.sqrt(40)
    assert e.high - e.value == pytest.approx(half, abs=1e-12)


def test_instance_gap_of_raw_rows_is_not_normalized(cones: Any) -> None:
    x, y = cones
    e = measured(Pairs(image=x, text=y), "instance_gap", normalize=False)
    assert e.value == pytest.approx(np.mean(np.linalg.norm(x - y, axis=1)), abs=1e-12)


def test_mean_interval_of_unequal_items_sums_each_item() -> None:
    values, owner = np.array([1.0, 2.0, 6.0]), np.array([4, 4, 0])
    mean, low, _ = mean_interval(values, owner)
    residuals = [1 + 2 - 2 * 3, 6 - 3]
    assert mean == 3
    variance = sum(r * r for r in residuals) / 9 * 2 / 1
    assert 3 - low == pytest.approx(student.ppf(0.975, 1) * math.sqrt(variance))


def test_pair_mean_without_each_item_equals_a_loop(rng: np.random.Generator) -> None:
    table = rng.normal(size=(7, 7))
    table += table.T
    np.fill_diagonal(table, 0)
    mean, left_out = pair_mean(table.sum(axis=1))
    assert mean == pytest.approx(table.sum() / 42)
    for i in range(7):
        kept_rows = np.delete(np.delete(table, i, 0), i, 1)
        assert left_out[i] == pytest.approx(kept_rows.sum() / 30)


def test_instance_gap_of_clip_has_a_known_value(clip_coco: Pairs) -> None:
    e = measured(clip_coco, "instance_gap")
    assert e.value == pytest.approx(1.174, abs=5e-4)
    assert e.value < e.null
