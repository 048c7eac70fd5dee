"""Rows that are sets of vectors (n, k, d), such as one for each patch or token, and how a set becomes one vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.utils.arguments import shown
from isthmus.utils.errors import InputError

#: Ways to reduce the vectors of an item to one. Vectors that are all zero are padding, and are left out.
POOLS = ("mean", "max", "first")
#: Values of padded sets that are pooled at a time.
POOLED_VALUES = 2**22


class VectorSets:
    """Sets of k vectors as rows of a matrix (n, d), which are pooled block by block.

    A set of one vector is that vector. Other sets are refused until `pool` is set.
    """

    def __init__(self, sets: Any, address: str, convert: Callable[[np.ndarray], np.ndarray] | None):
        self.sets, self.address, self.convert = sets, address, convert
        n_items, self.n_vectors, width = (int(size) for size in sets.shape)
        self.shape = (n_items, width)
        self.pool: str | None = None
        self.random_access = getattr(sets, "random_access", True)
        stored = np.dtype(np.float32) if convert else sets.dtype
        self.dtype = stored if self.n_vectors == 1 or stored.itemsize > 4 else np.dtype(np.float32)

    def __getitem__(self, key: Any) -> np.ndarray:
        block = arrays.to_numpy(self.sets[key])
        block = self.convert(block) if self.convert else block
        if self.n_vectors == 1:
            return block[:, 0]
        return pool_vectors(block.astype(self.dtype, copy=False), self.require_pool())

    def require_pool(self) -> str:
        """Return how vectors are pooled. Raise `InputError` if nothing was chosen."""
        if self.pool is None:
            n_items, width = self.shape
            stack = (
                f", or select one of {n_items} modalities as FILE::0, or concatenate batches" if n_items <= 4 else ""
            )
            shape = f"({n_items}, {self.n_vectors}, {width})"
            raise unpooled(self.address, f"has shape {shape}: {self.n_vectors} vectors an item", stack)
        return self.pool


class VectorLists:
    """Sets of different numbers of vectors as rows of a matrix (n, d), which are pooled block by block.

    Parameters
    ----------
    vectors : numpy.ndarray
        Vectors of all sets (v, d), in order.
    counts : numpy.ndarray
        Number of vectors of each set (n,), one or more.
    address : str
        File and column, for messages.
    convert : callable or None
        Function from stored vectors to floats, for types that NumPy lacks.
    """

    random_access = True

    def __init__(
        self,
        vectors: np.ndarray,
        counts: np.ndarray,
        address: str,
        convert: Callable[[np.ndarray], np.ndarray] | None = None,
    ):
        self.vectors, self.counts, self.address, self.convert = vectors, counts, address, convert
        self.starts = np.cumsum(counts) - counts
        self.shape = (len(counts), int(vectors.shape[1]))
        self.n_vectors = int(counts.max(initial=0))
        self.pool: str | None = None
        self.dtype = vectors.dtype if vectors.dtype.itemsize > 4 and convert is None else np.dtype(np.float32)

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key[0] if isinstance(key, tuple) else key
        starts, counts = self.starts[key], self.counts[key]
        first = int(starts[0]) if len(starts) else 0
        n_read = int(counts.sum())
        is_range = len(starts) > 0 and int(starts[-1] + counts[-1]) - first == n_read and np.all(np.diff(starts) > 0)
        positions = slice(first, first + n_read) if is_range else places_of_sets(starts, counts)
        vectors = self.convert(self.vectors[positions]) if self.convert else self.vectors[positions]
        return pool_sets(vectors.astype(self.dtype, copy=False), counts, self.require_pool())

    def require_pool(self) -> str:
        """Return how vectors are pooled. Raise `InputError` if nothing was chosen."""
        if self.pool is None:
            raise unpooled(self.address, f"holds up to {self.n_vectors:,} vectors an item")
        return self.pool


def unpooled(address: str, holds: str, alternative: str = "") -> InputError:
    """Return the error for items of several vectors if no pooling is chosen."""
    return InputError(
        f"{address[-120:]}: {holds}, expected one; pool them with --pool mean, max or first (pool='mean'){alternative}"
    )


def places_of_sets(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the positions of the vectors of sets, given the first position and the size of each set.

    >>> places_of_sets(np.array([7, 2]), np.array([1, 3])).tolist()
    [7, 2, 3, 4]
    """
    begins = np.cumsum(counts) - counts
    positions: np.ndarray = np.repeat(starts - begins, counts) + np.arange(int(counts.sum()))
    return positions


