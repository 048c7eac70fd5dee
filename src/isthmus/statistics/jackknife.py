"""Standard errors from statistics that leave one item out."""

from __future__ import annotations

import math

import numpy as np

from isthmus.statistics.freedom import tail_factor, widened_variance
from isthmus.statistics.intervals import normal_interval


def jackknife_interval(value: float, left_out: np.ndarray) -> tuple[float, float]:
    """Return the interval of a statistic from its values without each item.

    No row is drawn twice, so that the interval also holds for statistics of pairs of rows. The bootstrap is biased
    there, because its duplicates have distance 0.

    Parameters
    ----------
    value : float
        The statistic of all items.
    left_out : (n,) array
        Its values without each item.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval.

    Notes
    -----
    The variance is (n - 1) / n sum_i (v_i - mean v)^2 with the values v_i without item i [1]_. The quantile is that of
    Student's t with n - 1 degrees of freedom.

    References
    ----------
    .. [1] Tukey (1958), Bias and confidence in not quite large samples.

    Examples
    --------
    >>> import numpy as np
    >>> sample = np.array([1.0, 2.0, 3.0, 6.0])  # for a mean it is the usual standard error
    >>> low, high = jackknife_interval(3.0, (sample.sum() - sample) / 3)
    >>> bool(np.isclose(high - 3.0, 3.1824 * sample.std(ddof=1) / 2, rtol=1e-4))  # Student's t, 3 degrees of freedom
    True
    """
    return normal_interval(value, widened_variance(jackknife_variance(left_out), len(left_out) - 1, min_freedom=1))


def jackknife_variance(left_out: np.ndarray, *, with_tails: bool = False) -> float:
    """Return the variance of a statistic from its values without each item.

    Parameters
    ----------
    left_out : (n,) array
        Values without each item.
    with_tails : bool, default False
        Whether the variance is multiplied by the square of `tail_factor`, because it is itself uncertain.

    Returns
    -------
    float
        The variance.

    Examples
    --------
    >>> sample = np.array([1.0, 2.0, 3.0, 6.0])
    >>> round(jackknife_variance((sample.sum() - sample) / 3), 4), round(float(sample.var(ddof=1)) / 4, 4)
    (1.1667, 1.1667)
    """
    n = len(left_out)
    variance = (n - 1) / n * float(np.sum((left_out - left_out.mean()) ** 2))
    return variance * tail_factor(left_out) ** 2 if with_tails else variance


def mean_interval(values: np.ndarray, owner: np.ndarray | None = None) -> tuple[float, float, float]:
    """Return the mean of values with its interval.

    Parameters
    ----------
    values : (n,) array
        The values.
    owner : (n,) int array, optional
        Item of each value. Values of one item are not independent and are added up first. Default: all independent.

    Returns
    -------
    tuple of float
        Mean and ends of the 95 % interval of Student's t. The ends are NaN if all values are of one item.

    Examples
    --------
    >>> mean, low, high = mean_interval(np.array([0.0, 0.0, 1.0, 1.0]))
    >>> mean, round(low, 3), round(high, 3)
    (0.5, -0.419, 1.419)
    """
    mean = float(np.mean(values))
    residuals: np.ndarray = values - mean
    if owner is not None:
        residuals = np.bincount(owner, weights=residuals)[np.bincount(owner) > 0]
    count = len(residuals)
    if count < 2:
        return mean, math.nan, math.nan
    variance = float(residuals @ residuals) / len(values) ** 2 * count / (count - 1)
    return mean, *normal_interval(mean, widened_variance(variance, count - 1, min_freedom=1))


def pair_mean(sums: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean of a symmetric function over all pairs i != j, and the mean without each item in turn.

    Parameters
    ----------
    sums : (n,) array
        Sum over j != i of the function of items i and j, for each i.

    Returns
    -------
    mean : float
        The mean.
    left_out : (n,) array
        The mean without each item, or NaN if n < 3.

    Examples
    --------
    >>> distances = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
    >>> mean, left_out = pair_mean(distances.sum(axis=1))
    >>> mean, left_out.tolist()
    (2.0, [3.0, 2.0, 1.0])
    """
    n, total = len(sums), float(np.sum(sums))
    if n < 3:
        return total / (n * (n - 1)), np.full(n, math.nan)
    return total / (n * (n - 1)), (total - 2 * sums) / ((n - 1) * (n - 2))
