"""The spectrum of a cloud without a preferred direction at finite n."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

#: Points at which the distribution function is evaluated.
GRID = 4_096


@lru_cache(maxsize=32)
def isotropic_spectrum(n: int, dim: int) -> np.ndarray:
    """Return the expected eigenvalues of the second moment of n isotropic unit rows of R^dim.

    Parameters
    ----------
    n : int
        Number of rows.
    dim : int
        Dimension.

    Returns
    -------
    ndarray of shape (dim,)
        Descending eigenvalues with sum 1: quantiles of the law of Marchenko and Pastur with ratio dim / n, and zeros
        beyond n.

    References
    ----------
    .. [1] Marchenko and Pastur (1967), Distribution of eigenvalues for some sets of random matrices.

    Examples
    --------
    >>> np.round(isotropic_spectrum(1_000_000, 3), 2).tolist()
    [0.33, 0.33, 0.33]
    """
    rank, ratio = min(n, dim), min(n, dim) / max(n, dim)
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    angle = (np.arange(GRID) + 0.5) * (np.pi / 2) / GRID
    at = low + (high - low) * np.sin(angle) ** 2
    # The density sqrt((high - at) (at - low)) / at in the angle, where it is smooth.
    weight = (np.sin(angle) * np.cos(angle)) ** 2 / at
    distribution = np.cumsum(weight) - weight / 2
    shares = np.interp((np.arange(rank) + 0.5) / rank, distribution / weight.sum(), at)[::-1]
    spectrum = np.zeros(dim)
    spectrum[:rank] = shares / shares.sum()
    return spectrum


def tracy_widom_quantile(level: float, /) -> float:
    """Return a quantile of the law of Tracy and Widom of order 1.

    Parameters
    ----------
    level : float
        Probability, between 0 and 1.

    Returns
    -------
    float
        Quantile of the shifted gamma law of Chiani [1]_, which is close to it.

    References
    ----------
    .. [1] Chiani (2014), Distribution of the largest eigenvalue for real Wishart and Gaussian random matrices,
       arXiv 1209.3394.

    Examples
    --------
    >>> round(tracy_widom_quantile(0.95), 2), round(tracy_widom_quantile(0.975), 2)
    (0.98, 1.45)
    """
    from scipy.special import gammaincinv  # imported late: scipy.special takes a tenth of a second

    return 0.186054 * float(gammaincinv(46.446, level)) - 9.84801


def largest_eigenvalue_quantile(n: float, dim: int, level: float, /) -> float:
    """Return a quantile of the largest eigenvalue of the covariance of isotropic rows, over their variance.

    Parameters
    ----------
    n : float
        Number of rows.
    dim : int
        Dimension.
    level : float
        Probability, between 0 and 1.

    Returns
    -------
    float
        Quantile by the law of Tracy and Widom [1]_.

    References
    ----------
    .. [1] Johnstone (2001), On the distribution of the largest eigenvalue in principal components analysis.

    Examples
    --------
    >>> round(largest_eigenvalue_quantile(1_000, 10, 0.975), 2)
    1.24
    """
    root_n, root_dim = math.sqrt(max(n - 1, 1)), math.sqrt(dim)
    scale = (root_n + root_dim) * (1 / root_n + 1 / root_dim) ** (1 / 3)
    return ((root_n + root_dim) ** 2 + tracy_widom_quantile(level) * scale) / n
