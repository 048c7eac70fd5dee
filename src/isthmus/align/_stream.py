"""Blocks of pairs that come one after the other: their moments, and the rows that come back."""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows
from isthmus.data.components import MAX_SHARE
from isthmus.data.grouping import group_equal_rows, grouping_summary
from isthmus.data.hashing import hash_rows
from isthmus.data.pairs import Pairs
from isthmus.data.row_history import RowHistory
from isthmus.data.sources import Source
from isthmus.statistics.moments import Moments, moments_of
from isthmus.utils.errors import IsthmusWarning
from isthmus.utils.warning import warn

#: Items up to which the first blocks of a stream are one block, and their most pairs. An item may fill small blocks.
FEW_ITEMS, MAX_FIRST_PAIRS = 40, 4096
#: Fields of moments that are no sums.
_SETTINGS = ("item_moments", "matmul_dtype", "normalize")


class PairStream:
    """Moments of the blocks of a stream of pairs.

    An item that continues from the end of one block to the start of the next one stays one item. Other rows that come
    back in a later block are new items. They are counted and reported.

    Parameters
    ----------
    moments : Moments or None
        Moments of the pairs before the stream.
    remembers : bool
        Whether rows are remembered. False suits a single block.

    Attributes
    ----------
    moments : Moments or None
        Moments of all pairs so far.
    repeated : dict of str to int
        Number of rows of each modality that came in an earlier block, without modalities that have none.
    """

    def __init__(self, moments: Moments | None = None, *, remembers: bool = True):
        self.moments = moments
        self.repeated: dict[str, int] = {}
        self._remembers = remembers
        #: True after a block with equal rows, which are one item, was reported.
        self._has_stated_groups = False
        self._histories = RowHistory(), RowHistory()
        #: Pairs of the last items, and the hashes of the rows of the last pair.
        self._last: tuple[Pairs, list[np.uint64]] | None = None
        #: Moments before the stream, and the rows of all its pairs, or None from when they are many.
        self._before = moments
        self._first_rows: tuple[list[np.ndarray], list[np.ndarray]] | None = ([], [])

    @classmethod
    def continued(cls, stream: PairStream | None, moments: Moments | None) -> PairStream:
        """Return a stream whose moments are these, or a new one that begins with them."""
        return stream if stream is not None and stream.moments is moments else cls(moments)

    def add(self, block: Pairs, *, normalize: bool, names: tuple[str, str] | None) -> Moments:
        """Add a block, whose equal rows are one item, and return the moments of all pairs so far."""
        if block.grouped is not None and self._remembers and not self._has_stated_groups:
            self._has_stated_groups = True
            warn(grouping_summary(block, is_block=True), IsthmusWarning, stacklevel=3)
        if self._remembers and self._first_rows is not None:
            block = self._with_first_blocks(block, self._first_rows, normalize=normalize)
        elif self._remembers:
            block = self._with_last_items(block, normalize=normalize, names=names or ("x", "y"))
        moments = moments_of(block, normalize=normalize)
        self.moments = moments if self.moments is None else self.moments + moments
        return self.moments

    def _with_first_blocks(
        self, block: Pairs, rows: tuple[list[np.ndarray], list[np.ndarray]], *, normalize: bool
    ) -> Pairs:
        """Return all pairs of the stream so far, which are few, as one block."""
        if rows[0]:
            block = _joined(rows, block, normalize=normalize)
        self.moments = self._before
        if block.n_components < FEW_ITEMS and block.n_pairs <= MAX_FIRST_PAIRS:
            self._first_rows = _rows_of_pairs(block)
            return block
        self._first_rows = None
        hashes = _hashes(block.x)[block.owner], _hashes(block.y)
        for history, numbers in zip(self._histories, hashes, strict=True):
            history.add(numbers)
        return self._remembering(self._with_components(block), hashes)

    def _with_last_items(self, block: Pairs, *, normalize: bool, names: tuple[str, str]) -> Pairs:
        """Return a block with the last items before it, if one of them may continue in it."""
        hashes = _hashes(block.x)[block.owner], _hashes(block.y)
        continues = self._last is not None and any(h[0] == last for h, last in zip(hashes, self._last[1], strict=True))
        self._report(block, hashes, names, continues=continues)
        # A small block may be a part of one item, so that later ones need those before it.
        if self._last is not None and (continues or block.n_components < FEW_ITEMS):
            assert self.moments is not None
            earlier = self._last[0]
            self.moments = self.moments + _negated(Moments.of(earlier, normalize=normalize))
            block = _joined(_rows_of_pairs(earlier), block, normalize=normalize)
        return self._remembering(self._with_components(block), hashes)

    def _remembering(self, block: Pairs, hashes: tuple[np.ndarray, np.ndarray]) -> Pairs:
        """Return the block after its last items were remembered."""
        last = _last_items(block)
        self._last = None if last is None else (last, [h[-1] for h in hashes])
        return block

    def _with_components(self, block: Pairs) -> Pairs:
        """Return the block so that its components count as independent if none is a tenth of all pairs so far."""
        n_before = 0 if self.moments is None else self.moments.n
        largest = int(np.bincount(block.components[block.owner]).max())
        if block.dependence is None or largest > MAX_SHARE * (n_before + block.n_pairs):
            return block
        block = copy.copy(block)
        block.dependence = None
        return block

    def _report(
        self, block: Pairs, hashes: tuple[np.ndarray, np.ndarray], names: tuple[str, str], *, continues: bool
    ) -> None:
        """Count the rows that came in an earlier block, apart from those of the item that continues."""
        counts: dict[str, int] = {}
        for number, name in enumerate(names):
            rows = hashes[number]
            if continues:
                assert self._last is not None
                rows = rows[rows != self._last[1][number]]
            count = self._histories[number].add(rows)
            if count:
                counts[name] = count
        is_first = not self.repeated
        for name, count in counts.items():
            self.repeated[name] = self.repeated.get(name, 0) + count
        if counts and is_first:
            about = "" if all(history.is_exact for history in self._histories) else "about "
            text = " and ".join(f"{about}{count:,} of {block.n_pairs:,} {name} rows" for name, count in counts.items())
            warn(
                f"{text} of this block came in an earlier block and count as new items; give all pairs of an item "
                "in one block, or all pairs to fit",
                IsthmusWarning,
                stacklevel=5,
            )


