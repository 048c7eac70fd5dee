"""Sliced Wasserstein distance against SciPy's one-dimensional one and against many directions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics.sliced import Slices

NAMES = ["sliced_wasserstein", "centred_sliced_wasserstein"]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def w2_squared(a: np.ndarray, b: np.ndarray) -> float:
    """By the assignment problem, not by sorting."""
    from scipy.optimize import linear_sum_assignment

    cost = (a[:, None] - b) ** 2
    return float(cost[linear_sum_assignment(cost)].mean())


def test_sliced_wasserstein_equals_the_assignment_problem(cones: Any) -> None:
    x, y = map(unit, cones)
    vectors = np.random.default_rng(0).normal(size=(12, 128))
    vectors /= np.linalg.norm(vectors, axis=0)
    centred = np.mean(
        [w2_squared((x - x.mean(axis=0)) @ v, (y - y.mean(axis=0)) @ v) for v in vectors.T[:128]], dtype=np.float64
    )
    gap = x.mean(axis=0) - y.mean(axis=0)
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=NAMES)
    assert estimates[NAMES[1]].value == pytest.approx(math.sqrt(centred), abs=1e-8)
    assert estimates[NAMES[0]].value == pytest.approx(math.sqrt(gap @ gap / 12 + centred), abs=1e-8)


def test_slices_split_equals_the_mean_over_many_directions(cones: Any) -> None:
    rows = PairedRows(*map(unit, cones))
    many = Slices.of(rows, directions=20_000, rng=5)
    direct = np.mean((np.sort(many.x, axis=0) - np.sort(many.y, axis=0)) ** 2)
    assert Slices.of(rows).squared == pytest.approx(direct, rel=0.03)


def test_sliced_wasserstein_of_equal_laws_is_near_the_null(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 200, 5))
    same = isthmus.measure(Pairs(image=x, text=y), metrics=NAMES)
    other = isthmus.measure(Pairs(image=x + 1, text=y * [1, 1, 1, 1, 9]), metrics=NAMES)
    for name in NAMES:
        assert same[name].value == pytest.approx(same[name].null, rel=0.4)
        assert other[name].value > 2 * other[name].null


def test_slices_null_equals_that_of_swaps(cones: Any) -> None:
    rows = PairedRows(*map(unit, cones))
    slices, generator = Slices.of(rows), np.random.default_rng(0)
    estimates = []
    for _ in range(10):
        swap = generator.random(rows.n)[:, None] < 0.5
        x, y = np.where(swap, slices.y, slices.x), np.where(swap, slices.x, slices.y)
        estimates.append(np.mean((np.sort(x, axis=0) - np.sort(y, axis=0)) ** 2))
    assert slices.nulls[0] == pytest.approx(np.mean(estimates), abs=1e-12)
    assert slices.nulls[1] < slices.nulls[0]


def test_sliced_wasserstein_of_clip_has_known_values(clip_coco: Pairs) -> None:
    estimates = isthmus.measure(clip_coco, metrics=NAMES)
    assert estimates[NAMES[0]].value == pytest.approx(
        math.sqrt(0.8514**2 / 512 + estimates[NAMES[1]].value ** 2), abs=1e-5
    )
    assert estimates[NAMES[1]].value > estimates[NAMES[1]].null
