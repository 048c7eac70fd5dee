"""Distinct rows of each modality for its bank, and the item of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from isthmus.align._further import same_length
from isthmus.compute.arrays import to_numpy
from isthmus.data.components import connected_items
from isthmus.data.grouping import row_groups
from isthmus.data.joins import select_rows
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source

#: Rows of a modality, and the item of each row. None if the rows are not paired.
BankRows = tuple[Source, np.ndarray | None]


def rows_of_pairs(pairs: Pairs) -> tuple[dict[int, BankRows], int]:
    """Return the distinct rows of both modalities of pairs, and the number of items."""
    y, owner = pairs.y, pairs.owner
    if pairs.y_groups is not None:  # a row of y that repeats is in the bank once
        first = np.unique(pairs.y_groups, return_index=True)[1]
        y, owner = select_rows(pairs.y, first, min_rows=1), pairs.components[pairs.owner[first]]
    return {0: (pairs.x, pairs.components), 1: (y, owner)}, int(pairs.components.max(initial=-1)) + 1


@dataclass(frozen=True)
class BlockEnds:
    """First and last pair of a block of a stream: their items, and the bytes of their rows by modality.

    Attributes
    ----------
    first_item, last_item : int
        Items of the two pairs.
    first, last : dict of int to bytes
        Bytes of their rows.
    positions : dict of int to int
        Place of the row of the first pair among the distinct rows.
    """

    first_item: int
    last_item: int
    first: dict[int, bytes]
    last: dict[int, bytes]
    positions: dict[int, int]


def ends_of_pairs(pairs: Pairs) -> BlockEnds:
    """Return the first and the last pair of a block."""
    owner, components = pairs.owner[[0, -1]], pairs.components
    ends = {
        number: [to_numpy(source.take(rows[i : i + 1])).tobytes() for i in (0, 1)]
        for number, source, rows in ((0, pairs.x, owner), (1, pairs.y, np.array([0, pairs.n_pairs - 1])))
    }
    first_y = 0 if pairs.y_groups is None else int(pairs.y_groups[0])
    first, last = ({number: rows[i] for number, rows in ends.items()} for i in (0, 1))
    items = components[owner].tolist()
    return BlockEnds(items[0], items[1], first, last, {0: int(owner[0]), 1: first_y})


def continued_entries(
    entries: Mapping[int, BankRows], n_items: int, first_item: int, ends: BlockEnds | None, earlier: BlockEnds | None
) -> tuple[dict[int, tuple[Source | None, np.ndarray | None]], int, BlockEnds | None]:
    """Return the new rows of a block with their items in the stream, where its first item may be the last one before.

    Parameters
    ----------
    entries : mapping of int to (Source, (n,) int array or None)
        Distinct rows of each modality, and their items in the block.
    n_items : int
        Number of items of the block.
    first_item : int
        Number of items before the block.
    ends : BlockEnds or None
        Ends of the block. None if its rows are not paired.
    earlier : BlockEnds or None
        Ends of the block before. Its last item is numbered in the stream.

    Returns
    -------
    entries : dict of int to (Source or None, (n,) int array or None)
        Rows that did not come before, and their items in the stream.
    n_items : int
        Number of new items.
    ends : BlockEnds or None
        Ends of the block, whose last item is numbered in the stream.
    """
    numbers = first_item + np.arange(n_items)
    continued: list[int] = []
    if ends is not None and earlier is not None:
        continued = [number for number in entries if ends.first[number] == earlier.last[number]]
        if continued:
            numbers[ends.first_item :] -= 1
            numbers[ends.first_item] = earlier.last_item
            n_items -= 1
    new: dict[int, tuple[Source | None, np.ndarray | None]] = {}
    for number, (rows, owner) in entries.items():
        items = None if owner is None else numbers[owner]
        if number not in continued or items is None or ends is None:
            new[number] = rows, items
        else:
            remaining_rows = np.delete(np.arange(rows.shape[0]), ends.positions[number])
            new[number] = (
                select_rows(rows, remaining_rows, min_rows=1) if len(remaining_rows) else None,
                items[remaining_rows],
            )
    last = None if ends is None else replace(ends, last_item=int(numbers[ends.last_item]))
    return new, n_items, last


def rows_by_number(
    sources: Sequence[Source | None],
    further: Mapping[int, Source],
    index: np.ndarray | None,
    *,
    paired: bool,
    group: bool,
    normalize: bool,
) -> tuple[dict[int, BankRows], int]:
    """Return the rows of each modality by its number, and the number of items.

    Parameters
    ----------
    sources : sequence of Source or None
        Rows of the first two modalities.
    further : mapping of int to Source
        Rows of further modalities by number. Those that have as many rows as the first one are paired with it.
    index : numpy.ndarray or None
        Row of the first modality that each row of the second one belongs to.
    paired : bool
        Whether the first two modalities are paired.
    group : bool
        Whether equal rows of a modality are one row, and rows that share any row belong to one item.
    normalize : bool
        Whether rows of different lengths may be equal.

    Returns
    -------
    tuple of dict and int
        Rows and items by number, and the number of items.
    """
    rows = {number: source for number, source in enumerate(sources) if source is not None} | dict(further)
    first = sources[0]
    count = 0 if first is None else first.shape[0]
    owners: dict[int, np.ndarray | None] = {}
    for number, source in rows.items():
        is_paired = paired if number < 2 else paired and same_length(first, source)
        owners[number] = np.arange(source.shape[0]) if is_paired else None
    if index is not None and paired:
        owners[1] = np.asarray(index)
    items = np.arange(count)
    groups = {
        number: row_groups(rows[number], normalize=normalize) if group and first is not None else None
        for number, owner in owners.items()
        if owner is not None
    }
    for number, numbers in groups.items():
        if numbers is not None:
            owner = owners[number]
            assert owner is not None
            items = connected_items(items[owner], numbers, count)[items]
    entries: dict[int, BankRows] = {}
    for number, source in rows.items():
        owner, numbers = owners[number], groups.get(number)
        if owner is None or first is None:
            entries[number] = source, owner
        elif numbers is None:
            entries[number] = source, items[owner]
        else:
            distinct = np.unique(numbers, return_index=True)[1]
            entries[number] = select_rows(source, distinct), items[owner[distinct]]
    return entries, int(items.max(initial=-1)) + 1
