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

_open_rows: OrderedDict[int, Any] = OrderedDict()
_lock = threading.RLock()  # the garbage collector may delete rows while this thread holds the lock


class ReopenedRows:
    """Rows of one shard, whose file is closed until rows are read."""

    def __init__(self, rows: Any, reopen: Callable[[], Any]):
        self.shape, self.dtype = rows.shape, rows.dtype
        self.random_access = getattr(rows, "random_access", True)
        self._reopen = reopen

    def __getitem__(self, key: Any) -> Any:
        return np.array(self.borrow(key))  # a view would keep the file open

    def borrow(self, key: Any) -> Any:
        """Return rows that are copied at once by the caller, because they keep the file open."""
        with _lock:
            rows = _open_rows.pop(id(self), None)
            if rows is None:
                rows = self._reopen()
            _open_rows[id(self)] = rows
            while len(_open_rows) > _CACHED_SHARDS:
                _open_rows.popitem(last=False)
        return rows[key]

    def __del__(self) -> None:
        with _lock:
            _open_rows.pop(id(self), None)
