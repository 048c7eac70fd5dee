"""Comparisons of the scores of a tile, and the positions and counts of those that pass."""

from __future__ import annotations

import numpy as np

from isthmus.compute.elementwise import small_buffer


def at_least(
    scores: np.ndarray, thresholds: np.ndarray, out: np.ndarray, *, axis: int = 0, strict: bool = False
) -> np.ndarray:
    """Compare each score of a tile with the threshold of its row or of its column.

    Parameters
    ----------
    scores : (n, m) array
        Scores.
    thresholds : (n,) or (m,) array
        Thresholds of the rows, or of the columns.
    out : (n, m) bool array
        Where the result is stored.
    axis : {0, 1}, default 0
        Axis that the thresholds belong to.
    strict : bool, default False
        Compare with more than the threshold.

    Returns
    -------
    (n, m) bool array
        `out`, which is true for scores of at least the threshold, or above it if `strict`.

    Examples
    --------
    >>> scores, out = np.array([[1.0, 2.0], [3.0, 4.0]]), np.empty((2, 2), dtype=bool)
    >>> at_least(scores, np.array([2.0, 3.0]), out).tolist()
    [[False, True], [True, True]]
    >>> at_least(scores, np.array([3.0, 3.0]), out, axis=1).tolist()
    [[False, False], [True, True]]
    """
    thresholds = thresholds if axis else thresholds[:, None]
    compare = np.greater if strict else np.greater_equal
    with small_buffer(scores):
        return compare(scores, thresholds, out=out)


def true_positions(mask: np.ndarray, *, at_most: int | None = None) -> np.ndarray | None:
    """Return the positions of the true entries in the flattened mask, in ascending order.

    Words of eight entries are searched first, which takes half the time of NumPy's search where few entries are true.

    Parameters
    ----------
    mask : bool array
        A mask, C-ordered.
    at_most : int, optional
        Return None if more entries are true.

    Returns
    -------
    (k,) int array or None
        Positions.

    Examples
    --------
    >>> true_positions(np.array([[False, True], [True, False]])).tolist()
    [1, 2]
    >>> true_positions(np.ones(9, dtype=bool), at_most=8) is None
    True
    """
    flat = mask.reshape(-1)
    if at_most is not None and flat.size > at_most and np.count_nonzero(flat) > at_most:
        return None
    if flat.size % 8:
        return np.flatnonzero(flat)
    packed = flat.view(np.uint64)
    numbers = np.flatnonzero(packed.astype(bool))
    offsets = np.flatnonzero(packed[numbers].view(bool))
    positions: np.ndarray = (numbers * 8)[offsets >> 3]
    positions += offsets & 7
    return positions


def count_rows(mask: np.ndarray) -> np.ndarray:
    """Return the number of true entries in each row of a C-ordered mask.

    Eight neighbours are added at a time: 255 words of eight bytes can be added before a byte overflows.

    Parameters
    ----------
    mask : (n, m) bool array
        The mask.

    Returns
    -------
    (n,) int64 array
        Counts.
    """
    if mask.shape[1] % 8:
        return np.count_nonzero(mask, axis=1)
    packed = mask.view(np.uint64)
    counts = np.zeros(len(mask), dtype=np.int64)
    for start in range(0, packed.shape[1], 255):
        total = np.add.reduce(packed[:, start : start + 255], axis=1)
        counts += total.view(np.uint8).reshape(-1, 8).sum(axis=1, dtype=np.int64)
    return counts


def count_columns(mask: np.ndarray) -> np.ndarray:
    """Return the number of true entries in each column of a C-ordered mask.

    Bytes are added for 255 rows at a time, before one overflows.

    Parameters
    ----------
    mask : (n, m) bool array
        The mask.

    Returns
    -------
    (m,) int64 array
        Counts.
    """
    counts = np.zeros(mask.shape[1], dtype=np.int64)
    for start in range(0, len(mask), 255):
        counts += np.add.reduce(mask[start : start + 255].view(np.uint8), axis=0, dtype=np.uint8)
    return counts
