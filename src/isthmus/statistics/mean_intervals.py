"""Intervals and tests of the means and of their difference, computed from moments alone."""

from __future__ import annotations

import math

import numpy as np

from isthmus.statistics.intervals import cosine_interval, length_interval, satterthwaite_p_value, square_interval
from isthmus.statistics.mean_variance import interval_variance, product_variance
from isthmus.statistics.moments import Moments
from isthmus.statistics.noise_intervals import NOISE_LEVEL, noise_interval

#: A mean is distinguishable from zero if its p-value is below this level.
MEAN_TEST_LEVEL = 0.01
#: A length that noise reaches with at least this probability has an interval that includes that of noise. Down to
#: `NOISE_LEVEL`, the interval changes to that of a clear length.
CLEAR_LEVEL = 0.05


def mean_covariance(moments: Moments) -> np.ndarray:
    """Return the covariance of mean x over samples of items.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    (d, d) array
        Covariance of the mean.

    Examples
    --------
    >>> from isthmus import Moments
    >>> moments = Moments.of(np.array([[0.6, 0.8], [1.0, 0.0]]), np.eye(2))
    >>> mean_covariance(moments).round(3).tolist()
    [[0.02, -0.04], [-0.04, 0.08]]
    """
    if moments.item_moments is None:  # sums by pair, with fewer passes over the matrix
        covariance = np.outer(moments.sum_x, -moments.mean_x)
        covariance += moments.xx
        covariance /= moments.n**2
        return covariance
    m, mean = moments.by_item, moments.mean_x
    cross = np.outer(m.count_x, mean)
    return (m.xx - cross - cross.T + m.count_sq * np.outer(mean, mean)) / moments.n**2


def debiased_mean_products(moments: Moments) -> tuple[float, float, float]:
    """Return unbiased inner products of the means, without the terms of an item with itself.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    tuple of float
        mean x . mean y, |mean x|^2 and |mean y|^2.

    Examples
    --------
    >>> from isthmus import Moments
    >>> moments = Moments.of(np.array([[0.6, 0.8], [1.0, 0.0]]), np.eye(2))
    >>> [round(value, 3) for value in debiased_mean_products(moments)]
    [0.9, 0.6, 0.0]
    """
    m, n = moments.by_item, moments.n
    n_products = n * n - m.count_sq
    traces = (np.trace(m.xy), np.trace(m.xx), np.trace(m.yy))
    sums = (
        moments.sum_x @ moments.sum_y,
        moments.sum_x @ moments.sum_x,
        moments.sum_y @ moments.sum_y,
    )
    xy, xx, yy = (float((total - trace) / n_products) for total, trace in zip(sums, traces, strict=True))
    return xy, xx, yy


def debiased_mean_cosine(moments: Moments) -> tuple[float, float]:
    """Return the debiased cosine between the means and its variance.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    tuple of float
        Cosine and variance, NaN if the debiased square of a mean is not positive.

    Examples
    --------
    >>> from isthmus import Moments
    >>> rows = np.array([[0.6, 0.8], [0.8, 0.6], [1.0, 0.0]])
    >>> cosine, variance = debiased_mean_cosine(Moments.of(rows, rows))
    >>> round(cosine, 3), round(variance, 3)
    (1.0, 0.0)
    """
    xy, xx, yy = debiased_mean_products(moments)
    if xx <= 0 or yy <= 0:
        return math.nan, math.nan
    scale = math.sqrt(xx * yy)
    cosine = xy / scale
    return cosine, product_variance(moments, xx=-cosine / (2 * xx), yy=-cosine / (2 * yy), xy=1 / scale)


def gap_covariance(moments: Moments) -> np.ndarray:
    """Return the covariance of mean x - mean y over samples of items.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    (d, d) array
        Covariance of the difference.

    Examples
    --------
    >>> from isthmus import Moments
    >>> moments = Moments.of(np.array([[0.6, 0.8], [1.0, 0.0]]), np.eye(2))
    >>> gap_covariance(moments).round(3).tolist()
    [[0.245, -0.315], [-0.315, 0.405]]
    """
    m, gap = moments.by_item, moments.mean_x - moments.mean_y
    # Half of the symmetric matrix of counts and gap, and its transpose, with few passes over the matrices.
    sums = np.outer(m.count_sq / 2 * gap - (m.count_x - m.count_y), gap)
    sums -= m.xy
    covariance: np.ndarray = m.xx + m.yy
    covariance += sums
    covariance += sums.T
    covariance /= moments.n**2
    return covariance


def gap_p_value(moments: Moments) -> float:
    """Return the p-value of equal means, as random swaps of the modalities leave them.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    float
        See `satterthwaite_p_value`.

    Examples
    --------
    >>> from isthmus import Moments
    >>> X = np.random.default_rng(0).normal(size=(200, 5))
    >>> gap_p_value(Moments.of(X, X[::-1])), gap_p_value(Moments.of(X, X + 1)) < 1e-9
    (1.0, True)
    """
    gap = moments.mean_x - moments.mean_y
    return satterthwaite_p_value(float(gap @ gap), gap_covariance(moments))


