"""Intervals of shares whose hits depend on each other, and of the change of a share."""

from __future__ import annotations

import math

import numpy as np

from isthmus.statistics.freedom import widened_variance
from isthmus.statistics.intervals import wilson_interval

#: Exponent from which on the number of trials is not limited in practice.
MAX_EXPONENT = 100.0


def share_interval(share: float, variance: float, n: int, /) -> tuple[float, float]:
    """Return Wilson's interval of a share for as many independent trials as give its variance.

    Parameters
    ----------
    share : float
        The share, in [0, 1].
    variance : float
        Estimated variance of the share.
    n : int
        Number of items. A share of 0 or 1 has as many trials.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval, or the share twice if it has no variance between 0 and 1.

    Notes
    -----
    With m hits or misses among n items, the number of trials is at most n exp(m / 2). A variance from few hits is
    itself uncertain, and without this limit the share of one hit would have a lower upper end than that of none.

    Examples
    --------
    >>> low, high = share_interval(0.5, 0.0025, 40)
    >>> round(low, 3), round(high, 3)
    (0.404, 0.596)
    """
    if not 0 < share < 1:
        return wilson_interval(share * n, n)
    if variance == 0:
        return share, share
    trials = min(share * (1 - share) / variance, n * math.exp(min(n * min(share, 1 - share) / 2, MAX_EXPONENT)))
    return wilson_interval(share * trials, trials)


def mean_share_interval(shares: np.ndarray, /) -> tuple[float, float]:
    """Return the interval of the mean of shares, such as the hits of the queries of each item.

    Parameters
    ----------
    shares : (n,) array
        Share of each item, at least 0. Their mean is at most 1.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval. If every share is 0 or 1, it is Wilson's or the exact one.

    Examples
    --------
    >>> low, high = mean_share_interval(np.array([0.0, 0.5, 0.5, 1.0] * 10))
    >>> round(low, 3), round(high, 3)
    (0.388, 0.612)
    """
    n, mean, variance = len(shares), min(float(np.mean(shares)), 1.0), float(np.var(shares))
    if not np.isin(shares, (0.0, 1.0)).all():  # hits and misses are n trials, and have no uncertain variance
        variance = widened_variance(variance * n / max(n - 1, 1), n - 1)
    return share_interval(mean, variance / n, n)


def share_change_interval(n_gained: int, n_lost: int, n: int, /) -> tuple[float, float]:
    """Return the interval of the change of a share between two measurements of the same items.

    Parameters
    ----------
    n_gained, n_lost : int
        Items that are hits in the second measurement only, and in the first one only.
    n : int
        Number of items.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval, see `mean_change_interval`.

    Examples
    --------
    >>> [round(end, 3) for end in share_change_interval(0, 0, 100)]
    [-0.036, 0.036]
    >>> [round(end, 3) for end in share_change_interval(1, 0, 100)]
    [-0.028, 0.054]
    """
    return mean_change_interval(np.repeat([1.0, -1.0, 0.0], [n_gained, n_lost, n - n_gained - n_lost]))


def mean_change_interval(changes: np.ndarray, /) -> tuple[float, float]:
    """Return the interval of the mean change of shares between two measurements of the same items.

    Parameters
    ----------
    changes : (n,) array
        Share of each item in the second measurement minus that in the first one.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval.

    Notes
    -----
    The mean gain and the mean loss are shares with an interval each, also if no item or few items change. The ends of
    both intervals and the correlation of gains and losses give the interval of the difference [1]_.

    References
    ----------
    .. [1] Newcombe (1998), Improved confidence intervals for the difference between binomial proportions based on
       paired data.

    Examples
    --------
    >>> low, high = mean_change_interval(np.array([0.5, 0.0, 0.0, 0.0] * 25))
    >>> round(low, 3), round(high, 3)
    (0.073, 0.175)
    >>> mean_change_interval(np.zeros(100)) == share_change_interval(0, 0, 100)
    True
    """
    gains, losses = np.maximum(changes, 0.0), np.maximum(-changes, 0.0)
    gained, lost = float(gains.mean()), float(losses.mean())
    (low_gained, high_gained), (low_lost, high_lost) = mean_share_interval(gains), mean_share_interval(losses)
    # An item that gains cannot lose, so that gains and losses have a negative correlation.
    deviations = float(gains.std() * losses.std())
    correlation = -gained * lost / deviations if deviations > 0 else 0.0

    def half_width(first: float, second: float) -> float:
        return math.sqrt(max(first**2 + second**2 - 2 * correlation * first * second, 0.0))

    return (
        gained - lost - half_width(gained - low_gained, high_lost - lost),
        gained - lost + half_width(high_gained - gained, lost - low_lost),
    )
