"""Groups of items that stay together in a split, such as an image that is repeated for each of its captions."""

from __future__ import annotations

import numpy as np

from isthmus.data.equal_rows import find_equal_rows
from isthmus.data.pairs import Pairs


def item_groups(pairs: Pairs, /) -> np.ndarray:
    """Return the group of each item, where items that share rows belong to one group.

    Parameters
    ----------
    pairs : Pairs
        Pairs of n items.

    Returns
    -------
    numpy.ndarray
        Group numbers (n_items,) from 0: `Pairs.split_groups`. If equal rows have not been grouped, items with equal
        rows of x are a group.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    >>> groups = item_groups(Pairs(image=x, text=np.eye(3)[:, :2] + 1))
    >>> bool(groups[0] == groups[2]), bool(groups[0] == groups[1])
    (True, False)
    """
    if pairs.grouped is not None or pairs.y_groups is not None:
        return pairs.split_groups
    groups = find_equal_rows(pairs.x)
    return np.arange(pairs.n_items) if groups is None else groups
