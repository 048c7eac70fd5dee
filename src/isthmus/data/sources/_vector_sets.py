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
            stack = f", or select one of {n_items} modalities as FILE::0" if n_items <= 4 else ""
            raise InputError(
                f"{self.address[-120:]}: has shape ({n_items}, {self.n_vectors}, {width}): {self.n_vectors} vectors an "
                f"item, expected one; pool them with --pool mean, max or first (pool='mean'){stack}"
            )
        return self.pool


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


def set_pool(rows: Any, pool: str | None) -> None:
    """Pool the sets of `rows`, or of its shards, and raise `InputError` if they need a choice that is not made."""
    if pool is not None and not (isinstance(pool, str) and pool in POOLS):
        raise InputError(f"pool={shown(pool)}, expected 'mean', 'max' or 'first'")
    for shard in getattr(rows, "shards", [rows]):
        if getattr(shard, "n_vectors", 1) != 1:  # `VectorSets`, also of a shard that is closed until it is read
            shard.pool = pool
            shard.require_pool()
