"""Variance of the mean over splits against items whose contributions are known."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.evaluation.split_variance import (
    FITTING_FACTOR,
    N_GROUPS,
    random_groups,
    stored_sums,
    unit_contributions,
    variance_of_mean,
)


def contributions_of_splits(values: np.ndarray, held_out: np.ndarray) -> tuple[np.ndarray, list[list[int]], np.ndarray]:
    """Return variances, stored sums and contributions (S, n) of the splits that hold out some of the items (S, n)."""
    group = random_groups(values.shape[1], 7)
    variances, contributions = [], np.zeros(values.shape)
    sums: list[list[int]] = []
    for row, mask, table in zip(values, held_out, contributions, strict=True):
        table[None, mask], variance = unit_contributions(row[None, mask], np.arange(mask.sum()))
        variances.append(variance[0])
        sums += stored_sums(table[None, mask], group[mask], variance)
    return np.array(variances), sums, contributions


def halves(rng: np.random.Generator, n: int, n_splits: int) -> np.ndarray:
    return np.stack([rng.permutation(n) < n // 2 for _ in range(n_splits)])


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_variance_of_mean_is_that_of_the_sums_over_splits(rng: np.random.Generator, noise: float) -> None:
    held_out = halves(rng, N_GROUPS, 6)
    values = rng.normal(size=N_GROUPS) + noise * rng.normal(size=(6, N_GROUPS))
    variances, sums, contributions = contributions_of_splits(values, held_out)
    by_item = contributions.mean(axis=0)
    n = N_GROUPS // 2
    expected = FITTING_FACTOR * float(by_item @ by_item) * n / (n - 1)
    assert variance_of_mean(np.zeros(6), variances, sums, shared=0.5) == pytest.approx(expected, rel=0.02)


def test_variance_of_mean_of_many_items_is_known_from_their_random_groups(rng: np.random.Generator) -> None:
    held_out = halves(rng, 4000, 5)
    for noise, correlation in ((0.0, 0.5), (1.0, 0.25)):
        values = rng.normal(size=4000) + noise * rng.normal(size=(5, 4000))
        variances, sums, _ = contributions_of_splits(values, held_out)
        expected = FITTING_FACTOR * variances.mean() * (correlation + (1 - correlation) / 5)
        assert variance_of_mean(np.zeros(5), variances, sums, shared=0.5) == pytest.approx(expected, rel=0.12)


def test_variance_of_mean_adds_what_items_do_not_explain() -> None:
    variances, sums = np.full(5, 0.01), [[] for _ in range(5)]
    alone = variance_of_mean(np.zeros(5), variances, sums, shared=0.5)
    assert alone == pytest.approx(FITTING_FACTOR * 0.006)
    values = np.array([-0.4, 0.4, 0.0, -0.2, 0.2])
    excess = values.var(ddof=1) - 0.005
    assert variance_of_mean(values, variances, sums, shared=0.5) == pytest.approx(alone + excess / 5)
    of_correction = variance_of_mean(values, variances, sums, shared=0.5, corrects_scores=True)
    assert of_correction == pytest.approx(alone + excess * (1 / 5 + 1 / 3))


def test_variance_of_mean_of_one_split_is_that_of_its_items() -> None:
    assert variance_of_mean(np.array([0.3]), np.array([0.02]), [[]], shared=0.5) == 0.02


def test_variance_of_mean_without_a_change_is_zero() -> None:
    assert variance_of_mean(np.zeros(3), np.zeros(3), [[], [], []], shared=0.5) == 0


def test_unit_contributions_of_units_with_several_items_are_deviations_of_sums() -> None:
    values, unit = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]), np.array([0, 0, 0, 1])
    contributions, variances = unit_contributions(values, unit)
    assert contributions[0] == pytest.approx([0.25, -0.25])
    assert variances == pytest.approx([2 * 2 * 0.25**2, 0])
