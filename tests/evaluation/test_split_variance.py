"""Variance of the mean over splits against items whose contributions are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isthmus.evaluation.pair_groups import PairGroups
from isthmus.evaluation.reduced_fits import N_FIT_GROUPS
from isthmus.evaluation.split_variance import (
    EXPECTED_FITS,
    EXPECTED_SPLITS,
    FITTING_FACTOR,
    N_GROUPS,
    in_parts,
    interval_of_mean,
    random_groups,
    share_of_one_change,
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
    expected = FITTING_FACTOR * float(by_item @ by_item)
    assert variance_of_mean(np.zeros(6), variances, sums, shared=0.5) == pytest.approx((expected, 0), rel=0.02)


def test_variance_of_mean_of_many_items_is_known_from_their_random_groups(rng: np.random.Generator) -> None:
    held_out = halves(rng, 4000, 5)
    for noise, correlation in ((0.0, 0.5), (1.0, 0.25)):
        values = rng.normal(size=4000) + noise * rng.normal(size=(5, 4000))
        variances, sums, _ = contributions_of_splits(values, held_out)
        expected = FITTING_FACTOR * variances.mean() * (correlation + (1 - correlation) / 5)
        assert variance_of_mean(np.zeros(5), variances, sums, shared=0.5) == pytest.approx((expected, 0), rel=0.12)


def test_variance_of_mean_counts_pairs_of_held_out_items_once(rng: np.random.Generator) -> None:
    """Each pair of a query and a stored row has an effect. Both items contribute it, and two splits share a quarter."""
    n, n_splits = 80, 4
    groups, first, second = PairGroups.random(n, 0), *np.triu_indices(n, 1)
    variances_of_mean = []
    for seed in range(30):
        effects = np.random.default_rng(seed).normal(size=len(first))
        tables, sums = np.zeros((n_splits, n)), []
        for table, mask in zip(tables, halves(rng, n, n_splits), strict=True):
            is_held_out = mask[first] & mask[second]
            held_out = first[is_held_out], second[is_held_out], effects[is_held_out]
            table += sum(np.bincount(items, weights=held_out[2], minlength=n) for items in held_out[:2])
            sums.append(groups.sums(*held_out))
        variance = float(len(first) / 4)  # of the pairs of one split
        stored = stored_sums(tables, random_groups(n, 7), np.full(n_splits, variance))
        pair_sums = [in_parts(row, variance) for row in sums]
        variances_of_mean.append(
            variance_of_mean(np.zeros(n_splits), np.full(n_splits, variance), stored, pair_sums, shared=0.5)[0]
        )
    # A pair that one split holds out is held out by another one with the probability 1 / 4.
    expected = FITTING_FACTOR * variance * (1 / 4 + 3 / 4 / n_splits)
    assert np.mean(variances_of_mean) == pytest.approx(expected, rel=0.08)


def test_variance_of_mean_adds_what_items_do_not_explain() -> None:
    variances, sums = np.full(5, 0.01), [[] for _ in range(5)]
    of_items = FITTING_FACTOR * 0.006
    assert variance_of_mean(np.zeros(5), variances, sums, shared=0.5) == pytest.approx((of_items, 0))
    values = np.array([-0.4, 0.4, 0.0, -0.2, 0.2])
    excess = values.var(ddof=1) - 0.005
    assert variance_of_mean(values, variances, sums, shared=0.5) == pytest.approx((of_items, excess / 5))
    of_correction = variance_of_mean(values, variances, sums, shared=0.5, corrects_scores=True)
    expected_excess = (4 * excess + EXPECTED_FITS * 0.006) / (4 + EXPECTED_FITS)
    assert of_correction == pytest.approx((of_items, expected_excess * (1 / 5 + 1 / 3)))


def test_variance_of_mean_of_one_split_is_that_of_its_items() -> None:
    assert variance_of_mean(np.array([0.3]), np.array([0.02]), [[]], shared=0.5) == (0.02, 0)


def test_variance_of_mean_without_a_change_is_zero() -> None:
    assert variance_of_mean(np.zeros(3), np.zeros(3), [[], [], []], shared=0.5) == (0, 0)
    assert interval_of_mean(np.zeros(3), np.zeros(3), [[], [], []], n_units=9, shared=0.5) == (0, 0)


@pytest.mark.parametrize(("up", "down"), [(1, 0), (3, 3)])
def test_interval_of_mean_of_rare_changes_is_that_with_pseudo_changes(up: int, down: int) -> None:
    """A mean of m / n from k rare changes has the ends (m + s -+ sqrt(s^2 + z^2 (k + 4))) / n."""
    n, k, net = 64_000, up + down, up - down
    values = np.zeros((1, n))
    values[0, : k * 1000 : 1000] = [1] * up + [-1] * down
    contributions, variances = unit_contributions(values, np.arange(n))
    sums = stored_sums(contributions, np.arange(n) // 1000, variances)
    low, high = interval_of_mean(values.mean(axis=1), variances, sums, n_units=n, shared=0.5)
    shift = 1.96**2 * net / (2 * (1 + 4 / k)) / k
    half = math.sqrt(shift**2 + 1.96**2 * (k + 4))
    assert (n * low, n * high) == pytest.approx((net + shift - half, net + shift + half), abs=0.4)


def test_interval_of_mean_of_rare_events_covers_their_probability(rng: np.random.Generator) -> None:
    """Six events on average: 1.96 standard errors around their share end below the probability in 6.2 %."""
    group, unit, probability, misses = random_groups(1000, 3), np.arange(1000), 0.006, []
    for _ in range(500):
        events = (rng.random((1, 1000)) < probability).astype(float)
        contributions, variances = unit_contributions(events, unit)
        share = events.mean(axis=1)
        sums = stored_sums(contributions, group, variances)
        low, high = interval_of_mean(share, variances, sums, n_units=1000, shared=0.5)
        assert low <= share[0] <= high
        misses.append((high < probability, low > probability))
    assert max(np.mean(misses, axis=0)) <= 0.04


def test_interval_of_mean_of_normal_changes_is_nearly_symmetric(rng: np.random.Generator) -> None:
    values = rng.normal(size=(20, 200))
    contributions, variances = unit_contributions(values, np.arange(200))
    sums = stored_sums(contributions, random_groups(200, 1), variances)
    halves = [
        [float(mean[0]) - low, high - float(mean[0])]
        for mean, variance, row in zip(values.mean(axis=1, keepdims=True), variances[:, None], sums, strict=True)
        for low, high in [interval_of_mean(mean, variance, [row], n_units=200, shared=0.5)]
    ]
    ratios = np.array(halves) / (1.96 * np.sqrt(variances[:, None]))
    assert np.mean(ratios, axis=0) == pytest.approx([1, 1], abs=0.1)


def test_unit_contributions_of_units_with_several_items_are_deviations_of_sums() -> None:
    values, unit = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]), np.array([0, 0, 0, 1])
    contributions, variances = unit_contributions(values, unit)
    assert contributions[0] == pytest.approx([0.25 * math.sqrt(2), -0.25 * math.sqrt(2)])
    assert variances == pytest.approx([2 * 2 * 0.25**2, 0])


def test_unit_contributions_of_equal_values_are_zero() -> None:
    contributions, variances = unit_contributions(np.full((1, 100), -1.9), np.arange(100))
    assert not contributions.any()
    assert not variances.any()


def test_variance_of_mean_of_splits_without_variance_of_items_is_that_over_splits() -> None:
    values = np.array([0.0, 1.0, 2.0, 3.0])
    of_items, of_fits = variance_of_mean(values, np.zeros(4), [[]] * 4, shared=0.5)
    assert (of_items, of_fits) == pytest.approx((0.0, float(values.var(ddof=1)) / 4))


def test_variance_of_mean_with_known_fits_adds_what_the_same_items_do_in_both_roles(rng: np.random.Generator) -> None:
    """Items are held out or fitted on, each with probability 1/2, and move the change in both roles."""
    n_splits, n_items, n_sets = 5, 64, 400
    signs = {"same": 1.0, "opposite": -1.0}
    for sign in signs.values():
        means, variances = [], []
        for _ in range(n_sets):
            effects = rng.normal(size=n_items) / n_items
            held_out = rng.permuted(np.tile(np.arange(n_items) % 2, (n_splits, 1)), axis=1)
            tested, fitted = 2 * held_out * effects, sign * (1 - held_out) * effects
            total = (tested**2).sum(axis=1)
            sums = [np.rint(1000 * row / s**0.5).astype(int).tolist() for row, s in zip(tested, total, strict=True)]
            of_groups = fitted.reshape(n_splits, -1, N_FIT_GROUPS).sum(axis=1)
            fits = [
                (float((row**2).sum()), np.rint(1000 * group / s**0.5).astype(int).tolist())
                for row, group, s in zip(fitted, of_groups, total, strict=True)
            ]
            values = (tested + fitted).sum(axis=1)
            means.append(values.mean())
            variances.append(sum(variance_of_mean(values, total, sums, shared=0.5, fits=fits)))
        # The variance is widened by what its own error needs, at most 1.6 times.
        assert 0.85 <= np.mean(variances) / np.var(means) <= 1.7


def test_variance_of_mean_with_known_fits_is_widened_by_the_errors_of_all_its_parts() -> None:
    """Items and splits show the variance badly, while the fits have no effect. Degrees of freedom replace its cap."""
    n_splits, df = 5, 4
    fits = [(0.0, [0] * N_FIT_GROUPS)] * n_splits
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    for groups, expected_error in ((64, 1 / 64 - 1 / 64), (4, 1 / 4 - 1 / 64), (1, 1 - 1 / 64)):
        # A few groups contribute the same to all splits, so that C is the variance of a split, and D is 0.
        row = [1000 / groups**0.5] * groups + [0] * (N_GROUPS - groups)
        sums = [np.rint(row).astype(int).tolist()] * n_splits
        of_items, of_splits = variance_of_mean(values, np.ones(n_splits), sums, shared=0.5, fits=fits)
        expected_of_splits = df * values.var(ddof=1) / (df + EXPECTED_SPLITS) / n_splits
        assert of_splits == pytest.approx(expected_of_splits, rel=1e-3)
        total = 1 + expected_of_splits
        squared_error = expected_error / total**2 + 2 * (expected_of_splits / total) ** 2 / (df + EXPECTED_SPLITS)
        widening = (1.96**2 + 1) / 2 * min(squared_error / 2, 1 / df)
        assert of_items == pytest.approx(1 + widening * total, rel=1e-3), groups


def test_share_of_one_change_counts_changes_that_are_rare() -> None:
    sums = [[1000] + [0] * 63, [0] * 63 + [1000]]
    assert share_of_one_change(np.ones(2), sums, n_units=64) == pytest.approx(1 / 2 - 3 / 64)
    assert share_of_one_change(np.ones(1), [[125, -125] * 32], n_units=64) == 0
    assert share_of_one_change(np.zeros(1), [[]], n_units=64) == 0


@pytest.mark.parametrize("variance", [1e-170, 1e-300])
def test_tiny_variances_have_the_shares_of_larger_ones(variance: float) -> None:
    sums = [[500] * 4 + [0] * 60]
    expected = share_of_one_change(np.array([0.01]), sums, n_units=64)
    assert share_of_one_change(np.array([variance]), sums, n_units=64) == pytest.approx(expected, rel=1e-9)
    ends = interval_of_mean(np.array([0.1]), np.array([variance]), sums, n_units=64, shared=0.5)
    assert ends == pytest.approx((0.1, 0.1), rel=1e-9)
