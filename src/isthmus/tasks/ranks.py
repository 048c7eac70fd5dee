"""Ranks of partners in both directions from one product of scores, tile by tile.

Scores are made in tiles and counted in strips that stay in the cache; the n x n matrix never exists. The same product
serves the ranks of its rows and of its columns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from isthmus.compute.resources import blas_limited, blas_threads, current
from isthmus.compute.torch_kernels import count_above

#: Most rows of x and of y in a tile of scores, 28 MB of float32 for each thread. BLAS is fastest with wide tiles.
TILE = (1696, 4192)
#: Scores of a tile that are compared and counted at a time, 2 MB of float32: the second comparison finds them in the
#: cache.
STRIP = 2**19
#: From this many scores on several threads make and count tiles.
MANY = 2**24
#: Scores that differ by less than this many units of rounding are ties: without it the order of two equal rows would
#: depend on how BLAS cuts the product into pieces.
TIE = 8
#: Rows whose own scores and lengths are computed at a time.
FEW = 2048

#: `map`, or one that works in several threads.
Run = Callable[..., Iterator[Any]]


def partner_ranks(x: np.ndarray, y: np.ndarray, owner: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """(n_x,) and (n_y,): rank of the best own row of y for each row of x, and of its owner for each row of y.

    A rank is 1 + the number of rows of other items that score at least as high (ties count against the query). A row
    of x without a row of y has rank 0.
    """
    x, y = _same_dtype(x, y)
    order = np.arange(len(y)) if bool(np.all(owner[1:] >= owner[:-1])) else np.argsort(owner, kind="stable")
    owner = owner[order]
    devices = current().devices
    with _threads(0 if devices else len(x) * len(y)) as run:
        own = own_scores(x, y, owner, order, run)
        slack = tie_slack(x, y, run)
        best = np.full(len(x), np.inf, dtype=x.dtype)
        has_own, begins = np.unique(owner, return_index=True)
        best[has_own] = np.maximum.reduceat(own, begins) - slack
        own -= slack
        if devices:
            above_x, above_y = count_above(x, y[order], best, own, owner, devices[0])
        else:
            above_x, above_y = _count_above(x, y, best, own, owner, order, run)
    ranks_x = np.where(np.isin(np.arange(len(x)), has_own), above_x + 1, 0)
    ranks_y = np.empty(len(y), dtype=np.int64)
    ranks_y[order] = above_y + 1
    return ranks_x, ranks_y


def _count_above(
    x: np.ndarray, y: np.ndarray, best: np.ndarray, own: np.ndarray, owner: np.ndarray, order: np.ndarray, run: Run
) -> tuple[np.ndarray, np.ndarray]:
    """For each row of x how many rows of y of other items score `best` or more, and for each place in `order` how many
    rows of x other than the owner score `own` or more."""
    held = threading.local()  # each thread makes its tiles in one place
    in_order = _in_order(order)
    cuts = list(tiles(len(x), len(y)))

    def count(tile: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = tile
        block = y[columns] if in_order else y[order[columns]]
        shape = (rows.stop - rows.start, len(block))
        if not hasattr(held, "room"):
            held.room = np.empty(max((i.stop - i.start) * (j.stop - j.start) for i, j in cuts), dtype=x.dtype)
        scores = held.room[: shape[0] * shape[1]].reshape(shape)
        np.matmul(x[rows], block.T, out=scores)
        owners, wanted = owner[columns], own[columns]
        found_x, found_y = np.empty(shape[0], dtype=np.int64), np.zeros(shape[1], dtype=np.int64)
        few = max(STRIP // shape[1], 1)
        for start in range(0, shape[0], few):
            strip, place = scores[start : start + few], rows.start + start
            first, last = np.searchsorted(owners, (place, place + len(strip)))
            strip[owners[first:last] - place, np.arange(first, last)] = -np.inf
            found_x[start : start + few] = count_rows(strip >= best[place : place + len(strip), None])
            found_y += count_columns(strip >= wanted)
        return found_x, found_y

    above_x = np.zeros(len(x), dtype=np.int64)
    above_y = np.zeros(len(y), dtype=np.int64)
    for (rows, columns), (found_x, found_y) in zip(cuts, run(count, cuts), strict=True):
        above_x[rows] += found_x
        above_y[columns] += found_y
    return above_x, above_y


def tiles(rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """(rows, columns) of every tile of a rows x columns table of scores."""
    for column in _cuts(columns, TILE[1]):
        for row in _cuts(rows, TILE[0]):
            yield row, column


def _cuts(size: int, most: int) -> list[slice]:
    """Slices of about the same length, at most `most`.

    The length is a multiple of 8, which `count_rows` asks for, and not of 16: rows of scores that begin a power of two
    apart share cache sets, and BLAS loses a tenth of its speed writing them.
    """
    pieces = -(-size // most)
    step = min(-(-size // (8 * pieces)) * 8 if pieces else most, most)
    if pieces > 1 and step % 16 == 0 and step + 8 <= most:
        step += 8
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def own_scores(x: np.ndarray, y: np.ndarray, owner: np.ndarray, order: np.ndarray, run: Run) -> np.ndarray:
    """x[owner[j]] . y[order[j]] for every j, (n_y,)."""
    own = np.empty(len(order), dtype=x.dtype)
    in_order = _in_order(order)

    def fill(block: slice) -> None:
        partners = y[block] if in_order else y[order[block]]
        np.einsum("ij,ij->i", np.take(x, owner[block], axis=0), partners, out=own[block])

    for _ in run(fill, _cuts(len(order), FEW)):
        pass
    return own


def tie_slack(x: np.ndarray, y: np.ndarray, run: Run) -> float:
    """How far below the partner's score another still counts as a tie."""

    def longest(rows: np.ndarray) -> float:
        return float(np.max(np.einsum("ij,ij->i", rows, rows))) ** 0.5

    sides = [max(run(longest, [side[cut] for cut in _cuts(len(side), FEW)]), default=0.0) for side in (x, y)]
    return TIE * float(np.finfo(x.dtype).eps) * sides[0] * sides[1]


def _in_order(order: np.ndarray) -> bool:
    return bool(np.array_equal(order, np.arange(len(order))))


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
def _threads(scores: int) -> Iterator[Run]:
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
