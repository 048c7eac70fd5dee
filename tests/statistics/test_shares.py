"""Intervals of shares of dependent hits, and of changes."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.statistics.intervals import wilson_interval
from isthmus.statistics.shares import mean_change_interval, mean_share_interval, share_change_interval, share_interval


def test_share_of_independent_hits_has_wilsons_interval() -> None:
    assert share_interval(0.3, 0.3 * 0.7 / 200, 200) == pytest.approx(wilson_interval(60, 200))
    assert share_interval(1.0, 0.0, 40) == wilson_interval(40, 40)


def test_share_without_variance_has_no_width() -> None:
    assert share_interval(0.5, 0.0, 40) == (0.5, 0.5)


def test_ends_of_a_share_rise_with_its_hits_whatever_their_variance() -> None:
    """A hit is one of ten of an item, and independent hits would have ten trials per item."""
    n = 100
    for n_trials in (n, 10 * n):
        shares = np.arange(40) / (10 * n)
        low, high = np.array([share_interval(s, s * (1 - s) / n_trials, n) for s in shares]).T
        assert np.all(np.diff(low) > 0)
        assert np.all(np.diff(high[:20]) > 0)  # the exact interval is followed by Wilson's


def test_interval_of_one_change_is_wider_than_that_of_none() -> None:
    none, one, two = (share_change_interval(k, 0, 100) for k in (0, 1, 2))
    assert none == pytest.approx((-(1 - 0.025**0.01), 1 - 0.025**0.01))
    assert none[1] - none[0] < one[1] - one[0] < two[1] - two[0]
    assert none[0] < one[0] < two[0]
    assert none[1] < one[1] < two[1]


def test_interval_of_many_changes_is_that_of_their_mean() -> None:
    gained, lost, n = 300, 200, 10_000
    variance = ((gained + lost) / n - ((gained - lost) / n) ** 2) / n
    low, high = share_change_interval(gained, lost, n)
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.01)
    assert (-high, -low) == pytest.approx(share_change_interval(lost, gained, n))


def test_interval_of_a_mean_share_of_hits_and_misses_is_that_of_their_count() -> None:
    assert mean_share_interval(np.repeat([1.0, 0.0], [30, 70])) == pytest.approx(wilson_interval(30, 100))
    assert mean_share_interval(np.repeat([1.0, 0.0], [2, 98])) == pytest.approx(wilson_interval(2, 98 + 2))


@pytest.mark.parametrize(("gain", "loss"), [(0.002, 0.001), (0.01, 0.0), (0.03, 0.01), (0.3, 0.1)])
@pytest.mark.parametrize("n_queries", [1, 2])
def test_interval_of_a_mean_change_covers_rare_and_frequent_changes(gain: float, loss: float, n_queries: int) -> None:
    """An interval from the variance of the differences alone covers .26 to .95, because rare changes are not seen."""
    rng, n, covered = np.random.default_rng(5), 100, []
    for _ in range(500):
        drawn = rng.random((n, n_queries))
        changes = ((drawn < gain).astype(float) - ((drawn >= gain) & (drawn < gain + loss))).mean(axis=1)
        low, high = mean_change_interval(changes)
        covered.append(low <= gain - loss <= high)
    assert np.mean(covered) >= 0.93


def test_interval_of_a_mean_change_changes_sign_with_the_changes(rng: np.random.Generator) -> None:
    changes = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], size=60, p=[0.05, 0.1, 0.6, 0.15, 0.1])
    low, high = mean_change_interval(changes)
    assert low < changes.mean() < high
    assert mean_change_interval(-changes) == pytest.approx((-high, -low))
