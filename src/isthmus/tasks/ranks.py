"""Ranks of partners in both directions from one product of scores, tile by tile.

Scores are made in tiles and counted in strips that stay in the cache; the n x n matrix never exists. The same product
serves the ranks of its rows and of its columns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from isthmus.device_blocks import count_above
from isthmus.resources import blas_limited, blas_threads, current

#: Rows of x and of y in a tile of scores, 16 MB of float32 for each thread.
#: The width is no power of two: rows of scores that begin a power of two apart share cache sets, and BLAS loses a
#: tenth of its speed writing them. It is a multiple of 8 and at most 255 * 8, so `count_rows` takes one step.
TILE = (2040, 2032)
#: Rows of a tile that are compared and counted at a time, 2 MB of float32: the second comparison finds them in the
#: cache, and `count_columns` takes one step.
STRIP = 255
#: From this many scores on several threads make and count tiles.
MANY = 2**24
#: Scores that differ by less than this many units of rounding are ties: without it the order of two equal rows would
#: depend on how BLAS cuts the product into pieces.
TIE = 8


def partner_ranks(x: np.ndarray, y: np.ndarray, owner: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """(n_x,) and (n_y,): rank of the best own row of y for each row of x, and of its owner for each row of y.

    A rank is 1 + the number of rows of other items that score at least as high (ties count against the query). A row
    of x without a row of y has rank 0.
    """
    x, y = _same_dtype(x, y)
    order = np.arange(len(y)) if bool(np.all(owner[1:] >= owner[:-1])) else np.argsort(owner, kind="stable")
    owner = owner[order]
    own = own_scores(x, y, owner, order)
    slack = tie_slack(x, y)
    best = np.full(len(x), np.inf, dtype=x.dtype)
    has_own, begins = np.unique(owner, return_index=True)
    best[has_own] = np.maximum.reduceat(own, begins) - slack
    own -= slack
    devices = current().devices
    if devices:
        above_x, above_y = count_above(x, y[order], best, own, owner, devices[0])
    else:
        above_x, above_y = _count_above(x, y, best, own, owner, order)
    ranks_x = np.where(np.isin(np.arange(len(x)), has_own), above_x + 1, 0)
    ranks_y = np.empty(len(y), dtype=np.int64)
    ranks_y[order] = above_y + 1
    return ranks_x, ranks_y


def _count_above(
    x: np.ndarray, y: np.ndarray, best: np.ndarray, own: np.ndarray, owner: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each row of x how many rows of y of other items score `best` or more, and for each place in `order` how many
    rows of x other than the owner score `own` or more."""
    in_order = bool(np.array_equal(order, np.arange(len(y))))
    held = threading.local()  # each thread makes its tiles in one place

    def count(tile: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = tile
        block = y[columns] if in_order else y[order[columns]]
        shape = (rows.stop - rows.start, len(block))
        if not hasattr(held, "room"):
            held.room = np.empty(min(TILE[0], len(x)) * min(TILE[1], len(y)), dtype=x.dtype)
        scores = held.room[: shape[0] * shape[1]].reshape(shape)
        np.matmul(x[rows], block.T, out=scores)
        owners, wanted = owner[columns], own[columns]
        found_x, found_y = np.empty(shape[0], dtype=np.int64), np.zeros(shape[1], dtype=np.int64)
        for start in range(0, shape[0], STRIP):
            strip, place = scores[start : start + STRIP], rows.start + start
            first, last = np.searchsorted(owners, (place, place + len(strip)))
            strip[owners[first:last] - place, np.arange(first, last)] = -np.inf
            found_x[start : start + STRIP] = count_rows(strip >= best[place : place + len(strip), None])
            found_y += count_columns(strip >= wanted)
        return found_x, found_y

    above_x = np.zeros(len(x), dtype=np.int64)
    above_y = np.zeros(len(y), dtype=np.int64)
    cuts = list(tiles(len(x), len(y)))
    with _threads(len(x) * len(y)) as run:
        for (rows, columns), (found_x, found_y) in zip(cuts, run(count, cuts), strict=True):
            above_x[rows] += found_x
            above_y[columns] += found_y
    return above_x, above_y


def tiles(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """(rows, columns) of every tile of a rows x columns table of scores."""
    for j in range(0, columns, TILE[1]):
        for i in range(0, rows, TILE[0]):
            yield slice(i, min(i + TILE[0], rows)), slice(j, min(j + TILE[1], columns))


def own_scores(x: np.ndarray, y: np.ndarray, owner: np.ndarray, order: np.ndarray) -> np.ndarray:
    """x[owner[j]] . y[order[j]] for every j, (n_y,)."""
    own = np.empty(len(order), dtype=x.dtype)
    for j in range(0, len(order), TILE[1]):
        block = slice(j, j + TILE[1])
        np.einsum("ij,ij->i", x[owner[block]], y[order[block]], out=own[block])
    return own


def tie_slack(x: np.ndarray, y: np.ndarray) -> float:
    """How far below the partner's score another still counts as a tie."""
    longest = [float(np.max(np.einsum("ij,ij->i", side, side), initial=0.0)) ** 0.5 for side in (x, y)]
    return TIE * float(np.finfo(x.dtype).eps) * longest[0] * longest[1]


def count_rows(mask: np.ndarray) -> np.ndarray:
    """Number of true entries in each row of a C-ordered mask.

    Eight neighbours are added at a time: 255 words of eight bytes fit before a byte overflows.
    """
    if mask.shape[1] % 8:
        return np.count_nonzero(mask, axis=1)
    words = mask.view(np.uint64)
    found = np.zeros(len(mask), dtype=np.int64)
    for start in range(0, words.shape[1], 255):
        total = np.add.reduce(words[:, start : start + 255], axis=1)
        found += total.view(np.uint8).reshape(-1, 8).sum(axis=1, dtype=np.int64)
    return found


def count_columns(mask: np.ndarray) -> np.ndarray:
    """Number of true entries in each column of a C-ordered mask: 255 rows of bytes fit before one overflows."""
    found = np.zeros(mask.shape[1], dtype=np.int64)
    for start in range(0, len(mask), 255):
        found += np.add.reduce(mask[start : start + 255].view(np.uint8), axis=0, dtype=np.uint8)
    return found


@contextmanager
def _threads(scores: int) -> Iterator[Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]]:
    """`map`, over as many threads as BLAS has when there are many scores, each with BLAS to itself: a thread counts its
    tile while the other multiplies, and none waits for the other."""
    threads = blas_threads() if scores >= MANY else 1
    if threads == 1:
        yield map
        return
    with blas_limited(1), ThreadPoolExecutor(threads) as pool:
        yield pool.map


def _same_dtype(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides in float32 or float64, native and C-ordered."""
    wide = np.result_type(x.dtype, y.dtype).itemsize > 4
    dtype = np.float64 if wide else np.float32
    return np.ascontiguousarray(x, dtype=dtype), np.ascontiguousarray(y, dtype=dtype)
