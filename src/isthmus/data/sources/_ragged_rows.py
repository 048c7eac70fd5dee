"""Rows whose length differs from that of the other rows. They are read as NaN, and recorded for messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

#: Lengths that a message lists.
MAX_LISTED = 3


class RaggedRows:
    """Record of the rows of a source that have another length than most rows.

    Parameters
    ----------
    address : str
        File and column, for messages.

    Examples
    --------
    >>> ragged = RaggedRows("a.parquet::emb")
    >>> ragged.add(100, np.array([2, 5]), np.array([7, 9]))
    >>> ragged.numbers.tolist(), len(ragged)
    ([102, 105], 2)
    """

    def __init__(self, address: str):
        self.address = address
        self._lengths: dict[int, int] = {}
        self._shards: list[tuple[int, RaggedRows]] = []

    @classmethod
    def of_shards(cls, address: str, shards: Sequence[RaggedRows | None], n_rows: Sequence[int]) -> RaggedRows:
        """Return the record of shards of `n_rows` rows each that are concatenated."""
        record = cls(address)
        begins = np.concatenate([[0], np.cumsum(n_rows)[:-1]]).tolist()
        record._shards = [(begin, shard) for begin, shard in zip(begins, shards, strict=True) if shard is not None]
        return record

    def add(self, first: int, positions: np.ndarray, lengths: np.ndarray) -> None:
        """Record rows at `positions` after the row `first`, with their lengths. A row may be recorded again."""
        self._lengths.update(zip((first + positions).tolist(), lengths.tolist(), strict=True))

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of the rows that were read so far, in ascending order."""
        unsharded = np.fromiter(sorted(self._lengths), np.int64, len(self._lengths))
        return np.concatenate([unsharded, *(begin + shard.numbers for begin, shard in self._shards)])

    @property
    def lengths(self) -> np.ndarray:
        """Lengths of these rows."""
        unsharded = np.array([self._lengths[row] for row in sorted(self._lengths)], dtype=np.int64)
        return np.concatenate([unsharded, *(shard.lengths for _, shard in self._shards)])

    def __len__(self) -> int:
        return len(self._lengths) + sum(len(shard) for _, shard in self._shards)

    def check(self, n_rows: int) -> None:
        """Raise `InputError` if they are half of `n_rows` or more, so that it is not clear which length is right."""
        if 2 * len(self) >= max(n_rows, 1):
            raise InputError(
                f"{self.address[-120:]}: {counted(len(self), 'row')} of {n_rows:,} differ in length from the first "
                "rows, so the right length is not clear; write the rows of each length to a file of their own"
            )


def usual_length(lengths: np.ndarray, address: str, unit: str = "numbers") -> int:
    """Return the length of more than half of the rows. Raise `InputError` if there is none.

    Parameters
    ----------
    lengths : numpy.ndarray of int
        Lengths of rows that are neither null nor empty.
    address : str
        File and column, for messages.
    unit : str
        What is counted. Default: 'numbers'.

    Returns
    -------
    int
        The length, 0 if there are no rows.

    Examples
    --------
    >>> usual_length(np.array([4, 3, 4]), "a.jsonl::emb")
    4
    """
    if not len(lengths):
        return 0
    values, counts = np.unique(lengths, return_counts=True)
    if 2 * counts.max() > len(lengths):
        return int(values[counts.argmax()])
    order = np.argsort(-counts, kind="stable")[:MAX_LISTED]
    listed = ", ".join(f"{counts[i]:,} of {values[i]:,}" for i in order)
    ellipsis = " ..." if len(values) > MAX_LISTED else ""
    raise InputError(
        f"{address[-120:]}: the first {counted(len(lengths), 'row')} have several lengths ({listed}{ellipsis} {unit}), "
        "expected one; write the rows of each length to a file of their own"
    )
