"""Contributions of items to a mean over queries."""

from __future__ import annotations

import numpy as np


def mean_per_item(values: np.ndarray, owner: np.ndarray, n_items: int, /) -> np.ndarray:
    """Return the contribution of each item to the mean of values over queries.

    Parameters
    ----------
    values : np.ndarray of shape (n_queries,)
        A value for each query.
    owner : np.ndarray of shape (n_queries,)
        Item that each query belongs to.
    n_items : int
        Number of items.

    Returns
    -------
    np.ndarray of shape (n_items,)
        Contributions. Their mean is the mean of `values`, also if an item has several queries or none.

    Examples
    --------
    >>> mean_per_item(np.array([1.0, 0.0, 1.0]), np.array([0, 0, 2]), 3).tolist()
    [1.0, 0.0, 1.0]
    """
    return np.bincount(owner, weights=values, minlength=n_items) * (n_items / max(len(values), 1))
