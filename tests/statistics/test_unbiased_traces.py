"""Traces without the bias of sampling, also for fewer items than directions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

import isthmus
from isthmus.metrics import MetricContext
from isthmus.metrics._trace_estimates import TraceEstimates


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_traces_are_means_over_four_different_items(rng: np.random.Generator) -> None:
    x = unit(rng.normal(size=(6, 3)))
    y = unit(x + rng.normal(size=(6, 3)))
    pairs = isthmus.Pairs(x=x, y=y)
    traces = MetricContext(isthmus.Moments.of(x, y), pairs).shared(TraceEstimates)
    quadruples = list(permutations(range(6), 4))
    products = {
        name: [(a[i] - a[j]) @ (b[k] - b[m]) for i, j, k, m in quadruples]
        for name, a, b in (("xx", x, x), ("yy", y, y), ("x.y", x, y))
    }
    expected = {name: np.square(values) for name, values in products.items()}
    expected["xy"] = np.multiply(products["xx"], products["yy"])
    for name, values in expected.items():
        assert traces.debiased(name) == pytest.approx(np.mean(values) / 4, rel=1e-9)


def test_fewer_items_than_directions_leave_no_bias_and_intervals_that_contain_the_value() -> None:
    rng = np.random.default_rng(1)
    scales = np.arange(1, 97) ** -0.25

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        z = rng.normal(size=(n, 96)) * scales + 2 * np.eye(96)[3]
        return z + 0.7 * rng.normal(size=z.shape) * scales, z + 0.5 * rng.normal(size=z.shape) * scales

    names = ["participation_ratio_x", "cka", "coral_distance"]
    true = {name: e.value for name, e in isthmus.measure(*draw(20_000), metrics=names).items()}
    sets = [isthmus.measure(*draw(30), metrics=names) for _ in range(60)]
    for name in names:
        contained = np.mean([result[name].low <= true[name] <= result[name].high for result in sets])
        assert contained >= 0.9, name
        if name != "coral_distance":  # a root of a square near 0
            assert np.mean([result[name].value for result in sets]) == pytest.approx(true[name], rel=0.05)


def test_pairs_with_an_index_of_one_row_each_have_the_same_traces(rng: np.random.Generator) -> None:
    x = rng.normal(size=(40, 6)) + 0.5
    y = x + rng.normal(size=x.shape)
    for index in (None, np.arange(40)):
        estimate = isthmus.measure(isthmus.Pairs(x=x, y=y, index=index), metrics="cka")["cka"]
        assert estimate.value == pytest.approx(isthmus.measure(x, y, metrics="unbiased_cka")["unbiased_cka"].value)
