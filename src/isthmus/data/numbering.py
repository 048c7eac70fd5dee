"""Group numbers in order of first occurrence."""

from __future__ import annotations

import numpy as np


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
