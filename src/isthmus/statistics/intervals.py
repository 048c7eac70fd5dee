"""Intervals from an estimate and its variance, and tests of a zero mean."""

from __future__ import annotations

import math

import numpy as np

#: Two-sided 95 % quantile of the standard normal distribution.
Z95 = 1.959963984540054
#: Successes or failures below which the interval of a share is exact.
FEW_SUCCESSES = 15
#: Sizes of a mean cosine between which its interval changes from the one near 0 to the one near 1 or -1.
SIZES_OF_TRANSITION = (0.3, 0.7)


def normal_interval(value: float, variance: float) -> tuple[float, float]:
    """Return value -+ 1.96 standard errors.

    Parameters
    ----------
    value, variance : float
        Estimate and its variance.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval.

    Examples
    --------
    >>> low, high = normal_interval(1.0, 0.25)
    >>> round(low, 2), round(high, 2)
    (0.02, 1.98)
    """
    half = Z95 * math.sqrt(variance)
    return value - half, value + half


def skewed_interval(value: float, variance: float, slope: float, /) -> tuple[float, float]:
    """Return the interval of a mean whose variance rises with its expectation, as that of a count does.

    Parameters
    ----------
    value, variance : float
        Estimate and its variance.
    slope : float
        Change of the variance with the expectation: third cumulant over second, 1 / n for the share of a rare event.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval, which contains the value.

    Notes
    -----
    The interval holds the expectations m with (value - m)^2 <= 1.96^2 (variance + slope (m - value)). For a share this
    is Wilson's interval up to a term of the order 1 / n^2.

    Examples
    --------
    >>> low, high = skewed_interval(0.04, 0.04 / 100, 0.01)
    >>> round(low, 3), round(high, 3)
    (0.016, 0.103)
    """
    shift = Z95**2 * slope / 2
    half = math.sqrt(shift**2 + Z95**2 * variance)
    return value + shift - half, value + shift + half


