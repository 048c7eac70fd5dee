"""Matches of an item after its first one, such as further captions of an image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isthmus.data.joins import select_rows
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source

#: Matches of an item that are judged besides the first one, and the share of items that must have them.
MAX_LATER, MIN_SHARE = 4, 0.5


def later_matches(pairs: Pairs, /) -> Iterator[tuple[int, Source, Source]]:
    """Yield the second match of each item, then the third one, up to the fifth.

    Parameters
    ----------
    pairs : Pairs
        Pairs of n items. Items that share rows of y are one item here.

    Yields
    ------
    number : int
        Number of the match, from 2.
    x, y : Source
        Row i of x matches row i of y. There is one row for each item that has so many matches, at least for half of
        the items.

    Examples
    --------
    >>> pairs = Pairs(image=np.eye(30), text=np.eye(30).repeat(2, axis=0), index=np.arange(60) // 2)
    >>> [(number, y.shape) for number, x, y in later_matches(pairs)]
    [(2, (30, 30))]
    """
    if pairs.n_pairs == pairs.n_components or pairs.dependence is not None:
        return
    units = pairs.sampling_units[pairs.owner]
    order = np.argsort(units, kind="stable")
    starts = np.flatnonzero(np.diff(units[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    for later in range(1, MAX_LATER + 1):
        has_match = counts > later
        if has_match.mean() < MIN_SHARE:
            return
        rows = np.sort(order[starts[has_match] + later])
        yield later + 1, select_rows(pairs.x, pairs.owner[rows]), select_rows(pairs.y, rows)
