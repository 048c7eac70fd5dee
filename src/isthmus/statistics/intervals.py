"""Standard errors of smooth functions of the means, from moments alone.

A statistic f(mean x, mean y, mean p) moves by f'(score of item g) when item g is weighted up. The infinitesimal
jackknife (Jaeckel 1972) sums the squares of these scores; since scores are linear in x_g, y_g and p_g, that sum is a
quadratic form in the second moments, and no second pass over the rows is needed. Items with several partners count as
one: their rows are not independent.
"""

from __future__ import annotations

import math

import numpy as np

from isthmus.statistics.moments import Moments

Z95 = 1.959963984540054
#: A mean whose length is this likely under no mean at all is treated as noise.
NOISE_LEVEL = 0.001


def linear_variance(
    moments: Moments,
    along_x: np.ndarray | None = None,
    along_y: np.ndarray | None = None,
    along_p: float = 0.0,
) -> float:
    """Variance of `along_x . mean x + along_y . mean y + along_p * mean p`, the items independent."""
    m, n = moments.by_item, moments.n
    dim = moments.dim_x
    a = np.zeros(dim) if along_x is None else along_x
    b = np.zeros(moments.dim_y) if along_y is None else along_y
    c = along_p
    raw = a @ m.xx @ a + b @ m.yy @ b + c * c * m.cos_sq + 2 * (a @ m.xy @ b + c * (a @ m.cos_x) + c * (b @ m.cos_y))
    centre = a @ moments.mean_x + b @ moments.mean_y + c * (moments.mean_paired if c else 0.0)
    with_counts = a @ m.count_x + b @ m.count_y + c * m.count_cos
    total = raw - 2 * centre * with_counts + centre**2 * m.count_sq
    return max(float(total), 0.0) / n**2 * m.n_items / max(m.n_items - 1, 1)


def mean_covariance(moments: Moments) -> np.ndarray:
    """Covariance of mean x, (d, d): what the mean of x would scatter by if the items were drawn anew."""
    m, mean = moments.by_item, moments.mean_x
    cross = np.outer(m.count_x, mean)
    return (m.xx - cross - cross.T + m.count_sq * np.outer(mean, mean)) / moments.n**2


def debiased_mean_products(moments: Moments) -> tuple[float, float, float]:
    """(mean x . mean y, |mean x|^2, |mean y|^2) without the terms of an item with itself: unbiased."""
    m, n = moments.by_item, moments.n
    others = n * n - m.count_sq
    traces = (np.trace(m.xy), np.trace(m.xx), np.trace(m.yy))
    sums = (
        moments.sum_x @ moments.sum_y,
        moments.sum_x @ moments.sum_x,
        moments.sum_y @ moments.sum_y,
    )
    xy, xx, yy = (float((s - t) / others) for s, t in zip(sums, traces, strict=True))
    return xy, xx, yy


def normal_interval(value: float, var: float) -> tuple[float, float]:
    """value -+ 1.96 standard errors."""
    half = Z95 * math.sqrt(var)
    return value - half, value + half


