"""Rows that two sources have in common, whatever their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.data.equal_rows import find_equal_rows
from isthmus.data.sources import ConcatRows, Source


def count_common_rows(x: Source, y: Source, /) -> int:
    """Return how many rows of y are also rows of x, up to their length, as `find_equal_rows` defines equality.

    Parameters
    ----------
    x : Source
        Rows (n, d).
    y : Source
        Rows (m, d).

    Returns
    -------
    int
        Number of rows of y that equal at least one row of x.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(6, 4))
    >>> count_common_rows(Source(rows, address="x"), Source(rows[[5, 2]], address="y"))
    2
    """
    both = Source(ConcatRows([_ReadRows(x), _ReadRows(y)]), address=f"{x.address} and {y.address}")
    groups = find_equal_rows(both)
    if groups is None:
        return 0
    groups_x, groups_y = np.split(groups, [x.shape[0]])
    return int(np.count_nonzero(np.isin(groups_y, groups_x)))


class _ReadRows:
    """Rows of a source as NumPy arrays of the dtype that `Source.read` returns."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.shape = source.shape
        self.dtype = to_numpy(source.read(0, 1)).dtype
        self.random_access = source.random_access

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):
            start, stop, _ = key[0].indices(self.shape[0])
            return np.asarray(to_numpy(self._source.read(start, stop)))
        return np.asarray(to_numpy(self._source.take(key)))
