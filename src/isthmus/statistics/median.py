"""Linear approximation of a median of integers, such as ranks, and the influence of each value on it."""

from __future__ import annotations

import numpy as np

#: Square of a single step over the mean square of its estimates at z = 0, and 4 / sqrt(2 pi), see `linear_median`.
SINGLE_STEP_FACTOR, SMOOTHED_SHARE = 8**0.5, 1.6


def linear_median(values: np.ndarray, /) -> np.ndarray:
    """Return what each integer adds to the linear approximation of the median.

    Parameters
    ----------
    values : np.ndarray of shape (n,)
        Integers from 0, such as ranks.

    Returns
    -------
    np.ndarray of shape (m,)
        Number for each integer below m = max + 2. It rises with the integer. If some values change, the expected median
        of such a sample changes by the mean change of their numbers.

    Notes
    -----
    The median is at most k with the probability that half of n values are. It rises with their share F at the rate
    2 sqrt n phi(z), with the normal density phi at z = 2 sqrt n (F - 1/2). A value lowers the expected median by the
    sum of rate / n over all k that it does not exceed, which is the projection of Hajek [1]_. z is known with the error
    1, so phi has the variance 2. With s steps near the median, s = (sum of rates)^2 / sum of squared rates, squares are
    multiplied by b + (sqrt 8 - b) / s^2. Here b = 1 / (1 - 1.6 / sqrt n) returns what smoothing takes.

    References
    ----------
    .. [1] van der Vaart 1998, Asymptotic Statistics, chapter 11.

    Examples
    --------
    >>> linear_median(np.array([1, 1, 2, 3])).round(2).tolist()
    [-4.09, -3.49, -1.86, -0.6, 0.0]
    """
    n = len(values)
    z = 2 * n**0.5 * (np.cumsum(np.bincount(values)) / n - 0.5)
    rates = 2 * n**0.5 * np.exp(-(z**2) / 4) / (4 * np.pi) ** 0.5
    total = float(rates.sum())
    if total > 0:  # else the median is certain
        of_many = 1 / (1 - min(SMOOTHED_SHARE / n**0.5, 0.5))
        one_over_steps = float(np.sum((rates / total) ** 2))  # the square of a tiny sum would be 0
        rates *= (of_many + (SINGLE_STEP_FACTOR - of_many) * one_over_steps**2) ** 0.5
    return np.append(-np.cumsum(rates[::-1])[::-1], 0.0)


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

    See Also
    --------
    linear_median : The approximation.

    Examples
    --------
    >>> median_influence(np.array([1, 1, 2, 3])).round(2).tolist()
    [-1.13, -1.13, 0.5, 1.76]
    """
    influence: np.ndarray = linear_median(values)[values]
    return influence - influence.mean()
