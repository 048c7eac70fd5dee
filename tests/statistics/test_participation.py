"""Errors of the participation ratio: the jackknife without the effects of pairs of items that it counts twice."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from isthmus.data.pairs import Pairs
from isthmus.metrics import MetricContext
from isthmus.statistics import pair_effects
from isthmus.statistics.moments import moments_of
from isthmus.statistics.participation import ParticipationErrors


def errors_of(x: np.ndarray, index: np.ndarray | None = None) -> ParticipationErrors:
    """Return the errors of rows of x, or of rows with an item each."""
    pairs = Pairs(image=x, text=x) if index is None else Pairs(image=x[: index[-1] + 1], text=x, index=index)
    context = MetricContext(moments_of(pairs, normalize=False), pairs, normalize=False)
    side = context if index is None else context.swapped()
    found = ParticipationErrors.of(side.pca, side.moments.n)
    assert found is not None
    return found


def log_ratio(rows: np.ndarray, weights: np.ndarray) -> float:
    """Return 2 log tr S - log tr S^2 of the covariance of weighted rows."""
    w = weights / weights.sum()
    centred = rows - w @ rows
    covariance = centred.T @ (w[:, None] * centred)
    return 2 * math.log(np.trace(covariance)) - math.log(np.sum(covariance**2))


def unbiased_log_ratio(rows: np.ndarray, owner: np.ndarray) -> float:
    """Return the logarithm of the ratio of traces without the terms of an item with itself."""
    n, centred = len(rows), rows - rows.mean(axis=0)
    covariance = centred.T @ centred / n
    trace, square = float(np.trace(covariance)), float(np.sum(covariance**2))
    for item in np.unique(owner):
        own = centred[owner == item]
        total, moment = own.sum(axis=0), own.T @ own - len(own) * covariance
        trace += float(total @ total) / n**2
        square -= float(np.sum(moment**2) - 2 * total @ covariance @ total) / n**2
    return 2 * math.log(trace) - math.log(square)


@pytest.mark.parametrize("rows_per_item", [1, 3])
@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_variance_is_the_jackknife_with_pair_effects_counted_once(
    rows_per_item: int, exponent: float, rng: np.random.Generator
) -> None:
    items, step = 80, 1e-3
    owner = np.repeat(np.arange(items), rng.integers(1, rows_per_item + 1, size=items))
    rows = rng.normal(size=(items, 4))[owner] + 0.4 * rng.normal(size=(len(owner), 4))
    rows *= np.arange(1, 5) ** -exponent
    found = errors_of(rows, None if rows_per_item == 1 else owner)
    assert math.log(found.ratio) == pytest.approx(
        unbiased_log_ratio(rows, owner),
        rel=1e-8 if rows_per_item > 1 else 5e-3,  # with one row for each item, the ratio has no bias of any order
    )

    left_out = np.array([unbiased_log_ratio(rows[owner != i], owner[owner != i]) for i in range(items)])
    jackknife = (items - 1) * float(left_out.var())
    in_item = (owner == np.arange(items)[:, None]).astype(float)
    in_item = step * (in_item - in_item.mean(axis=1, keepdims=True))  # mass moves to the item from all
    ones = np.ones(len(rows))
    alone = [log_ratio(rows, ones + item) for item in in_item]
    effects = [
        log_ratio(rows, ones + in_item[i] + in_item[j]) - alone[i] - alone[j] + log_ratio(rows, ones)
        for i in range(items)
        for j in range(i)
    ]
    pair_variance = float(np.sum(np.square(effects))) / step**4
    assert found.pair_variance == pytest.approx(pair_variance, rel=0.15)
    assert found.variance == pytest.approx(max(jackknife - pair_variance, pair_variance), rel=0.2)


def test_interval_of_few_items_counts_effects_of_pairs_twice(rng: np.random.Generator) -> None:
    errors = errors_of(rng.normal(size=(30, 6)) / np.arange(1, 7))
    assert errors.items == 30
    twice = replace(errors, variance=errors.variance + errors.pair_variance, items=10**6)
    assert errors.interval(6) == pytest.approx(twice.interval(6), rel=1e-6)
    of_many = replace(errors, items=3000).interval(6)
    assert errors.interval(6)[0] < of_many[0] - 0.005


@pytest.mark.parametrize("scales", [np.ones(10), np.repeat([1.0, 0.03], [4, 6])])
def test_variance_of_equal_eigenvalues_is_that_over_data_sets(scales: np.ndarray, rng: np.random.Generator) -> None:
    """The jackknife alone gives 1.6 to 2 times as much."""
    found = [errors_of(rng.normal(size=(150, 10)) * scales) for _ in range(400)]
    assert np.mean([e.variance for e in found]) == pytest.approx(np.var([e.logarithm for e in found]), rel=0.4)


def test_interval_of_equal_eigenvalues_ends_at_the_dimension_and_covers_it(rng: np.random.Generator) -> None:
    found = [errors_of(rng.normal(size=(150, 10))).interval(10) for _ in range(200)]
    assert all(high <= 10 for _, high in found)
    assert 0.93 <= np.mean([high == 10 for _, high in found]) < 1


def test_variance_of_pair_effects_does_not_depend_on_blocks(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = np.repeat(np.arange(40), rng.integers(1, 4, size=40))
    x = rng.normal(size=(len(index), 6))
    whole = errors_of(x, index).pair_variance
    monkeypatch.setattr(pair_effects, "BLOCK_ITEMS", 7)
    assert errors_of(x, index).pair_variance == pytest.approx(whole, rel=1e-12)
    monkeypatch.setattr(pair_effects, "PAIR_ITEMS", 25)
    assert errors_of(x, index).pair_variance == pytest.approx(whole, rel=0.4)
