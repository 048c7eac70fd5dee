"""Intervals of shares of dependent hits, and of changes."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.statistics.intervals import wilson_interval
from isthmus.statistics.shares import share_change_interval, share_interval


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
