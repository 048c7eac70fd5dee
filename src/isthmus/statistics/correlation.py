"""How well one series predicts another: rank correlation and isotonic regression."""

from __future__ import annotations

import numpy as np

from isthmus.statistics.result import NAN

#: Values within this share of the range are treated as ties, which avoids overfitting.
TIE_SHARE = 0.02
#: Largest number of values of a that are no ties.
MAX_CELLS = 52
#: Means of ranges of cells that are computed at once.
VALUES_AT_ONCE = 2**21


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
    return float(spearman_of_samples(a, b, np.ones((1, len(a))))[0])


def spearman_of_samples(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of many samples of the same pairs, such as those of a bootstrap.

    Parameters
    ----------
    a, b : (n,) arrays
        The two series.
    counts : (samples, n) array
        Number of times that each sample holds each pair.

    Returns
    -------
    (samples,) array
        Rank correlations, NaN if a series of the sample is constant.

    Examples
    --------
    >>> import numpy as np
    >>> spearman_of_samples(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 2.0]), np.array([[1, 1, 1], [1, 2, 0]]))
    array([0.5, 1. ])
    """
    counts = counts.astype(np.float64)
    ranks = []
    for values in (a, b):
        _, number = np.unique(np.round(values, 12), return_inverse=True)
        order = np.argsort(number, kind="stable")
        begins = np.flatnonzero(np.diff(number[order], prepend=-1))
        ties = np.add.reduceat(counts[:, order], begins, axis=1)
        rank = (np.cumsum(ties, axis=1) - (ties - 1) / 2)[:, number]
        ranks.append(rank - np.sum(counts * rank, axis=1, keepdims=True) / counts.sum(axis=1, keepdims=True))
    products = [np.sum(counts * u * v, axis=1) for u, v in ((ranks[0], ranks[1]), (ranks[0],) * 2, (ranks[1],) * 2)]
    size = np.sqrt(products[1] * products[2])
    return np.divide(products[0], size, out=np.full(len(counts), NAN), where=size > 0)


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
    return float(isotonic_r2_of_samples(a, b, np.ones((1, len(a))))[0])


def isotonic_r2_of_samples(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return `isotonic_r2` of many samples of the same pairs, such as those of a bootstrap.

    Parameters
    ----------
    a, b : (n,) arrays
        Predictor and response.
    counts : (samples, n) array
        Number of times that each sample holds each pair.

    Returns
    -------
    (samples,) array
        Shares in [0, 1]: 0 if a is constant in the sample, NaN if b is.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.array([0.0, 1.0, 2.0]), np.array([3.0, 0.0, 1.0])
    >>> isotonic_r2_of_samples(a, b, np.array([[1, 1, 1], [1, 2, 0]])).round(3)
    array([0.893, 1.   ])
    """
    order = np.argsort(a, kind="stable")
    size = VALUES_AT_ONCE // min(max(len(a), 1), MAX_CELLS) ** 2
    blocks = range(0, len(counts), size)
    ordered = counts[:, order].astype(np.float64)
    return np.concatenate([_isotonic_shares(a[order], b[order], ordered[start : start + size]) for start in blocks])


def _isotonic_shares(a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the shares of samples, for ascending a."""
    mean = counts @ b / counts.sum(axis=1)
    values = b - mean[:, None]
    total = np.sum(counts * values**2, axis=1)
    is_drawn = counts > 0
    lowest, highest = np.where(is_drawn, a, np.inf).min(axis=1), np.where(is_drawn, a, -np.inf).max(axis=1)
    width = (highest - lowest)[:, None]
    cell = np.round(np.divide(a, TIE_SHARE * width, out=np.zeros(counts.shape), where=width > 0))
    first_cell = np.where(is_drawn, cell, np.inf).min(axis=1, keepdims=True)
    within_cells = np.zeros(len(counts))
    if len(a) > MAX_CELLS:
        number = np.where(is_drawn, cell - first_cell, 0).astype(np.int64) + MAX_CELLS * np.arange(len(counts))[:, None]
        shape, squares = (len(counts), MAX_CELLS), total
        weights, sums = (
            np.bincount(number.ravel(), weights=table.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
            for table in (counts, counts * values)
        )
        counts, values = weights, np.divide(sums, weights, out=np.zeros(shape), where=weights > 0)
        within_cells = squares - np.sum(counts * values**2, axis=1)
        is_drawn, cell, first_cell = counts > 0, np.broadcast_to(np.arange(MAX_CELLS), shape), np.zeros((shape[0], 1))
    # Values that were not drawn join the cell of the last value that was, or else that of the first one.
    cell = np.maximum(np.maximum.accumulate(np.where(is_drawn, cell, -np.inf), axis=1), first_cell)
    begins = np.diff(cell, axis=1, prepend=-np.inf) > 0
    ends = np.diff(cell, axis=1, append=np.inf) > 0
    residuals = np.minimum(*(_isotonic_residual(sign * values, counts, begins, ends) for sign in (1, -1)))
    share = 1 - np.divide(within_cells + residuals, total, out=np.ones(len(counts)), where=total > 0)
    return np.where(total > 1e-12, np.where(width[:, 0] == 0, 0.0, share), NAN)  # NaN if a response is NaN


def _isotonic_residual(values: np.ndarray, counts: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the sum of squares of values (samples, m) around the best ascending function of the cells, (samples,).

    The function is the largest, over cells up to its own, of the least mean from that cell to a later one.
    """
    zero = np.zeros((len(counts), 1))
    weights, sums = (np.concatenate([zero, np.cumsum(t, axis=1)], axis=1) for t in (counts, counts * values))
    weight = weights[:, None, 1:] - weights[:, :-1, None]
    is_range = begins[:, :, None] & ends[:, None, :] & (weight > 0)
    means = np.divide(sums[:, None, 1:] - sums[:, :-1, None], weight, out=np.full(weight.shape, np.inf), where=is_range)
    least = np.minimum.accumulate(means[:, :, ::-1], axis=2)[:, :, ::-1]
    least[np.broadcast_to(np.tri(counts.shape[1], k=-1, dtype=bool), least.shape)] = -np.inf  # ranges that begin later
    least[~begins] = -np.inf
    return np.asarray(np.sum(counts * (values - least.max(axis=1)) ** 2, axis=1))


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
