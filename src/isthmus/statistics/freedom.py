"""Student's t for variances that are themselves estimated."""

from __future__ import annotations

import numpy as np

from isthmus.statistics.intervals import Z95

#: Fewest degrees of freedom of a variance, if they are themselves estimated.
MIN_FREEDOM = 3.0


def tail_factor(scores: np.ndarray, /) -> float:
    """Return the factor of the 95 % half width for a standard error that is itself uncertain.

    Parameters
    ----------
    scores : (m,) array
        Contribution of each item to an estimate.

    Returns
    -------
    float
        Quantile of Student's t with 2 m / (kurtosis - 1) degrees of freedom, at most m - 1, over that of the normal
        distribution. It is about 1 for many items m, and 1 for equal scores.

    Examples
    --------
    >>> round(tail_factor(np.array([-1.0, 0.0, 2.0, 0.0, -1.0])), 2)
    1.42
    """
    from scipy.special import stdtrit

    squares = (scores - scores.mean()) ** 2
    if not squares.any():
        return 1.0
    return float(stdtrit(freedom_of_parts(squares), 0.975)) / Z95


def freedom_of_parts(parts: np.ndarray, /) -> float:
    """Return the degrees of freedom of a variance that is a sum of parts.

    Parameters
    ----------
    parts : (m,) array
        Parts of the variance. They may be negative.

    Returns
    -------
    float
        Twice the squared sum over the variance of the sum [1]_, at most m - 1.

    References
    ----------
    .. [1] Satterthwaite (1946), An approximate distribution of estimates of variance components.

    Examples
    --------
    >>> round(freedom_of_parts(np.array([3.0, 1.0, 0.0, 0.0, 0.0, 0.0])), 2)
    4.36
    """
    spread, most = float(len(parts) * parts.var()), float(len(parts) - 1)
    return min(2 * float(parts.sum()) ** 2 / spread, most) if spread > 0 else most


def widened_variance(variance: float, freedom: float, /, *, min_freedom: float = MIN_FREEDOM) -> float:
    """Return a variance that gives the 95 % interval of Student's t if an interval takes 1.96 standard errors.

    Parameters
    ----------
    variance : float
        Estimated variance. A negative one counts as 0.
    freedom : float
        Degrees of freedom of the estimate.
    min_freedom : float, default 3
        Fewer degrees of freedom count as this number. If they are known, it is 1.

    Returns
    -------
    float
        Variance times the squared ratio of the quantiles.

    Examples
    --------
    >>> round(widened_variance(1.0, 10), 3), round(widened_variance(1.0, 1e9), 3)
    (1.292, 1.0)
    """
    from scipy.special import stdtrit

    return max(variance, 0.0) * (float(stdtrit(max(freedom, min_freedom), 0.975)) / Z95) ** 2
