"""Rows of earlier blocks of a stream, remembered by their hashes in bounded memory."""

from __future__ import annotations

import numpy as np

#: Most hashes that are remembered, 8 bytes each.
MAX_HASHES = 2**20
_ALL = 2**64 - 1


class RowHistory:
    """Hashes of the distinct rows that came before.

    If there are more than `limit`, those below a bound are kept. Equal rows have equal hashes, so that the rows below
    the bound are a random sample of all distinct rows, each with all its copies.

    Parameters
    ----------
    limit : int
        Most hashes that are remembered.

    Attributes
    ----------
    is_exact : bool
        Whether all hashes are remembered.

    Examples
    --------
    >>> import numpy as np
    >>> history = RowHistory()
    >>> history.add(np.array([1, 2, 3], dtype=np.uint64)), history.add(np.array([3, 4, 3], dtype=np.uint64))
    (0, 2)
    """

    def __init__(self, limit: int = MAX_HASHES):
        self.limit = limit
        self._hashes = np.empty(0, dtype=np.uint64)
        self._halvings = 0

    @property
    def is_exact(self) -> bool:
        """Return whether all hashes are remembered."""
        return not self._halvings

    def add(self, hashes: np.ndarray, /) -> int:
        """Remember the rows of a block.

        Parameters
        ----------
        hashes : numpy.ndarray
            Hash of each row (n,), uint64.

        Returns
        -------
        int
            Number of rows of the block that came in an earlier block, estimated from the sample unless `is_exact`.
        """
        hashes = hashes[hashes <= self._bound]
        places = np.searchsorted(self._hashes, hashes)
        came_before = np.zeros(len(hashes), dtype=bool)
        inside = places < len(self._hashes)
        came_before[inside] = self._hashes[places[inside]] == hashes[inside]
        count = int(came_before.sum()) << self._halvings
        new = np.unique(hashes[~came_before])
        self._hashes = np.insert(self._hashes, np.searchsorted(self._hashes, new), new)
        while len(self._hashes) > self.limit:
            self._halvings += 1
            self._hashes = self._hashes[: np.searchsorted(self._hashes, self._bound, side="right")].copy()
        return count

    @property
    def _bound(self) -> np.uint64:
        return np.uint64(_ALL >> self._halvings)
