"""Rows of shards that are opened when they are read, so that a folder holds few files open at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

#: Shards of a folder that stay open. More are opened again for each read, the last ones from the cache.
MAX_OPEN = 128
_CACHED_SHARDS = 64
#: Limit of open files that these numbers are for: two folders, and up to three files for each shard.
USUAL_LIMIT = 1024

_open_rows: OrderedDict[int, Any] = OrderedDict()
_lock = threading.RLock()  # the garbage collector may delete rows while this thread holds the lock


def max_open() -> int:
    """Return the number of shards of a folder that may stay open, less than `MAX_OPEN` under a low limit."""
    return max(int(MAX_OPEN * _share_of_limit()), 1)


def _share_of_limit() -> float:
    """Return the limit of open files of this process as a share of the usual one, at most 1."""
    try:
        import resource  # Windows has no such module, and a higher limit
    except ImportError:
        return 1.0
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1.0 if limit == resource.RLIM_INFINITY else min(limit / USUAL_LIMIT, 1.0)


class ReopenedRows:
    """Rows of one shard, whose file is closed until rows are read."""

    def __init__(self, rows: Any, reopen: Callable[[], Any]):
        self.shape, self.dtype = rows.shape, rows.dtype
        self.random_access = getattr(rows, "random_access", True)
        self.n_vectors = getattr(rows, "n_vectors", 1)
        self.pool: str | None = None
        self._reopen = reopen

    def __getitem__(self, key: Any) -> Any:
        return np.array(self.borrow(key))  # a view would keep the file open

    def borrow(self, key: Any) -> Any:
        """Return rows that are copied at once by the caller, because they keep the file open."""
        return self._opened()[key]

    def require_pool(self) -> str:
        """Return how vectors are pooled. Raise `InputError` if nothing was chosen."""
        pool: str = self._opened().require_pool()
        return pool

    def _opened(self) -> Any:
        """Return the rows of the open file, and close those that were read longest ago."""
        with _lock:
            rows = _open_rows.pop(id(self), None)
            if rows is None:
                rows = self._reopen()
            if self.n_vectors != 1:
                rows.pool = self.pool
            _open_rows[id(self)] = rows
            while len(_open_rows) > max(_CACHED_SHARDS * _share_of_limit(), 1):
                _close(_open_rows.popitem(last=False)[1])
        return rows

    def __del__(self) -> None:
        with _lock:
            _close(_open_rows.pop(id(self), None))


def _close(rows: Any) -> None:
    """Close the files that rows hold through a reference cycle, such as a cursor of Parquet."""
    if hasattr(rows, "close_cursors"):
        rows.close_cursors()
