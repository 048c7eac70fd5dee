"""Rows of shared cells that are equal: they are compared with the first ones of their cell."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows
from isthmus.data.hashing import hash_rows
from isthmus.data.sources import Source

#: Largest difference of a coordinate of two unit rows that are equal.
TOLERANCE = 1e-6
#: Rows of a cell that all other rows of the cell are compared with, one after the other.
MAX_LEADERS = 4
#: Step to which unit rows are rounded where a cell has more rows that differ, and shifts of two roundings in steps.
ROUNDING_STEP, SHIFTS = 1e-4, (0.5, 0.25)
#: Most ranges of keys that are ordered one after the other, so that one range of them is copied at a time.
KEY_RANGES = 8


def equal_pairs(source: Source, keys: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs of equal rows (2, m) that connect the equal rows of each cell."""
    remaining = yield from _pairs_with_first_rows(source, keys, rows)
    for shift in SHIFTS:
        if len(remaining):
            yield from _pairs_with_first_rows(source, _keys_of_rounded_rows(source, remaining, shift), remaining)


def _pairs_with_first_rows(
    source: Source, keys: np.ndarray, rows: np.ndarray
) -> Generator[np.ndarray, None, np.ndarray]:
    """Yield the equal pairs of each cell with one of its first rows. Return the rows that differ from all of them."""
    in_shared_cell = np.flatnonzero(occur_twice(keys))
    order = in_shared_cell[np.lexsort((rows[in_shared_cell], keys[in_shared_cell]))]
    keys, rows = keys[order], rows[order].astype(np.int64)
    for _ in range(MAX_LEADERS):
        if not len(keys):
            break
        begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        leaders = np.repeat(rows[begins], np.diff(np.append(begins, len(keys))))
        is_other = rows != leaders
        candidates, inverse = np.unique(leaders[is_other] * source.shape[0] + rows[is_other], return_inverse=True)
        candidates = np.stack(np.divmod(candidates, source.shape[0]))
        is_equal = _are_equal(source, *candidates)
        if is_equal.any():
            yield candidates[:, is_equal]
        remaining = np.flatnonzero(is_other)[~is_equal[inverse.ravel()]]
        keys, rows = keys[remaining], rows[remaining]
    return np.unique(rows)


def _unit_rows(source: Source, numbers: np.ndarray) -> np.ndarray:
    """Return selected rows in float64, divided by their norms."""
    rows: np.ndarray = to_numpy(source.take(numbers)).astype(np.float64)
    rows /= np.abs(rows).max(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _are_equal(source: Source, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return which pairs of rows have unit rows that differ by at most `TOLERANCE`."""
    is_equal = np.zeros(len(first), dtype=bool)
    size = block_rows(source.shape[1])
    for start in range(0, len(first), size):
        numbers, inverse = np.unique(
            np.concatenate([first[start : start + size], second[start : start + size]]), return_inverse=True
        )
        rows = _unit_rows(source, numbers)
        a, b = np.split(inverse.ravel(), 2)
        is_equal[start : start + size] = np.abs(rows[a] - rows[b]).max(axis=1) <= TOLERANCE
    return is_equal


def _keys_of_rounded_rows(source: Source, numbers: np.ndarray, shift: float) -> np.ndarray:
    """Return a key of each row, uint32, which equal unit rows have in common unless rounding separates them."""
    keys = np.empty(len(numbers), dtype=np.uint32)
    size = block_rows(source.shape[1])
    for start in range(0, len(numbers), size):
        rows = _unit_rows(source, numbers[start : start + size])
        rows /= ROUNDING_STEP
        rows += shift
        keys[start : start + size] = hash_rows(np.floor(rows, out=rows).astype(np.int32)) >> np.uint64(32)
    return keys


def occur_twice(*arrays: np.ndarray) -> np.ndarray:
    """Return whether each key of some arrays, one after the other, occurs more than once in them."""
    ordered = np.concatenate(arrays)
    ordered.sort()
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    is_repeated = np.zeros(len(ordered), dtype=bool)
    del ordered
    begins_like_repeated = np.zeros(2**16, dtype=bool)
    begins_like_repeated[repeated >> np.uint32(16)] = True
    n_beginnings = 2**16 // max(int(KEY_RANGES * begins_like_repeated.mean()), 1)
    for begin in range(0, 2**16 if len(repeated) else 0, n_beginnings):
        is_candidate = np.zeros(2**16, dtype=bool)
        in_range = slice(begin, begin + n_beginnings)
        is_candidate[in_range] = begins_like_repeated[in_range]
        candidates, n_before = [], np.uint64(0)
        for keys in arrays:
            positions = np.flatnonzero(is_candidate[keys >> np.uint32(16)]).view(np.uint64)
            # The position stands below the key, so that one sort orders both.
            packed = keys[positions].astype(np.uint64)
            packed <<= np.uint64(32)
            packed |= positions + n_before
            candidates.append(packed)
            n_before += np.uint64(len(keys))
        packed = np.concatenate(candidates)
        packed.sort()
        is_like_next = packed[1:] ^ packed[:-1] < np.uint64(2**32)
        packed &= np.uint64(2**32 - 1)
        positions = packed.view(np.int64)
        is_repeated[positions[1:][is_like_next]] = True
        is_repeated[positions[:-1][is_like_next]] = True
    return is_repeated
