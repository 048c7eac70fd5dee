"""The nearest rows of every row, in blocks of scores: one pass for all measures of neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.compute import torch_kernels
from isthmus.compute.resources import current
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows

#: Elements of one block of scores: 16 MB of float32, which the cache mostly holds while it is searched.
BLOCK_SCORES = 2**22
#: Neighbours that are kept on each side of each row: 20 and the two that follow when an item is left out.
MOST = 22
#: Columns that are folded into one before the search, and how many folded ones there must be for each neighbour.
FOLD = 16


@dataclass(frozen=True)
class Nearest:
    """For each query its nearest corpus rows, nearest first: their scores and numbers, (n, k) each."""

    scores: np.ndarray
    index: np.ndarray


@dataclass(frozen=True)
class Part:
    """What was found for some queries, in order: their nearest rows on the `same` side (themselves left out) and on
    the `other`, the rank of their partner, and how often each item came `before` a partner. Parts of following queries
    add up with `+`."""

    same: Nearest
    other: Nearest
    rank: np.ndarray
    before: np.ndarray

    def __add__(self, more: Part) -> Part:
        return Part(
            _joined([(n.scores, n.index) for n in (self.same, more.same)]),
            _joined([(n.scores, n.index) for n in (self.other, more.other)]),
            np.concatenate([self.rank, more.rank]),
            self.before + more.before,
        )


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows by inner product (cosine of unit rows) within and between two sides of n rows.

    `xx` and `yy` leave the row itself out; `xy` are the rows of y that are nearest to each row of x.
    `rank_x[i]` is the rank of y[i] for the query x[i] among the 2n - 1 other rows of both sides; 1 is best, ties
    count against it. `before_x[j]` is how often a row of item j comes before (or ties with) the partner of another
    item's x.
    """

    xx: Nearest
    xy: Nearest
    yx: Nearest
    yy: Nearest
    rank_x: np.ndarray
    rank_y: np.ndarray
    before_x: np.ndarray
    before_y: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, /, *, k: int = MOST) -> Neighbours:
        """Up to k neighbours of the rows (n, d) on each side, in blocks of scores: four products of n^2 d.

        >>> import numpy as np
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> Neighbours.of(x, x[::-1]).xx.index[:, 0].tolist()
        [1, 0, 1]
        """
        return cls.joined(search(x, x, y, k), search(y, y, x, k))

    @classmethod
    def joined(cls, x: Part, y: Part, /) -> Neighbours:
        """The neighbours from what was found for all rows of x and for all rows of y as queries."""
        return cls(x.same, x.other, y.other, y.same, x.rank, y.rank, x.before, y.before)

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Neighbours:
        """Return the neighbours of the sampled items.

        The cluster in use computes them if its workers can open the same rows.
        """
        rows = context.shared(PairedRows)
        cluster = current().cluster
        if cluster is not None and rows.open_spec is not None:
            return cls.joined(*cluster.neighbours(rows.open_spec, rows.n, normalize=rows.unit, k=MOST))
        return cls.of(rows.x, rows.y)

    def swapped(self) -> Neighbours:
        """The neighbours of (y, x)."""
        return Neighbours(self.yy, self.yx, self.xy, self.xx, self.rank_y, self.rank_x, self.before_y, self.before_x)


def nearest(queries: np.ndarray, corpus: np.ndarray, /, *, k: int, leave_self: bool) -> Nearest:
    """The k corpus rows of largest inner product with each query; `leave_self` leaves row i out for query i.

    >>> import numpy as np
    >>> nearest(np.eye(2), np.array([[1.0, 0.0], [3.0, 2.0]]), k=1, leave_self=False).scores.tolist()
    [[3.0], [2.0]]
    """
    devices = current().devices
    if devices:
        return _joined(torch_kernels.nearest(queries, corpus, devices[0], k=k, leave_self=leave_self))
    parts = []
    for start, stop in blocks(len(queries), len(corpus)):
        scores = queries[start:stop] @ corpus.T
        if leave_self:
            scores[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        parts.append(top(scores, k))
    return _joined(parts)


def top(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest of each row of `scores` (b, m), largest first, and their columns, (b, k) each.

    Columns are first folded: the k largest lie among the columns of the k largest maxima, so that the costly
    selection sees a sixteenth of the scores.
    """
    rows, columns = scores.shape
    k = min(k, columns)
    width = columns // FOLD
    candidates = None
    if width > 4 * k:
        whole = width * FOLD
        maxima = scores[:, :whole].reshape(rows, FOLD, width).max(axis=1)
        groups = np.argpartition(maxima, width - k, axis=1)[:, width - k :]
        folded = (groups[:, :, None] + width * np.arange(FOLD)).reshape(rows, k * FOLD)
        tail = np.broadcast_to(np.arange(whole, columns), (rows, columns - whole))
        candidates = np.concatenate([folded, tail], axis=1)
        scores = np.take_along_axis(scores, candidates, axis=1)
    if k < scores.shape[1]:
        found = np.argpartition(scores, scores.shape[1] - k, axis=1)[:, -k:]
    else:
        found = np.broadcast_to(np.arange(k), (rows, k))
    values = np.take_along_axis(scores, found, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    found = np.take_along_axis(found, order, axis=1)
    columns_found = found if candidates is None else np.take_along_axis(candidates, found, axis=1)
    return np.take_along_axis(values, order, axis=1), columns_found


def blocks(queries: int, corpus: int, first: int = 0, last: int | None = None) -> list[tuple[int, int]]:
    """(start, stop) of blocks of the queries first .. last - 1 whose scores against the corpus fit the block size."""
    step = max(1, BLOCK_SCORES // corpus)
    last = queries if last is None else last
    return [(start, min(start + step, last)) for start in range(first, last, step)]


def search(
    queries: np.ndarray, same: np.ndarray, other: np.ndarray, k: int, first: int = 0, last: int | None = None
) -> Part:
    """What is found for the queries first .. last - 1, by default all: row i of `same` and of `other` is item i."""
    n = len(queries)
    last = n if last is None else last
    devices = current().devices
    if devices:
        found = torch_kernels.search(queries, same, other, k, devices[0], first, last)
        return Part(_joined(found[0]), _joined(found[1]), *found[2:])
    rank, before = np.empty(last - first, dtype=np.int64), np.zeros(n, dtype=np.int64)
    parts_same, parts_other = [], []
    for start, stop in blocks(n, n, first, last):
        block, rows = np.arange(stop - start), np.arange(start, stop)
        across = queries[start:stop] @ other.T
        own = across[block, rows][:, None]
        parts_other.append(top(across, k))
        as_high = (across >= own).view(np.int8)
        as_high[block, rows] = 0
        within = queries[start:stop] @ same.T
        within[block, rows] = -np.inf
        parts_same.append(top(within, min(k, n - 1)))
        as_high += (within >= own).view(np.int8)
        rank[rows - first] = 1 + as_high.sum(axis=1, dtype=np.int64)
        before += as_high.sum(axis=0, dtype=np.int64)
    return Part(_joined(parts_same), _joined(parts_other), rank, before)


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> Nearest:
    scores, index = zip(*parts, strict=True)
    return Nearest(np.concatenate(scores), np.concatenate(index))