def _hashes(source: Source) -> np.ndarray:
    """Return the hash of each row, (n,)."""
    n, size = source.shape[0], block_rows(source.shape[1])
    return np.concatenate([hash_rows(to_numpy(source.read(start, start + size))) for start in range(0, n, size)])


def _last_items(block: Pairs) -> Pairs | None:
    """Return the pairs of the last two components of a block, or None where no item can be continued."""
    if block.dependence is not None or not (block.x.is_numpy and block.y.is_numpy):
        return None
    components = block.components[block.owner]
    earlier = components[components != components[-1]]
    items = np.flatnonzero(np.isin(block.components, [components[-1], *earlier[-1:]]))
    if len(items) < 2:
        return None
    last = block.take(items)
    last.dependence = None  # of so few components, statistics would count items
    return last


def _rows_of_pairs(pairs: Pairs) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return a copy of the rows of x and of y of each pair."""
    return [to_numpy(pairs.x.take(pairs.owner))], [to_numpy(pairs.y.take(np.arange(pairs.n_pairs)))]


def _joined(rows: tuple[list[np.ndarray], list[np.ndarray]], block: Pairs, *, normalize: bool) -> Pairs:
    """Return earlier pairs and those of a block, whose equal rows are one item."""
    x, y = (np.concatenate([*a, *b]) for a, b in zip(rows, _rows_of_pairs(block), strict=True))
    rows_by_name: dict[str, Any] = dict(zip(block.names, (x, y), strict=True))
    return group_equal_rows(type(block)(**rows_by_name), normalize=normalize)


def _negated(moments: Moments) -> Moments:
    """Return moments whose addition takes pairs out of a sum."""

    def negate(sums: Any) -> Any:
        return replace(sums, **{f.name: -getattr(sums, f.name) for f in fields(sums) if f.name not in _SETTINGS})

    items = moments.item_moments
    return replace(negate(moments), item_moments=None if items is None else negate(items))
