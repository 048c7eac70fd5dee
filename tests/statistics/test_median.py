"""Influence of ranks on their median against simulated medians."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.statistics.median import linear_median, median_influence


@pytest.mark.parametrize("mean_rank", [25, 60])
def test_median_influence_gives_the_standard_error_of_the_median(rng: np.random.Generator, mean_rank: int) -> None:
    ranks = rng.geometric(1 / mean_rank, size=(400, 300))
    errors = [median_influence(row).std() / 300**0.5 for row in ranks]
    assert np.mean(errors) == pytest.approx(np.median(ranks, axis=1).std(), rel=0.12)


def test_median_influence_has_the_mean_zero_and_keeps_the_order(rng: np.random.Generator) -> None:
    ranks = rng.geometric(0.3, size=101)
    influence = median_influence(ranks)
    assert influence.mean() == pytest.approx(0, abs=1e-12)
    assert np.all(np.diff(influence[np.argsort(ranks)]) >= 0)


def test_median_influence_of_two_ranks_has_the_variance_of_the_projection(rng: np.random.Generator) -> None:
    """With ranks 1 and 2 in equal shares, items explain 2 / pi of the variance 1/4 of their median."""
    ranks = 1 + rng.integers(0, 2, size=(2000, 101))
    variances = [median_influence(row).var() / 101 for row in ranks]
    assert np.mean(variances) == pytest.approx(2 / np.pi / 4, rel=0.05)


def test_linear_median_rises_by_the_change_of_the_expected_median(rng: np.random.Generator) -> None:
    ranks = np.arange(1, 1001)
    changed = np.where(rng.random(1000) < 0.03, ranks // 2, ranks)
    of_ranks = linear_median(ranks)
    change = of_ranks[changed].mean() - of_ranks[ranks].mean()
    assert change == pytest.approx(np.median(changed) - np.median(ranks), rel=0.2)


def test_median_influence_of_a_certain_median_is_zero() -> None:
    assert not median_influence(np.repeat([1, 2, 3], [10, 10_000, 10])).any()


def test_median_influence_of_equal_ranks_is_zero() -> None:
    assert not median_influence(np.ones(5, dtype=int)).any()


@pytest.mark.parametrize("n", [2_000, 2_600, 3_000, 20_000])
def test_median_influence_of_nearly_equal_ranks_is_nearly_zero(n: int) -> None:
    """The squares of the rates are smaller than the smallest number."""
    ranks = np.ones(n, dtype=np.int64)
    ranks[0] = 2
    influence = median_influence(ranks)
    assert np.isfinite(influence).all()
    assert np.abs(influence).max() < 1e-100
