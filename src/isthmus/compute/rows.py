"""Slices, Euclidean norms and dtypes of rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

#: Bytes of rows that are read, changed and read again while they stay in the cache of one core.
SLICE_BYTES = 3 * 2**19
#: Longest run whose rows are added up place by place, for all runs at once.
MAX_RUN = 64


def cache_sized_slices(rows: np.ndarray, /, *, buffers: int = 1) -> Iterator[slice]:
    """Yield slices of rows that stay in the cache of one core while they are processed.

    Parameters
    ----------
    rows : (n, d) array
        Rows.
    buffers : int, default 1
        Number of arrays of the size of a slice that are in use at the same time.

    Yields
    ------
    slice
        Consecutive slices of about `SLICE_BYTES` in all buffers.

    Examples
    --------
    >>> list(cache_sized_slices(np.zeros((3, 4))))
    [slice(0, 3, None)]
    """
    step = max(SLICE_BYTES // max(buffers * rows.itemsize * rows.shape[1], 1), 1)
    return (slice(start, min(start + step, len(rows))) for start in range(0, len(rows), step))


@lru_cache(maxsize=None, typed=True)  # dtypes of libraries have one hash, and comparing them warns
def dtype_name(dtype: Any, /) -> str:
    """Return the name of a dtype of any library. NumPy takes long for it.

    Parameters
    ----------
    dtype : dtype
        The dtype.

    Returns
    -------
    str
        Its name, such as 'float32' or 'torch.float32'.

    Examples
    --------
    >>> dtype_name(np.dtype("f4"))
    'float32'
    """
    return str(dtype)


def row_norms(rows: np.ndarray, /) -> np.ndarray:
    """Return the Euclidean norms of rows, also where their squares exceed the range of float64.

    Parameters
    ----------
    rows : (n, d) array
        Rows of any floating-point or integer dtype.

    Returns
    -------
    (n,) array
        Norms in float64, infinite or NaN for rows that hold such values.

    Examples
    --------
    >>> [f"{norm:.3g}" for norm in row_norms(np.array([[3e200, 4e200], [3e-200, 4e-200]]))]
    ['5e+200', '5e-200']
    """
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt(_squared_norms(rows))
        extreme = np.flatnonzero((norms == 0) | np.isinf(norms))
        largest = np.abs(rows[extreme]).max(axis=1).astype(np.float64)
        has_direction = (largest > 0) & (largest < np.inf)
        extreme, largest = extreme[has_direction], largest[has_direction]
        norms[extreme] = largest * np.linalg.norm(rows[extreme] / largest[:, None], axis=1)
    return np.asarray(norms)


def _squared_norms(rows: np.ndarray) -> np.ndarray:
    """Return the sums of squares of the rows in float64, (n,)."""
    if rows.dtype == np.float64 or rows.ndim != 2:
        return np.asarray(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    rows = np.asarray(rows)  # slices of a memory-mapped array cost more
    squares = np.empty(len(rows))
    step = max(SLICE_BYTES // 4 // max(8 * rows.shape[1], 1), 1)
    wide = np.empty((min(step, len(rows)), rows.shape[1]))
    for start in range(0, len(rows), step):
        values = wide[: min(step, len(rows) - start)]
        values[...] = rows[start : start + step]
        np.einsum("ij,ij->i", values, values, out=squares[start : start + step])
    return squares


def are_equal(rows: np.ndarray, others: np.ndarray, /) -> bool:
    """Return whether two arrays of rows have the same shape and entries.

    Different ones differ in the first row as a rule, so that the rest is seldom compared.

    Examples
    --------
    >>> are_equal(np.eye(2), np.eye(2)), are_equal(np.eye(2), np.eye(3)[:2])
    (True, False)
    """
    return bool(np.array_equal(rows[:1], others[:1]) and np.array_equal(rows, others))


def run_sums(values: np.ndarray, begins: np.ndarray, /) -> np.ndarray:
    """Return the sums over runs of rows, as `numpy.add.reduceat` does, faster for short runs.

    Parameters
    ----------
    values : (n, ...) array
        Rows.
    begins : (k,) int array
        Row in which each run begins, in ascending order, from 0.

    Returns
    -------
    (k, ...) array
        Sums, or the rows themselves if each is a run.

    Examples
    --------
    >>> run_sums(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([0, 2])).tolist()
    [[4.0, 6.0], [5.0, 6.0]]
    """
    if len(begins) == len(values):
        return values
    lengths = np.diff(begins, append=len(values))
    if values.ndim == 1 or int(lengths.max()) > MAX_RUN:
        return np.add.reduceat(values, begins, axis=0)
    sums: np.ndarray = values[begins]
    for place in range(1, int(lengths.max())):
        longer = np.flatnonzero(lengths > place)
        sums[longer] += values[begins[longer] + place]
    return sums
