"""Linear approximation of a median of integers, such as ranks, and the influence of each value on it."""

from __future__ import annotations

import numpy as np

#: Square of a single step, in units of the mean square of its estimates where it is steepest, see `linear_median`.
SINGLE_STEP_FACTOR = 8**0.5


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
    A median of integers moves in steps. Let F be the share of values up to k. The median is at most k with the
    probability that half of n values are. This probability rises with F at the rate 2 sqrt n phi(z), with the normal
    density phi at z = 2 sqrt n (F - 1/2). So a value lowers the expected median by the sum of rate / n over all k that
    it does not exceed, which is the projection of Hajek [1]_.

    z is known with the error 1. So phi has the variance 2, which averages the rate over this error. If many integers
    are near the median, the sum of their rates w stays the same. The square of a single rate becomes too small: at
    z = 0 its mean is 1 / sqrt 8 of the true one. So squares are multiplied by 1 + (sqrt 8 - 1) / s^2 with the number of
    steps s = (sum of w)^2 / sum of w^2.

    References
    ----------
    .. [1] van der Vaart 1998, Asymptotic Statistics, chapter 11.

    Examples
    --------
    >>> linear_median(np.array([1, 1, 2, 3])).round(2).tolist()
    [-3.06, -2.61, -1.39, -0.45, 0.0]
    """
    n = len(values)
    z = 2 * n**0.5 * (np.cumsum(np.bincount(values)) / n - 0.5)
    rates = 2 * n**0.5 * np.exp(-(z**2) / 4) / (4 * np.pi) ** 0.5
    squares, total = float(rates @ rates), float(rates.sum())
    if total > 0:  # else the median is certain
        rates *= (1 + (SINGLE_STEP_FACTOR - 1) * (squares / total**2) ** 2) ** 0.5
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
    [-0.84, -0.84, 0.37, 1.32]
    """
    influence: np.ndarray = linear_median(values)[values]
    return influence - influence.mean()
