"""Numbers that join rows to others: groups in order of first occurrence, and the index of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.utils import validation
from isthmus.utils.errors import InputError


def renumber(groups: np.ndarray, /) -> np.ndarray:
    """Return group numbers that count from 0 in order of first occurrence.

    Parameters
    ----------
    groups : numpy.ndarray
        A number for each row (n,).

    Returns
    -------
    numpy.ndarray
        The new numbers (n,), equal where the given ones are.

    Examples
    --------
    >>> import numpy as np
    >>> renumber(np.array([7, 3, 7, 5])).tolist()
    [0, 1, 0, 2]
    """
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[numbers]


def checked_y_groups(groups: Any, n_y: int, /) -> np.ndarray | None:
    """Return the numbers of the distinct rows of y, renumbered, or None if all are distinct.

    Parameters
    ----------
    groups : array-like of int
        A number for each row of y (n_y,).
    n_y : int
        Number of rows of y.

    Returns
    -------
    numpy.ndarray or None
        Group numbers (n_y,) from 0.

    Raises
    ------
    InputError
        If there is not one whole number for each row of y.

    Examples
    --------
    >>> checked_y_groups([5, 5, 2], 3).tolist()
    [0, 0, 1]
    """
    groups = np.asarray(groups)
    if groups.shape != (n_y,) or groups.dtype.kind not in "iu":
        raise InputError(
            f"y_groups has shape {groups.shape} and dtype {groups.dtype}, expected {n_y:,} whole numbers: for each row "
            "of y the number of its distinct row"
        )
    groups = renumber(groups)
    return None if groups.max(initial=-1) + 1 == n_y else groups


def checked_index(index: Any, n_x: int, n_y: int, /) -> np.ndarray:
    """Return the row of x that each row of y belongs to, after a check.

    Parameters
    ----------
    index : array-like of int
        A row of x for each row of y (n_y,).
    n_x, n_y : int
        Numbers of rows.

    Returns
    -------
    numpy.ndarray
        The index (n_y,).

    Raises
    ------
    InputError
        If an entry is not a row of x, or there is not one whole number for each row of y.

    Examples
    --------
    >>> checked_index([0, 0, 1], 2, 3).tolist()
    [0, 0, 1]
    """
    index = validation.one_per_row(index, "index")
    if index.shape != (n_y,) or index.dtype.kind not in "iu":
        advice = "; give y first, if the index is for the rows of x" if index.shape == (n_x,) else ""
        raise InputError(
            f"index has shape {index.shape} and dtype {index.dtype}, expected {n_y:,} whole numbers: for each row of y "
            f"the row of x that it belongs to{advice}"
        )
    if n_y and (index.min() < 0 or index.max() >= n_x):
        outside = np.flatnonzero((index < 0) | (index >= n_x))
        advice = "; rows are counted from 0, so give index - 1" if index.min() == 1 and index.max() == n_x else ""
        raise InputError(f"index points outside the {n_x:,} rows of x at {validation.format_rows(outside)}{advice}")
    return index.astype(np.int64)
