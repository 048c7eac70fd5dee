"""Ranks of pairs by a bilinear score that is learned from the pairs of other blocks of rows.

The inner product of two rows weighs all directions alike. The cross-covariance of matching rows shows in which of them
the modalities agree, which makes weak matches twice as informative. It is shrunk towards the identity.
"""

from __future__ import annotations

import math

import numpy as np

from isthmus.statistics.row_samples import BLOCK_ROWS, RowSample

#: Fewest rows that show the shared directions.
MIN_ROWS = 400
#: Largest product of the number of rows and their squared width: a learned score costs four times as many operations.
MAX_OPERATIONS = 2**31
#: Mean rank of an eighth of the rows below which a score is learned.
STRONG_RANK = 0.8
#: Weights of the identity, as multiples of the largest singular value of the cross-covariance.
_IDENTITY_WEIGHTS = (0.15, 0.5)
#: Folds of the blocks. The score of one fold is learned from the others.
_FOLDS = 4
#: Power iterations for the largest singular value.
_POWER_STEPS = 6


def learned_ranks(sample: RowSample, ranks: np.ndarray, /) -> np.ndarray:
    """Return the ranks of pairs by a learned score, if they are higher on average.

    Parameters
    ----------
    sample : RowSample
        Centred rows.
    ranks : numpy.ndarray
        Ranks (k,) by the inner product, see `local_ranks`.

    Returns
    -------
    numpy.ndarray
        Ranks (k,). Each block of 32 rows is ranked by a score that its own pairs have no part in. So pairs in random
        order still have the mean 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> content = rng.normal(size=(640, 4)) @ rng.normal(size=(4, 64))
    >>> x, y = (content + 5 * rng.normal(size=content.shape) for _ in range(2))
    >>> from isthmus.statistics.row_samples import local_ranks
    >>> sample = RowSample(x, y, np.arange(640))
    >>> bool(learned_ranks(sample, ranks := local_ranks(sample)).mean() > ranks.mean() + 0.1)
    True
    """
    count = len(ranks)
    is_possible = count >= MIN_ROWS and count * sample.x.shape[1] ** 2 <= MAX_OPERATIONS
    if not is_possible or min(map(np.nanmean, np.array_split(ranks, 8))) > STRONG_RANK:
        return ranks
    starts = np.minimum(np.arange(0, count, BLOCK_ROWS), count - BLOCK_ROWS)
    folds = np.arange(len(starts)) % _FOLDS
    folds[-1] = folds[-2]  # the last block shares rows with the one before it
    fold_products = [cross_products(sample, starts[folds == fold]) for fold in range(_FOLDS)]
    total = np.sum(fold_products, axis=0)
    best = ranks
    for weight in _IDENTITY_WEIGHTS:
        candidate = np.empty(count)
        for fold, products in enumerate(fold_products):
            rows = (starts[folds == fold, None] + np.arange(BLOCK_ROWS)).ravel()
            score = _score(total - products, weight)
            candidate[rows] = _smooth_ranks(sample.x[rows] @ score, sample.y[rows])
        candidate[np.isnan(ranks)] = np.nan
        best = candidate if np.nanmean(candidate) > np.nanmean(best) else best
    return best


def _smooth_ranks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the ranks within blocks that a normal law of the scores of each row gives.

    They lack the noise of a count of 31 scores, which is a sixteenth of their variance.
    """
    blocks_x, blocks_y = (rows.reshape(-1, BLOCK_ROWS, rows.shape[1]) for rows in (x, y))
    scores = blocks_x @ blocks_y.transpose(0, 2, 1)
    scores -= scores.mean(axis=1, keepdims=True)
    scores -= scores.mean(axis=2, keepdims=True)
    matching = np.diagonal(scores, axis1=1, axis2=2).copy()
    squares = np.square(scores)
    squares[:, np.arange(BLOCK_ROWS), np.arange(BLOCK_ROWS)] = 0.0
    ranks = np.zeros(matching.shape)
    for axis in (1, 2):
        deviation = matching / np.sqrt(squares.sum(axis=axis) / (BLOCK_ROWS - 2) + 1e-12)
        ranks += np.tanh(math.sqrt(2 / math.pi) * deviation * (1 + 0.044715 * deviation**2)) / 2
    return ranks.ravel()


def cross_products(sample: RowSample, starts: np.ndarray) -> np.ndarray:
    """Return X'Y of the rows of blocks, each minus the mean of its block.

    Parameters
    ----------
    sample : RowSample
        Centred rows.
    starts : numpy.ndarray
        First row of each block of 32 rows.

    Returns
    -------
    numpy.ndarray
        The matrix (d, d).

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(64, 4))
    >>> cross_products(RowSample(rows, rows, np.arange(64)), np.array([0, 32])).shape
    (4, 4)
    """
    rows = starts[:, None] + np.arange(BLOCK_ROWS)
    x = sample.x[rows] - sample.x[rows].mean(axis=1, keepdims=True)
    return np.asarray(x.reshape(-1, x.shape[2]).T @ sample.y[rows].reshape(-1, x.shape[2]))


def _score(products: np.ndarray, weight: float) -> np.ndarray:
    """Return X'Y plus a multiple of the identity, with singular values of at most about 1."""
    vector = np.random.default_rng(0).normal(size=len(products)).astype(products.dtype)
    for _ in range(_POWER_STEPS):
        vector = products @ vector
        vector = products.T @ (vector / max(float(np.linalg.norm(vector)), 1e-30))
        largest = float(np.linalg.norm(vector))
        vector /= max(largest, 1e-30)
    return np.asarray(products / max(largest, 1e-30) + weight * np.eye(len(products), dtype=products.dtype))


def learned_score(sample: RowSample, start: int, stop: int, /) -> np.ndarray:
    """Return the matrix W of a score x'Wy that is learned from the blocks of rows outside a range.

    Parameters
    ----------
    sample : RowSample
        Centred rows.
    start, stop : int
        First row of the range, and the row after the last one.

    Returns
    -------
    numpy.ndarray
        The matrix (d, d). The identity if nearly all rows belong to the range.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(640, 4))
    >>> learned_score(RowSample(rows, rows, np.arange(640)), 100, 200).shape
    (4, 4)
    """
    starts = np.arange(0, len(sample.x) - BLOCK_ROWS + 1, BLOCK_ROWS)
    starts = starts[(starts + BLOCK_ROWS <= start) | (starts >= stop)]
    if len(starts) * BLOCK_ROWS < MIN_ROWS // 2:
        return np.eye(sample.x.shape[1], dtype=sample.x.dtype)
    return _score(cross_products(sample, starts), _IDENTITY_WEIGHTS[0])