def padded_sets(vectors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return sets of different sizes as one array (n, k, d) with vectors of zeros at the end of the smaller ones.

    >>> padded_sets(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([1, 2])).tolist()
    [[[1.0, 2.0], [0.0, 0.0]], [[3.0, 4.0], [5.0, 6.0]]]
    """
    sets = np.zeros((len(counts), int(counts.max(initial=1)), vectors.shape[1]), dtype=vectors.dtype)
    sets[np.repeat(np.arange(len(counts)), counts), places_of_sets(np.zeros(len(counts), np.int64), counts)] = vectors
    return sets


def pooled_sets(vectors: np.ndarray, counts: np.ndarray, pool: str | None, address: str) -> np.ndarray:
    """Return one vector for each set in memory, see `pool_sets`. Sets of integers, which may be codes, are padded."""
    check_pool(pool)
    if pool is None:
        raise unpooled(address, f"holds up to {counts.max():,} vectors an item")
    if vectors.dtype.kind != "f":
        return padded_sets(vectors, counts)
    return pool_sets(vectors.astype(np.promote_types(vectors.dtype, np.float32), copy=False), counts, pool)


def pool_sets(vectors: np.ndarray, counts: np.ndarray, pool: str) -> np.ndarray:
    """Return one vector for each set, given all vectors (v, d) in order and the sizes (n,) of the sets.

    Sets of similar size are padded together, so that one large set takes no memory for the others.

    >>> pool_sets(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([1, 2]), "mean").tolist()
    [[1.0, 2.0], [4.0, 5.0]]
    """
    starts, bits = np.cumsum(counts) - counts, np.frexp(counts)[1]
    pooled = np.empty((len(counts), vectors.shape[1]), dtype=vectors.dtype)
    for n_bits in np.unique(bits).tolist():
        similar = np.flatnonzero(bits == n_bits)
        step = max(POOLED_VALUES // (vectors.shape[1] << n_bits), 1)
        for begin in range(0, len(similar), step):
            numbers = similar[begin : begin + step]
            of_sets = vectors[places_of_sets(starts[numbers], counts[numbers])]
            pooled[numbers] = pool_vectors(padded_sets(of_sets, counts[numbers]), pool)
    return pooled


def pool_vectors(sets: np.ndarray, pool: str) -> np.ndarray:
    """Return one vector for each set (n, k, d), without its vectors that are all zero.

    >>> pool_vectors(np.array([[[1.0, 3.0], [3.0, 1.0], [0.0, 0.0]]]), "mean").tolist()
    [[2.0, 2.0]]
    """
    is_vector = (sets != 0).any(axis=2)
    rows: np.ndarray
    if pool == "first":
        rows = sets[np.arange(len(sets)), is_vector.argmax(axis=1)]
    elif pool == "max":
        rows = np.where(is_vector[:, :, None], sets, -np.inf).max(axis=1)
        rows[~is_vector.any(axis=1)] = 0
    else:
        rows = sets.sum(axis=1) / np.maximum(is_vector.sum(axis=1), 1)[:, None].astype(sets.dtype)
    return rows


def check_pool(pool: Any) -> None:
    """Raise `InputError` if `pool` is neither None nor a way to pool."""
    if pool is not None and not (isinstance(pool, str) and pool in POOLS):
        raise InputError(f"pool={shown(pool)}, expected 'mean', 'max' or 'first'")


def set_pool(rows: Any, pool: str | None) -> None:
    """Pool the sets of `rows`, or of its shards, and raise `InputError` if they need a choice that is not made."""
    check_pool(pool)
    for shard in getattr(rows, "shards", [rows]):
        if getattr(shard, "n_vectors", 1) != 1:  # `VectorSets`, also of a shard that is closed until it is read
            shard.pool = pool
            shard.require_pool()
