"""Distinct rows of each modality for its bank, and the item of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from isthmus.align._further import same_length
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
        y, owner = select_rows(pairs.y, first), pairs.components[pairs.owner[first]]
    return {0: (pairs.x, pairs.components), 1: (y, owner)}, int(pairs.components.max(initial=-1)) + 1


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
