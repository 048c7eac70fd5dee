"""How well one series predicts another: rank correlation and isotonic regression."""

from __future__ import annotations

import math

import numpy as np

from isthmus.statistics.result import NAN

#: Values within this share of the range are treated as ties, which avoids overfitting.
TIE_SHARE = 0.02


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Return Spearman's rank correlation, with ties at their mean rank.

    `scipy.stats.spearmanr` is not used because `scipy.stats` takes more than a second to import.

    Parameters
    ----------
    a, b : (n,) arrays
        The two series.

    Returns
    -------
    float
        In [-1, 1], or NaN if one series is constant.

    Examples
    --------
    >>> import numpy as np
    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))
    1.0
    """
    ranks = [mean_ranks(values) for values in (a, b)]
    u, v = (r - r.mean() for r in ranks)
    size = math.sqrt(float(u @ u) * float(v @ v))
    return float(u @ v) / size if size > 0 else NAN


def isotonic_r2(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of the variance of b that the best monotone function of a explains.

    Values of a within `TIE_SHARE` of its range are treated as ties, to avoid overfitting.

    Parameters
    ----------
    a, b : (n,) arrays
        Predictor and response.

    Returns
    -------
    float
        In [0, 1]: 0 if a is constant, NaN if b is constant.

    Examples
    --------
    >>> import numpy as np
    >>> isotonic_r2(np.array([0.0, 1.0, 2.0]), np.array([3.0, 1.0, 0.0]))
    1.0
    """
    from scipy.optimize import isotonic_regression

    total = float(np.sum((b - b.mean()) ** 2))
    width = float(np.ptp(a))
    if total <= 1e-12 or width == 0:
        return NAN if total <= 1e-12 else 0.0
    _, cell, counts = np.unique(np.round(a / (TIE_SHARE * width)), return_inverse=True, return_counts=True)
    means = np.bincount(cell, weights=b) / counts
    residuals = []
    for increasing in (True, False):
        fitted = isotonic_regression(means, weights=counts, increasing=increasing).x
        residuals.append(float(np.sum((b - fitted[cell]) ** 2)))
    return 1 - min(residuals) / total


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks of values, with ties at their mean rank.

    Parameters
    ----------
    values : (n,) array
        Numbers, compared to 12 decimals.

    Returns
    -------
    (n,) array
        Ranks from 1.

    Examples
    --------
    >>> mean_ranks(np.array([5.0, 2.0, 5.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, number, counts = np.unique(np.round(values, 12), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[number]
