"""Intervals of squared lengths that are hardly distinguishable from zero."""

from __future__ import annotations

import numpy as np

#: A mean whose length has at least this probability under a zero expectation is treated as noise.
NOISE_LEVEL = 0.001
#: Probability of noise of at most a length below which the length is one of rounding, as that of a centred mean.
MIN_SHORTER = 1e-6


def noise_interval(squared_length: float, covariance: np.ndarray) -> tuple[float, float] | None:
    """Return the interval of |mean|^2 if the mean is hardly distinguishable from zero.

    Parameters
    ----------
    squared_length : float
        Observed squared length of the mean.
    covariance : (d, d) array
        Covariance C of the mean.

    Returns
    -------
    tuple of float or None
        Ends of the 95 % interval. None if the mean is significant at `NOISE_LEVEL`, or has no variance.

    Notes
    -----
    |mean|^2 / g is nearly noncentral chi-square with f degrees of freedom, g = tr C^2 / tr C and f = tr C / g [1]_. The
    ends are the noncentralities that leave 2.5 % at either end, times g. A normal interval is wrong near zero: the
    delta-method error of |mean|^2 is proportional to |mean|.

    A length that is shorter than 97.5 % of those of noise excludes every noncentrality. The upper end is then the one
    that leaves 5 % of the probability that noise is so short.

    References
    ----------
    .. [1] Satterthwaite (1946), An approximate distribution of estimates of variance components.

    Examples
    --------
    >>> low, high = noise_interval(1.0, np.eye(2))
    >>> low, round(high, 2)
    (0.0, 6.95)
    >>> noise_interval(100.0, np.eye(2)) is None
    True
    """
    return noncentral_interval(squared_length, float(np.trace(covariance)), float(np.vdot(covariance, covariance)))


def noncentral_interval(squared_length: float, trace: float, trace_of_square: float) -> tuple[float, float] | None:
    """Return the interval of `noise_interval` from the traces of C and of C^2.

    Parameters
    ----------
    squared_length : float
        Observed squared length, which includes the noise.
    trace, trace_of_square : float
        Traces of the covariance C of the noise and of its square.

    Returns
    -------
    tuple of float or None
        Ends of the 95 % interval. None if the length is significant at `NOISE_LEVEL`, or if there is no noise.

    Examples
    --------
    >>> noncentral_interval(1.0, 2.0, 2.0) == noise_interval(1.0, np.eye(2))
    True
    """
    from scipy.special import chndtrinc, gammainc

    if trace <= 0 or trace_of_square <= 0:
        return None
    g = trace_of_square / trace
    x, f = squared_length / g, trace / g
    if 1 - gammainc(f / 2, x / 2) < NOISE_LEVEL:
        return None
    shorter = float(gammainc(f / 2, x / 2))
    low, high = (float(chndtrinc(x, f, p)) if shorter > p else 0.0 for p in (0.975, 0.025))
    if high == 0 and shorter > MIN_SHORTER:
        high = float(chndtrinc(x, f, 0.05 * shorter))
    return g * low, g * high
