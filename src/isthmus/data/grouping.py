"""Groups of items whose x rows are identical, such as an image that is repeated for each of its captions."""

from __future__ import annotations

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows
from isthmus.data.hashing import hash_rows
from isthmus.data.pairs import Pairs


def item_groups(pairs: Pairs, /) -> np.ndarray:
    """Return the group of each item, where items with identical x rows belong to one group.

    A file that repeats an image in one row per caption has fewer independent items than rows.

    Parameters
    ----------
    pairs : Pairs
        Pairs of n items.

    Returns
    -------
    numpy.ndarray
        Group numbers (n_items,) from 0.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    >>> groups = item_groups(Pairs(image=x, text=np.eye(3)[:, :2] + 1))
    >>> bool(groups[0] == groups[2]), bool(groups[0] == groups[1])
    (True, False)
    """
    size = block_rows(pairs.dim)
    starts = range(0, pairs.n_items, size)
    hashes = [hash_rows(to_numpy(pairs.x.read(start, start + size))) for start in starts]
    return np.unique(np.concatenate(hashes), return_inverse=True)[1]