def wilson_interval(found: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % interval for a share found / n: right also for shares near 0 and 1."""
    share, z = found / n, Z95
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def clip_interval(interval: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """An interval cut to the range that the quantity can take.

    >>> clip_interval((-0.1, 0.3), 0.0, 1.0)
    (0.0, 0.3)
    """
    return min(max(interval[0], low), high), max(min(interval[1], high), low)


def length_interval(squared: float, var_squared: float) -> tuple[float, float]:
    """Interval of a length from its debiased square: on the scale of the length where it is clear of zero, because
    squares are skewed (the second term takes out the bias of the root), else on that of the square.

    >>> low, high = length_interval(4.0, 0.04)
    >>> round(low, 3), round(high, 3)
    (1.903, 2.099)
    """
    error = math.sqrt(var_squared)
    if error < squared:
        length = math.sqrt(squared)
        middle = length * (1 + (error / squared) ** 2 / 8)
        half = Z95 * error / (2 * length)
        return max(middle - half, 0.0), middle + half
    low, high = normal_interval(squared, var_squared)
    return math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0))


def noise_interval(squared_length: float, covariance: np.ndarray) -> tuple[float, float] | None:
    """Interval of |mean|^2 for a mean that is hardly distinguishable from zero, else None.

    |mean|^2 / g is then nearly noncentral chi-square with f degrees of freedom, g = tr C^2 / tr C, f = tr C / g, C the
    `covariance` of the mean (Satterthwaite 1946): the noncentralities that leave 2.5 % on either side, times g.
    A normal interval is wrong there: the error of a square vanishes when a mean is short by accident.
    """
    from scipy.special import chndtrinc, gammainc

    trace = float(np.trace(covariance))
    if trace <= 0:
        return None
    g = float(np.sum(covariance * covariance)) / trace
    x, f = squared_length / g, trace / g
    if 1 - gammainc(f / 2, x / 2) < NOISE_LEVEL:
        return None
    low, high = (float(chndtrinc(x, f, p)) if gammainc(f / 2, x / 2) > p else 0.0 for p in (0.975, 0.025))
    return g * low, g * high


def debiased_gap_squared(moments: Moments) -> tuple[float, tuple[float, float] | None]:
    """|mean x - mean y|^2 without its bias, and its `noise_interval` when the gap may be noise."""
    xy, xx, yy = debiased_mean_products(moments)
    m, gap = moments.by_item, moments.mean_x - moments.mean_y
    cross = np.outer(m.count_x - m.count_y, gap)
    difference = m.xx + m.yy - m.xy - m.xy.T - cross - cross.T + m.count_sq * np.outer(gap, gap)
    return xx + yy - 2 * xy, noise_interval(float(gap @ gap), difference / moments.n**2)


def gap_interval(moments: Moments) -> tuple[float, float]:
    """95 % interval of the distance |mean x - mean y|."""
    squared, noise = debiased_gap_squared(moments)
    gap = moments.mean_x - moments.mean_y
    return _roots(noise) if noise else length_interval(squared, linear_variance(moments, 2 * gap, -2 * gap))


def mean_length_interval(moments: Moments) -> tuple[float, float]:
    """95 % interval of the length |mean x|."""
    mean = moments.mean_x
    noise = noise_interval(float(mean @ mean), mean_covariance(moments))
    return (
        _roots(noise)
        if noise
        else length_interval(debiased_mean_products(moments)[1], linear_variance(moments, 2 * mean))
    )


def mean_product_noise(moments: Moments) -> float:
    """Variance of mean x . mean y when both are noise, tr C_x C_y + tr C_xy C_xy, C the covariances of the means.

    Where the means are short by accident the first-order variance vanishes with them; this much remains.
    """
    m, x, y = moments.by_item, moments.mean_x, moments.mean_y
    cross = m.xy - np.outer(m.count_x, y) - np.outer(x, m.count_y) + m.count_sq * np.outer(x, y)
    cross = cross / moments.n**2
    both = np.sum(mean_covariance(moments) * mean_covariance(moments.swapped())) + np.sum(cross * cross.T)
    return max(float(both), 0.0)


def _roots(squares: tuple[float, float]) -> tuple[float, float]:
    return math.sqrt(squares[0]), math.sqrt(squares[1])


def mean_p_value(moments: Moments, *, inflation: float = 1.0) -> float:
    """p-value of 'the mean of x is zero': n |mean|^2 / g ~ chi2_f with Satterthwaite's g and f.

    g = tr(S^2) / tr(S), f = tr(S) / g, S the covariance of the mean. Rayleigh's test assumes isotropic clouds and
    rejects far too often on real ones. `inflation` multiplies S: 1 + n / n_fit after centring on other n_fit rows.
    """
    covariance = mean_covariance(moments) * inflation
    if np.trace(covariance) <= 0:  # all rows are equal, so the mean is certain
        return 0.0
    return satterthwaite_p_value(float(moments.mean_x @ moments.mean_x), covariance)


def satterthwaite_p_value(squared_length: float, covariance: np.ndarray, /) -> float:
    """Return the p-value of a zero expectation, from the squared length of a vector.

    Parameters
    ----------
    squared_length : float
        Squared length of the vector, such as a mean or a difference of means.
    covariance : ndarray of shape (d, d)
        Covariance S of the vector.

    Returns
    -------
    float
        P(chi2_f > squared_length / g) with g = tr(S^2) / tr(S) and f = tr(S) / g. Without any variance it is 1 for a
        vector of zeros and 0 for every other vector.

    References
    ----------
    .. [1] Satterthwaite (1946), An approximate distribution of estimates of variance components.

    Examples
    --------
    >>> round(satterthwaite_p_value(3.841459, np.diag([1.0, 0.0])), 6)
    0.05
    """
    from scipy.special import gammaincc  # chi2.sf without the second that scipy.stats takes to load

    trace = float(np.trace(covariance))
    g = float(np.sum(covariance * covariance)) / trace if trace > 0 else 0.0
    if g <= 0:
        return float(squared_length == 0)
    return float(gammaincc(trace / g / 2, squared_length / g / 2))