def debiased_gap_squared(moments: Moments) -> tuple[float, tuple[float, float] | None]:
    """Return the debiased squared gap |mean x - mean y|^2, and its interval if the gap may be noise.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    squared : float
        Debiased squared gap, which may be negative.
    interval : tuple of float or None
        See `noise_interval`.

    Examples
    --------
    >>> from isthmus import Moments
    >>> moments = Moments.of(np.array([[0.6, 0.8], [1.0, 0.0]]), np.eye(2))
    >>> round(debiased_gap_squared(moments)[0], 3)
    -1.2
    """
    xy, xx, yy = debiased_mean_products(moments)
    gap = moments.mean_x - moments.mean_y
    return xx + yy - 2 * xy, noise_interval(float(gap @ gap), gap_covariance(moments))


def gap_interval(moments: Moments) -> tuple[float, float]:
    """Return the interval of the gap |mean x - mean y|.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval.

    Examples
    --------
    >>> from isthmus import Moments
    >>> moments = Moments.of(np.array([[0.6, 0.8], [1.0, 0.0]]), np.eye(2))
    >>> low, high = gap_interval(moments)
    >>> low, round(high, 3)
    (0.0, 1.849)
    """
    xy, xx, yy = debiased_mean_products(moments)
    clear = length_interval(xx + yy - 2 * xy, interval_variance(moments, xx=1, yy=1, xy=-2))
    return _with_noise(clear, moments.mean_x - moments.mean_y, gap_covariance(moments))


def mean_length_interval(moments: Moments) -> tuple[float, float]:
    """Return the interval of the length |mean x|.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval.

    Examples
    --------
    >>> from isthmus import Moments
    >>> moments = Moments.of(np.array([[0.6, 0.8], [1.0, 0.0]]), np.eye(2))
    >>> low, high = mean_length_interval(moments)
    >>> round(low, 3), round(high, 3)
    (0.577, 1.066)
    """
    squared, variance = debiased_mean_products(moments)[1], interval_variance(moments, xx=1)
    if moments.normalize:
        clear = _roots(cosine_interval(squared, variance, near_zero=square_interval(squared, variance)))
    else:
        clear = length_interval(squared, variance)
    return _with_noise(clear, moments.mean_x, mean_covariance(moments))


def mean_product_noise(moments: Moments) -> float:
    """Return the variance of mean x . mean y if both expectations are zero.

    The first-order variance is proportional to the lengths of the means and underestimates when both are short.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    float
        tr C_x C_y + tr C_xy C_xy, with the covariances C of the means.

    Examples
    --------
    >>> from isthmus import Moments
    >>> moments = Moments.of(np.array([[0.6, 0.8], [1.0, 0.0]]), np.eye(2))
    >>> round(mean_product_noise(moments), 3)
    0.045
    """
    m, x, y = moments.by_item, moments.mean_x, moments.mean_y
    cross = m.xy - np.outer(m.count_x, y) - np.outer(x, m.count_y) + m.count_sq * np.outer(x, y)
    cross = cross / moments.n**2
    traces = np.sum(mean_covariance(moments) * mean_covariance(moments.swapped())) + np.sum(cross * cross.T)
    return max(float(traces), 0.0)


def _with_noise(clear: tuple[float, float], mean: np.ndarray, covariance: np.ndarray) -> tuple[float, float]:
    """Return the interval of the length of a mean from that of a clear one and that of noise, without a jump.

    The interval of noise is right for the average direction. Along the direction of largest variance it is too short,
    so that a length that may be noise has the smallest interval that includes both.
    """
    squared_length = float(mean @ mean)
    noise = noise_interval(squared_length, covariance)
    if noise is None:
        return clear
    low, high = _roots(noise)
    probability = satterthwaite_p_value(squared_length, covariance)
    weight = min(max(math.log(probability / NOISE_LEVEL) / math.log(CLEAR_LEVEL / NOISE_LEVEL), 0.0), 1.0)
    both = min(low, clear[0]), max(high, clear[1])
    return (1 - weight) * clear[0] + weight * both[0], (1 - weight) * clear[1] + weight * both[1]


def _roots(squares: tuple[float, float]) -> tuple[float, float]:
    """Return the square roots of two ends, 0 for a negative one."""
    return math.sqrt(max(squares[0], 0.0)), math.sqrt(max(squares[1], 0.0))


def mean_p_value(moments: Moments, *, inflation: float = 1.0) -> float:
    """Return the p-value of the hypothesis that the expectation of x is zero.

    Rayleigh's test assumes isotropic clouds and rejects far too often on real ones.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.
    inflation : float, default 1.0
        Factor of the covariance of the mean: 1 + n / n_fit after centring with the mean of other n_fit rows.

    Returns
    -------
    float
        See `satterthwaite_p_value`. It is 0 if all rows are equal.

    Examples
    --------
    >>> from isthmus import Moments
    >>> moments = Moments.of(np.array([[0.6, 0.8], [1.0, 0.0]]), np.eye(2))
    >>> round(mean_p_value(moments), 4)
    0.0047
    """
    covariance = mean_covariance(moments)
    if np.trace(covariance) <= 0:  # all rows are equal, so the mean is certain
        return 0.0
    # A covariance that grows by a factor is that of a shorter mean.
    return satterthwaite_p_value(float(moments.mean_x @ moments.mean_x) / inflation, covariance)
