"""Rows of a table in a vector store as a matrix."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from isthmus.utils.errors import InputError
from isthmus.utils.files import spooled_rows
from isthmus.utils.format import counted

#: Bytes of vectors in a block that is read or written at once.
BLOCK_BYTES = 2**24


class Table(Protocol):
    """The part of a `StoreTable` that is read."""

    address: Any
    count: int
    width: int
    dtype: np.dtype
    has_ids: bool
    ordered: bool

    def blocks(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and vectors."""

    def key_blocks(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and keys."""


class StoredRows:
    """Rows of a table in a store as a matrix. The first read copies them to a nameless temporary file."""

    random_access = True

    def __init__(self, table: Table):
        self.table: Any = table
        self.shape = (table.count, table.width)
        self.dtype = table.dtype
        #: Some rows that a pass kept, so that they need not be read again.
        self.sample: np.ndarray | None = None
        self._rows: Any = None
        self._order: np.ndarray | None = None
        self._lock = threading.Lock()

    def _load(self) -> None:
        """Copy the rows, once."""
        ids: list[np.ndarray] = []

        def vectors() -> Iterator[np.ndarray]:
            for block_ids, block in self.table.blocks(block_size(self.shape[1])):
                ids.append(block_ids)
                yield block

        rows = spooled_rows(vectors())
        if rows is None or len(rows) != self.shape[0]:
            raise InputError(
                f"{self.table.address}: has {counted(0 if rows is None else len(rows), 'row')} now and had "
                f"{self.shape[0]:,} when it was opened; open it again while nothing writes to it"
            )
        self._rows = rows
        self._order = None if self.table.ordered or not self.table.has_ids else _sorting(ids)

    def __getitem__(self, key: Any) -> np.ndarray:
        with self._lock:
            if self._rows is None:
                self._load()
        if isinstance(key, tuple):
            key = key[0]
        if self._order is not None:
            key = self._order[key]
        rows: np.ndarray = self._rows[key]
        return rows

    def keys(self, name: str) -> np.ndarray:
        """Return the keys in the column `name`, in the order of the rows."""
        blocks = list(self.table.key_blocks(name))
        values = np.concatenate([block for _, block in blocks])
        if self.table.ordered or not self.table.has_ids:
            return values
        order = _sorting([ids for ids, _ in blocks])
        return values if order is None else values[order]


def _sorting(ids: list[np.ndarray]) -> np.ndarray | None:
    """Return the order of ascending ids, or None if they ascend already."""
    joined = np.concatenate(ids) if ids else np.empty(0, dtype=np.int64)
    if (joined[1:] >= joined[:-1]).all():
        return None
    return np.argsort(joined, kind="stable")


def block_size(width: int) -> int:
    """Return the number of rows of this width that are read or written at once."""
    return max(256, BLOCK_BYTES // (4 * max(width, 1)))
