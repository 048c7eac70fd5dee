"""Ranges of rows that do not match although the rows next to them do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.data.sources import Source
from isthmus.statistics.pairing_breaks import BrokenRows, find_broken_rows
from isthmus.statistics.pairing_sentences import PairingBreak
from isthmus.statistics.row_offsets import MAX_QUERIES, matching_offset, offset_steps, stands_at
from isthmus.statistics.row_samples import RowSample, sample_ranges

#: Rows up to which the end of a break is taken for that of a shard.
SHARD_TOLERANCE = 16


def find_breaks(x: Source, y: Source, /) -> tuple[PairingBreak, ...]:
    """Find the ranges of rows that do not match while the rows next to them do.

    Parameters
    ----------
    x, y : Source
        Rows (n, d).

    Returns
    -------
    tuple of PairingBreak
        The ranges with their offset, if one side is only shifted there, and their shard.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(500, 16))
    >>> shuffled = np.concatenate([rows[:300], rng.permutation(rows[300:])])
    >>> [(found.start, found.stop) for found in find_breaks(Source(rows, address="x"), Source(shuffled, address="y"))]
    [(300, 500)]
    """
    n, dim = x.shape
    shards = sorted({*_shard_ends(x), *_shard_ends(y)} - {n})
    ends = np.array([*shards, n])
    sample = RowSample.read(x, y, sample_ranges(n, dim, ends))
    if not len(sample.numbers):
        return ()
    means = sample.x.mean(axis=0), sample.y.mean(axis=0)

    def read(ranges: Sequence[tuple[int, int]]) -> RowSample:
        return RowSample.read(x, y, ranges).centre(*means)

    ranges = find_broken_rows(sample.centre(*means), n, read, ends=ends)
    if not ranges:
        return ()
    cosines = np.einsum("ij,ij->i", sample.x + means[0], sample.y + means[1])
    inside = [(sample.numbers >= rows.start) & (sample.numbers < rows.stop) for rows in ranges]
    other_cosine = float(np.mean(cosines[~np.any(inside, axis=0)]))
    breaks: list[PairingBreak] = []
    for rows, is_inside in zip(ranges, inside, strict=True):
        entry = _break(x, y, rows, float(np.mean(cosines[is_inside])), other_cosine)
        is_known = breaks and breaks[-1].offset and entry.offset and entry.start < breaks[-1].stop
        if not is_known:  # the steps of the shifted range before it say so
            breaks.append(entry)
    return tuple(breaks)


def _break(x: Source, y: Source, rows: BrokenRows, cosine: float, other_cosine: float) -> PairingBreak:
    start, stop, shard = rows.start, rows.stop, None
    for source in (x, y):
        edges = np.array([0, *_shard_ends(source)])
        first, last = (int(np.argmin(np.abs(edges - row))) for row in (start, stop))
        if last == first + 1 and max(abs(edges[first] - start), abs(edges[last] - stop)) <= SHARD_TOLERANCE:
            shard = str(source.rows.names[first])
            start, stop = int(edges[first]), int(edges[last])
            break
    offset, steps = matching_offset(x, y, start, stop), [(start, 0)]
    if offset:
        n = x.shape[0]
        start = 0 if stands_at(x, y, offset, max(start - MAX_QUERIES, 0), start) else start
        stop = n if stands_at(x, y, offset, stop, min(stop + MAX_QUERIES, n)) else stop
        steps = offset_steps(x, y, offset, start, stop)
        offset = steps[0][1] or offset
    # Selected rows are named by their numbers in the file.
    is_open = stop == x.shape[0]
    first, last, following = (int(row) for row in x.numbers(np.array([start, stop - 1, stop - is_open])))
    last = max(last, following - 1)  # rows of the file that repeat the last one belong to it
    numbered = tuple((int(x.numbers(np.array([row]))[0]), value) for row, value in steps) if len(steps) > 1 else ()
    return PairingBreak(
        first, last + 1, offset, rows.matches_as_group, shard, is_open, cosine, other_cosine, numbered, rows.is_negated
    )


def _shard_ends(source: Source) -> list[int]:
    """Return the row after the last one of each shard, [] for a file."""
    rows = source.rows
    return [int(end) for end in rows.ends] if getattr(rows, "names", None) else []
