"""Intervals of shares whose hits depend on each other, and of the change of a share."""

from __future__ import annotations

import math

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
        Ends of the 95 % interval, from those of both shares and their correlation [1]_.

    References
    ----------
    .. [1] Newcombe (1998), Improved confidence intervals for the difference between binomial proportions based on
       paired data.

    Examples
    --------
    >>> [round(end, 3) for end in share_change_interval(0, 0, 100)]
    [-0.036, 0.036]
    >>> [round(end, 3) for end in share_change_interval(1, 0, 100)]
    [-0.028, 0.054]
    """
    gained, lost = n_gained / n, n_lost / n
    low_gained, high_gained = wilson_interval(n_gained, n)
    low_lost, high_lost = wilson_interval(n_lost, n)
    # An item that gains cannot lose, so that both counts have a negative correlation.
    twice = 2 * math.sqrt(gained * lost / ((1 - gained) * (1 - lost))) if gained * lost > 0 else 0.0

    def half_width(first: float, second: float) -> float:
        return math.sqrt(first**2 + second**2 + twice * first * second)

    change = gained - lost
    return (
        change - half_width(gained - low_gained, high_lost - lost),
        change + half_width(high_gained - gained, lost - low_lost),
    )
