"""Standard errors from statistics that leave one item out."""

from __future__ import annotations

import math

import numpy as np

from isthmus.statistics.intervals import normal_interval


def jackknife_interval(value: float, left_out: np.ndarray) -> tuple[float, float]:
    """95 % interval of `value` from the n values `left_out` that the statistic takes without each item.

    The variance is (n - 1) / n sum (value_i - their mean)^2 (Tukey 1958). Rows are never drawn twice, so that it
    also holds for statistics of pairs of rows, where the bootstrap's duplicates at distance 0 do harm.

    >>> import numpy as np
    >>> sample = np.array([1.0, 2.0, 3.0, 6.0])  # for a mean it is the usual standard error
    >>> low, high = jackknife_interval(3.0, (sample.sum() - sample) / 3)
    >>> bool(np.isclose(high - 3.0, 1.96 * sample.std(ddof=1) / 2, rtol=1e-4))
    True
    """
    n = len(left_out)
    return normal_interval(value, (n - 1) / n * float(np.sum((left_out - left_out.mean()) ** 2)))


def mean_interval(values: np.ndarray, owner: np.ndarray | None = None) -> tuple[float, float, float]:
    """Mean of `values` with its 95 % interval; values of one `owner` are not independent and are summed first."""
    mean = float(np.mean(values))
    residuals: np.ndarray = values - mean
    if owner is not None:
        residuals = np.bincount(owner, weights=residuals)[np.bincount(owner) > 0]
    count = len(residuals)
    variance = float(residuals @ residuals) / len(values) ** 2 * count / max(count - 1, 1)
    return mean, *normal_interval(mean, variance)


def pair_mean(sums: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean of a symmetric function over all i != j and its n values without each item.

    `sums[i]` is the sum over j != i of the function of items i and j. Undefined (NaN) without each when n < 3.
    """
    n, total = len(sums), float(np.sum(sums))
    if n < 3:
        return total / (n * (n - 1)), np.full(n, math.nan)
    return total / (n * (n - 1)), (total - 2 * sums) / ((n - 1) * (n - 2))