def wilson_interval(successes: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval of a share, or the exact one if there are few successes or few failures.

    Parameters
    ----------
    successes, n : float
        Number of successes and of trials.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval in [0, 1].

    Notes
    -----
    With fewer than 15 successes or failures, the ends are those of Clopper and Pearson [1]_. Wilson's interval covers
    in 84 % if about .2 successes are expected. This rule covers in 93 % or more of binomial counts, whatever the
    expectation, and in up to 100 % of counts whose expectation is below 1.

    References
    ----------
    .. [1] Clopper and Pearson (1934), The use of confidence or fiducial limits.

    Examples
    --------
    >>> low, high = wilson_interval(0, 10)
    >>> low, round(high, 3)
    (0.0, 0.308)
    """
    from scipy.special import betaincinv

    failures = n - successes
    if min(successes, failures) < FEW_SUCCESSES:
        low = float(betaincinv(successes, failures + 1, 0.025)) if successes > 0 else 0.0
        return low, float(betaincinv(successes + 1, failures, 0.975)) if failures > 0 else 1.0
    share, z = successes / n, Z95
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half


def chance_limit(chance: float, n: float, /) -> float:
    """Return the share of `n` queries up to which a recall is not distinguished from chance.

    Parameters
    ----------
    chance : float
        Expected share in a random order, in [0, 1].
    n : float
        Number of queries.

    Returns
    -------
    float
        Three standard errors above chance.

    Examples
    --------
    >>> round(chance_limit(0.01, 100), 4)
    0.0398
    """
    return chance + 3 * math.sqrt(chance * (1 - chance) / n)


def clip_interval(interval: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    """Clip an interval to the range of the quantity.

    Parameters
    ----------
    interval : tuple of float
        Ends of the interval.
    low, high : float
        Range of the quantity.

    Returns
    -------
    tuple of float
        Ends of the clipped interval.

    Examples
    --------
    >>> clip_interval((-0.1, 0.3), 0.0, 1.0)
    (0.0, 0.3)
    """
    return min(max(interval[0], low), high), max(min(interval[1], high), low)


def length_interval(squared: float, variance: float) -> tuple[float, float]:
    """Return the interval of a length from its debiased square.

    Parameters
    ----------
    squared, variance : float
        Debiased square of the length and the variance of that square.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval.

    Notes
    -----
    If the square exceeds its standard error, the interval is symmetric on the scale of the length, because squares are
    skewed. Its centre is corrected for the bias of the root. Its lower end is at most the root of the square minus its
    standard error, so that it reaches 0 without a jump. A larger error leaves the upper end until that of the interval
    that is symmetric on the scale of the square exceeds it.

    Examples
    --------
    >>> low, high = length_interval(4.0, 0.04)
    >>> round(low, 3), round(high, 3)
    (1.903, 2.099)
    """
    error, length = math.sqrt(variance), math.sqrt(max(squared, 0.0))
    ratio = min(error / squared, 1.0) if squared > 0 else 0.0
    centre, half = length * (1 + ratio**2 / 8), Z95 * ratio * length / 2
    low = min(centre - half, math.sqrt(max(squared - error, 0.0)))
    high = max(centre + half, math.sqrt(max(squared + Z95 * error, 0.0)))
    return max(low, 0.0), high


def square_interval(squared: float, variance: float) -> tuple[float, float]:
    """Return the interval of a squared distance from its unbiased estimate, which can be negative.

    Parameters
    ----------
    squared, variance : float
        Unbiased estimate of the square and its variance.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval: the squares of those of `length_interval` if the estimate exceeds its standard error,
        because the standard error of a square grows with it. Near zero and below, those of `normal_interval`.

    Examples
    --------
    >>> low, high = square_interval(4.0, 0.04)
    >>> round(low, 2), round(high, 2)
    (3.62, 4.4)
    >>> square_interval(0.0, 0.0)
    (0.0, 0.0)
    """
    low, high = length_interval(squared, variance)
    normal_low, normal_high = normal_interval(squared, variance)
    # Falls from 0, where the error reaches the estimate, to the normal end, where it is half as large again.
    transition = 4 * (squared - math.sqrt(variance))
    return max(min(low * low, transition), normal_low), high * high if high > 0 else normal_high


def positive_interval(value: float, variance: float, largest: float = 0.0) -> tuple[float, float]:
    """Return the interval of a positive quantity whose standard error grows in proportion to it.

    Parameters
    ----------
    value, variance : float
        Estimate and its variance.
    largest : float, default 0.0
        Largest contribution of an item to the estimate, if few items decide it.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval. With `largest`, the upper end is that of the estimate with one more item of the
        largest contribution, as in the gamma interval of Fay and Feuer [1]_.

    Notes
    -----
    If the estimate exceeds its standard error, the interval is symmetric on the scale of the logarithm. Its lower end
    is at most the estimate minus its standard error, so that it reaches 0 without a jump. If the standard error is that
    of a single item, it is as large as the estimate, and the upper end is 7.1 times the estimate. That of a Poisson
    count of 1 is 5.6. A larger error leaves the upper end until that of `normal_interval` exceeds it.

    References
    ----------
    .. [1] Fay and Feuer (1997), Confidence intervals for directly standardized rates: a method based on the gamma
       distribution.

    Examples
    --------
    >>> low, high = positive_interval(10.0, 1.0)
    >>> round(low, 2), round(high, 2)
    (8.22, 12.17)
    """
    if largest > 0:
        return positive_interval(value, variance)[0], positive_interval(value + largest, variance + largest**2)[1]
    error = math.sqrt(variance)
    ratio = math.exp(Z95 * min(error / value, 1.0)) if value > 0 else 1.0
    return max(min(value / ratio, value - error), 0.0), max(value * ratio, value + Z95 * error, 0.0)


def cosine_interval(
    value: float, variance: float, *, near_zero: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Return the interval of a mean cosine, of which the distance to 1 or -1 is skewed if it is short.

    Parameters
    ----------
    value, variance : float
        Estimate and its variance.
    near_zero : tuple of float, optional
        Interval that holds near zero. The default is `normal_interval`.

    Returns
    -------
    tuple of float
        Ends of the 95 % interval in [-1, 1].

    Notes
    -----
    Above 0.7, it is 1 minus the ends of `positive_interval` of 1 - value, and below -0.7 its mirror image. Below 0.3 in
    size it is that of `near_zero`, and in between the ends are interpolated.

    Examples
    --------
    >>> low, high = cosine_interval(0.9, 0.0009)
    >>> round(low, 3), round(high, 3)
    (0.82, 0.944)
    """
    first, last = SIZES_OF_TRANSITION
    share = min(max((abs(value) - first) / (last - first), 0.0), 1.0)
    nearest, farthest = positive_interval(1 - abs(value), variance)
    skewed = (1 - farthest, 1 - nearest) if value > 0 else (nearest - 1, farthest - 1)
    ends = zip(near_zero or normal_interval(value, variance), skewed, strict=True)
    low, high = ((1 - share) * end + share * skewed_end for end, skewed_end in ends)
    return clip_interval((low, high), -1.0, 1.0)


def standardized_moments(values: np.ndarray, /) -> tuple[float, float, float]:
    """Return the standard deviation, the skewness and the kurtosis of values.

    Parameters
    ----------
    values : (m,) array
        The values.

    Returns
    -------
    tuple of float
        Deviation (1/m), skewness and kurtosis, which is 3 for a normal distribution. Of equal values, 0, 0 and 1.

    Examples
    --------
    >>> [round(moment, 2) for moment in standardized_moments(np.array([0.0, 0.0, 0.0, 4.0]))]
    [1.73, 1.15, 2.33]
    """
    centred = values - values.mean()
    deviation = float(np.sqrt(np.mean(centred**2)))
    if deviation == 0:
        return 0.0, 0.0, 1.0
    scaled = centred / deviation
    return deviation, float(np.mean(scaled**3)), float(np.mean(scaled**4))


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
    scale = float(np.vdot(covariance, covariance)) / trace if trace > 0 else 0.0
    if scale <= 0:
        return float(squared_length == 0)
    return float(gammaincc(trace / scale / 2, squared_length / scale / 2))
