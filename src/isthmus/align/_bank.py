"""Banks: samples of the fitted rows of one modality, which scores are compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from isthmus.compute.arrays import compute_dtype, to_numpy, unit_rows
from isthmus.compute.topk import topk
from isthmus.data.sources import Source

#: Rounds of k-means.
ROUNDS = 10


@dataclass(frozen=True, eq=False)
class Bank:
    """A sample of unit rows, which grows with a stream of rows as if all of them had come at once.

    Every row has a random priority that its position alone determines. The rows of lowest priority are kept. Rows of
    two modalities that are paired by position therefore stay together.

    Attributes
    ----------
    rows : (m, d) array
        Unit rows in the order of the stream.
    priorities : (m,) array
        Their priorities.
    items : (m,) int array
        Item of each row. -1 stands for unpaired rows.
    n_rows : int
        Number of rows of the stream.
    n_items : int
        Number of items of the stream.
    """

    rows: np.ndarray
    priorities: np.ndarray
    items: np.ndarray
    n_rows: int = 0
    n_items: int = 0

    @classmethod
    def of_rows(cls, rows: np.ndarray) -> Bank:
        """Return the bank of a file, which holds the rows alone."""
        return cls(rows, np.zeros(len(rows)), np.full(len(rows), -1), len(rows), len(rows))

    @classmethod
    def extended(
        cls, earlier: Bank | None, source: Source | None, /, *, size: int, seed: int, items: np.ndarray | None = None,
        first_item: int = 0, n_items: int = 0,
    ) -> Bank:  # fmt: skip
        """Return the bank of the earlier rows and those of a source.

        Parameters
        ----------
        earlier : Bank or None
            Bank of the rows before.
        source : Source or None
            New rows. None if every row of the block is one of the earlier rows.
        size : int
            Largest number of rows of the bank.
        seed : int
            Seed of the priorities.
        items : (n,) int array, optional
            Item of each new row. One below `first_item` continues an earlier item. None for unpaired rows.
        first_item, n_items : int
            Numbers of items before the new ones, and of new ones. Used for paired rows.

        Returns
        -------
        Bank
            The new bank.
        """
        if source is None:
            assert earlier is not None
            return replace(earlier, n_items=first_item + n_items)
        count = source.shape[0]
        first_row = 0 if earlier is None else earlier.n_rows
        if items is None:
            priorities = _uniform([seed], first_row, count)
            items = np.full(count, -1)
        else:
            # The first row of every item comes before all further rows, so that samples hold as many pairs as possible.
            priorities = 1 + _uniform([seed, 1], first_row, count)
            present, first = np.unique(items, return_index=True)
            is_new = present >= first_item
            priorities[first[is_new]] = _uniform([seed], first_item, n_items)[present[is_new] - first_item]
        new = np.sort(np.argsort(priorities, kind="stable")[:size])
        rows = to_numpy(source.read(0, count) if len(new) == count else source.take(new))
        dtype = np.dtype(compute_dtype(str(rows.dtype)))
        block = cls(unit_rows(rows.astype(np.float64)).astype(dtype), priorities[new], items[new])
        if earlier is not None:
            dtype = np.result_type(earlier.rows, block.rows)
            block = cls(
                np.concatenate([earlier.rows.astype(dtype), block.rows.astype(dtype)]),
                np.concatenate([earlier.priorities, block.priorities]),
                np.concatenate([earlier.items, block.items]),
            )
        lowest = np.sort(np.argsort(block.priorities, kind="stable")[:size])
        return cls(
            block.rows[lowest], block.priorities[lowest], block.items[lowest], first_row + count, first_item + n_items
        )


def representatives(rows: np.ndarray, size: int) -> np.ndarray:
    """Return at most `size` of the unit rows, one near the centre of each cluster of spherical k-means, in order.

    The first centres are evenly spaced rows. Each round assigns every row to the centre of largest inner product.
    """
    if len(rows) <= size:
        return rows
    centres, labels = rows[np.linspace(0, len(rows) - 1, size).astype(np.int64)], np.empty(0, dtype=np.int64)
    for _ in range(ROUNDS):
        labels = topk(rows, centres, k=1, exclude_self=False).index[:, 0]
        order = np.argsort(labels, kind="stable")
        present, starts = np.unique(labels[order], return_index=True)
        sums = np.add.reduceat(rows[order], starts, axis=0)
        centres = centres.copy()
        centres[present] = unit_rows(sums)
    scores = np.einsum("ij,ij->i", rows, centres[labels])
    by_label = np.lexsort((-scores, labels))
    nearest = by_label[np.unique(labels[by_label], return_index=True)[1]]
    return rows[np.sort(nearest)]


def common_pairs(x: Bank, y: Bank) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the rows of two banks that belong to one item. Of several rows the first one counts."""
    items_x, first_x = np.unique(x.items, return_index=True)
    items_y, first_y = np.unique(y.items, return_index=True)
    items, place_x, place_y = np.intersect1d(items_x, items_y, assume_unique=True, return_indices=True)
    is_item = items >= 0
    return first_x[place_x[is_item]], first_y[place_y[is_item]]


def _uniform(seed: list[int], first: int, count: int) -> np.ndarray:
    """Return the numbers first .. first + count - 1 of a random sequence in [0, 1)."""
    generator = np.random.PCG64(seed)
    generator.advance(first)
    return np.random.Generator(generator).random(count)
