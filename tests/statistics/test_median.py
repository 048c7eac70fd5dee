"""Influence of ranks on their median against simulated medians."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.statistics.median import median_influence


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


def test_median_influence_of_equal_ranks_is_zero() -> None:
    assert not median_influence(np.ones(5, dtype=int)).any()
