"""Influence of each value on a median of integers, such as ranks."""

from __future__ import annotations

import numpy as np

from isthmus.statistics.intervals import Z95


def median_step(n: int, /) -> float:
    """Return half of the difference of two probabilities around 1/2, whose quantiles show the density at the median.

    Parameters
    ----------
    n : int
        Number of values.

    Returns
    -------
    float
        0.98 / sqrt n, and at most 1/2.

    Examples
    --------
    >>> round(median_step(100), 3)
    0.098
    """
    return min(Z95 / 2 / n**0.5, 0.5)


def median_influence(values: np.ndarray, /) -> np.ndarray:
    """Return the influence of each value on the median, whose standard error is their standard deviation / sqrt n.

    Parameters
    ----------
    values : np.ndarray of shape (n,)
        Integers from 0, such as ranks.

    Returns
    -------
    np.ndarray of shape (n,)
        Influences with the mean 0.

    Notes
    -----
    The influence of a value v is (1/2 - [v <= median]) / f with the density f at the median. Integers have no density,
    so each of them is spread evenly over the unit interval around it, and a value at the median counts in part. The
    standard error is that of the median of the spread values. It differs from the median by at most 1/2, unless the two
    middle values are further apart. The median itself moves in steps, so that it has no such error. Here
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
    counts = np.bincount(values)
    cumulative = np.cumsum(counts)
    step = median_step(n)
    targets = n * np.array([0.5 - step, 0.5, 0.5 + step])
    quantiles = np.maximum(np.searchsorted(cumulative, targets), values.min())
    low, median, high = quantiles + 0.5 - (cumulative[quantiles] - targets) / counts[quantiles]
    share_below = np.minimum(np.maximum(median + 0.5 - values, 0.0), 1.0)
    influence: np.ndarray = (share_below.mean() - share_below) * ((high - low) / (2 * step))
    return influence


def near_median(values: np.ndarray, /) -> np.ndarray:
    """Return the weight of each value in the median, whose mean is 1.

    Parameters
    ----------
    values : np.ndarray of shape (n,)
        Integers from 0, such as ranks.

    Returns
    -------
    np.ndarray of shape (n,)
        0 for a value far from the median. If the values change a little, the median changes by the weighted mean of
        their changes.

    Examples
    --------
    >>> near_median(np.arange(1, 10)).round(2).tolist()
    [0.0, 0.0, 1.8, 1.8, 1.8, 1.8, 1.8, 0.0, 0.0]
    """
    step = median_step(len(values))
    low, high = np.quantile(values, [0.5 - step, 0.5 + step])
    is_near = (values >= low) & (values <= high)
    weights: np.ndarray = is_near * (len(values) / np.count_nonzero(is_near))
    return weights
