"""Influence of each value on a median of integers, such as ranks."""

from __future__ import annotations

import numpy as np

from isthmus.statistics.intervals import Z95


def median_influence(values: np.ndarray, /) -> np.ndarray:
    """Return the influence of each value on the median, whose standard error is their standard deviation / sqrt n.

    Parameters
    ----------
    values : np.ndarray of shape (n,)
        Integers, such as ranks.

    Returns
    -------
    np.ndarray of shape (n,)
        Influences with the mean 0.

    Notes
    -----
    The influence of a value v is (1/2 - [v <= median]) / f with the density f at the median. Integers have no density,
    so each of them is spread evenly over the unit interval around it, and a value at the median counts in part. Then
    1 / f is the width of the interval of Woodruff [1]_, between the quantiles at 1/2 -+ 0.98 / sqrt n, over the
    difference of their probabilities.

    References
    ----------
    .. [1] Woodruff 1952, Confidence Intervals for Medians and Other Position Measures.

    Examples
    --------
    >>> median_influence(np.array([1, 1, 2, 3])).tolist()
    [-1.5, -1.5, 1.5, 1.5]
    """
    n = len(values)
    distinct, counts = np.unique(values, return_counts=True)
    ends = np.stack([distinct - 0.5, distinct + 0.5], axis=1).ravel()
    below = np.cumsum(counts) / n
    shares = np.stack([below - counts / n, below], axis=1).ravel()
    step = min(Z95 / 2 / n**0.5, 0.5)
    low, median, high = np.interp([0.5 - step, 0.5, 0.5 + step], shares, ends)
    share_below = np.clip(median - values + 0.5, 0.0, 1.0)
    influence: np.ndarray = (share_below.mean() - share_below) * ((high - low) / (2 * step))
    return influence
