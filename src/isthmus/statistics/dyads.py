"""Standard errors of sums over pairs of items, which are dependent if they share an item."""

from __future__ import annotations

import numpy as np

from isthmus.statistics.freedom import freedom_of_parts, widened_variance


def dyadic_variance(first: np.ndarray, second: np.ndarray, residuals: np.ndarray, n_items: int, /) -> float:
    """Return the variance of a sum over pairs of items that are dependent if they share an item.

    Parameters
    ----------
    first, second : (m,) int arrays
        The two items of each pair. A pair may occur more than once.
    residuals : (m,) array
        Term of each pair in the sum, minus its expectation.
    n_items : int
        Number of items.

    Returns
    -------
    float
        Variance, multiplied by the square of the quantile of Student's t over that of the normal distribution. It is
        not smaller than that of independent pairs.

    Notes
    -----
    The variance is the sum of r_p r_q over all pairs p and q of items that share an item [1]_ [2]_. The squared sums
    of each item count every such product once, and the square of a pair twice.

    References
    ----------
    .. [1] Fafchamps and Gubert (2007), The formation of risk sharing networks.
    .. [2] Aronow, Samii and Assenova (2015), Cluster-robust variance estimation for dyadic data, arXiv 1312.3398.

    Examples
    --------
    >>> star = np.zeros(3, dtype=int), np.array([1, 2, 3])  # all pairs share item 0: the variance is 3^2
    >>> dyadic_variance(*star, np.ones(3), 4) > 9
    True
    """
    keys = np.minimum(first, second) * n_items + np.maximum(first, second)
    pairs, number = np.unique(keys, return_inverse=True)
    totals = np.bincount(number, weights=residuals, minlength=len(pairs))
    squares = totals**2
    ends = np.concatenate([pairs // n_items, pairs % n_items])
    sums, twice = (np.bincount(ends, weights=np.tile(w, 2), minlength=n_items) for w in (totals, squares))
    parts = sums**2 - twice / 2
    return max(widened_variance(float(parts.sum()), freedom_of_parts(parts)), float(squares.sum()))
