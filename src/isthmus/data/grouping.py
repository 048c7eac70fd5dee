"""Which items are one: a list of captions that repeats its image in every row has fewer items than rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows
from isthmus.data.pairs import Pairs


def hash_rows(rows: np.ndarray, /) -> np.ndarray:
    """A 64-bit key for each row, (n,): equal rows have equal keys, different ones practically never.

    Each word of the row is multiplied by an odd number of its column, its upper bits are folded into the lower ones,
    and the words are added: all modulo 2^64.
    """
    plain = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("=")) + rows.dtype.type(0)  # -0 and 0 are one
    words = plain.view(f"u{plain.dtype.itemsize}").astype(np.uint64)
    words *= np.random.default_rng(0).integers(0, 2**63, size=words.shape[1], dtype=np.uint64) * np.uint64(2) + 1
    words ^= words >> np.uint64(31)
    return words.sum(axis=1, dtype=np.uint64)


def item_groups(pairs: Pairs, /) -> np.ndarray:
    """A number for each item, (items,): items whose row of x is the same belong to one group.

    A list of captions that repeats its image in every row is one item to the statistics, whatever the files say.
    """
    keys = [hash_rows(block) for block in _blocks(pairs)]
    return np.unique(np.concatenate(keys), return_inverse=True)[1]


def _blocks(pairs: Pairs) -> Iterator[np.ndarray]:
    size = block_rows(pairs.dim)
    for start in range(0, pairs.n_items, size):
        yield to_numpy(pairs.x.read(start, start + size))
