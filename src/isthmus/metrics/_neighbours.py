"""The nearest rows of every row, in blocks of scores: one pass for all measures of neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from isthmus.compute import score_matrix
from isthmus.compute.resources import current
from isthmus.compute.score_matrix import TopK, block_slices
from isthmus.compute.topk import score_matrices
from isthmus.data.pairs import OpenSpec, Pairs
from isthmus.data.worker_pairs import open_cached
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows

#: Neighbours that are kept on each side of each row: 20 and the two that follow when an item is left out.
MOST = 22


@dataclass(frozen=True)
class Part:
    """What was found for some queries, in order: their nearest rows on the `same` side (themselves left out) and on
    the `other`, the rank of their partner, and how often each item came `before` a partner. Parts of following queries
    add up with `+`."""

    same: TopK
    other: TopK
    rank: np.ndarray
    before: np.ndarray

    def __add__(self, more: Part) -> Part:
        return Part(
            TopK.concatenate([self.same, more.same]),
            TopK.concatenate([self.other, more.other]),
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

    xx: TopK
    xy: TopK
    yx: TopK
    yy: TopK
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
        return cls.joined(knn_both_sides(x, x, y, k), knn_both_sides(y, y, x, k))

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
            parts = cluster.split(rows.n, query_blocks(rows.n)[0].stop)
            options = {"normalize": rows.unit, "k": MOST}
            return cls.joined(*cluster.tree_reduce(_knn_part, rows.open_spec, parts, "neighbours", **options))
        return cls.of(rows.x, rows.y)

    def swapped(self) -> Neighbours:
        """The neighbours of (y, x)."""
        return Neighbours(self.yy, self.yx, self.xy, self.xx, self.rank_y, self.rank_x, self.before_y, self.before_x)


def query_blocks(n: int) -> list[slice]:
    """Return the blocks of queries whose scores against n rows fit the block size."""
    return block_slices(n, 0, n, score_matrix.BLOCK_SCORES)


def knn_both_sides(
    queries: np.ndarray, same: np.ndarray, other: np.ndarray, k: int, first: int = 0, last: int | None = None
) -> Part:
    """Return the neighbours of the queries first .. last - 1 in both modalities.

    Row i of `same` and of `other` is item i, and query i is row i of `same`.
    """
    n = len(queries)
    across, within = score_matrices(queries, other, same)
    blocks_same, blocks_other, ranks = [], [], []
    before = np.zeros(n, dtype=np.int64)
    for rows in across.blocks(first, last):
        scores = across.tile(rows)
        own = across.diagonal(scores, rows.start)
        blocks_other.append(across.topk(scores, k))
        at_least = scores >= own
        across.fill_diagonal(at_least, rows.start, False)
        counts = across.to_bytes(at_least)
        scores = within.tile(rows)
        within.fill_diagonal(scores, rows.start, -np.inf)
        blocks_same.append(within.topk(scores, min(k, n - 1)))
        counts += within.to_bytes(scores >= own)
        ranks.append(1 + within.sums(counts, axis=1))
        before += within.sums(counts, axis=0)
    return Part(TopK.concatenate(blocks_same), TopK.concatenate(blocks_other), np.concatenate(ranks), before)


#: Rows of the pairs that a worker opened last.
_WORKER_ROWS: WeakKeyDictionary[Pairs, PairedRows] = WeakKeyDictionary()


def _knn_part(spec: OpenSpec, start: int, stop: int, *, normalize: bool, k: int) -> tuple[Part, Part]:
    """Return the neighbours of some queries on a worker, from x to y and from y to x."""
    pairs = open_cached(spec)
    if pairs not in _WORKER_ROWS:
        _WORKER_ROWS[pairs] = PairedRows.of(pairs, normalize=normalize)
    rows = _WORKER_ROWS[pairs]
    x = knn_both_sides(rows.x, rows.x, rows.y, k, start, stop)
    return x, knn_both_sides(rows.y, rows.y, rows.x, k, start, stop)
