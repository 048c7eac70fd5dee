"""The nearest rows of every row, within and across the modalities, in one pass for all measures of neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from isthmus.compute import score_matrix
from isthmus.compute.resources import current
from isthmus.compute.score_matrix import TopK, block_slices
from isthmus.compute.topk import score_matrices
from isthmus.data.open_spec import OpenSpec
from isthmus.data.pairs import Pairs
from isthmus.data.worker_pairs import open_cached
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows

#: Neighbours of each row in each modality: 20, and the two that follow if an item is left out.
MAX_NEIGHBOURS = 22


@dataclass(frozen=True)
class QueryNeighbours:
    """Neighbours of consecutive queries of one modality. The results of consecutive ranges concatenate with `+`.

    Parameters
    ----------
    within : TopK
        Nearest rows of the same modality, without the query itself.
    across : TopK
        Nearest rows of the other modality.
    rank : numpy.ndarray
        Rank of the matching row of each query.
    before : numpy.ndarray
        For each item, how often one of its rows comes before the matching row of another item's query.
    """

    within: TopK
    across: TopK
    rank: np.ndarray
    before: np.ndarray

    def __add__(self, following: QueryNeighbours) -> QueryNeighbours:
        return QueryNeighbours(
            TopK.concatenate([self.within, following.within]),
            TopK.concatenate([self.across, following.across]),
            np.concatenate([self.rank, following.rank]),
            self.before + following.before,
        )


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows by inner product (cosine of unit rows) of n matching rows x and y.

    Parameters
    ----------
    xx, xy, yx, yy : TopK
        Nearest rows of the second modality for each row of the first. `xx` and `yy` leave the row itself out.
    rank_x, rank_y : numpy.ndarray
        `rank_x[i]` is the rank of y[i] for the query x[i] among the 2n - 1 other rows of both modalities. 1 is best,
        and ties count against it.
    before_x, before_y : numpy.ndarray
        `before_x[j]` is how often a row of item j comes before (or ties with) the matching row of another item's x.
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
    def of(cls, x: np.ndarray, y: np.ndarray, /, *, k: int = MAX_NEIGHBOURS) -> Neighbours:
        """Return up to k neighbours of the rows (n, d) in each modality, in blocks of four products of n^2 d.

        >>> import numpy as np
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> Neighbours.of(x, x[::-1]).xx.index[:, 0].tolist()
        [1, 0, 1]
        """
        return cls.of_queries(knn_both_modalities(x, x, y, k), knn_both_modalities(y, y, x, k))

    @classmethod
    def of_queries(cls, x: QueryNeighbours, y: QueryNeighbours, /) -> Neighbours:
        """Return the neighbours, given those of all rows of x and of all rows of y as queries."""
        return cls(x.within, x.across, y.across, y.within, x.rank, y.rank, x.before, y.before)

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Neighbours:
        """Return the neighbours of the sampled items.

        The cluster in use computes them if its workers can open the same rows.
        """
        rows = context.shared(PairedRows)
        cluster = current().cluster
        if cluster is not None and rows.open_spec is not None:
            ranges = cluster.split(rows.n, query_blocks(rows.n)[0].stop)
            options = {"normalize": rows.unit, "k": MAX_NEIGHBOURS}
            return cls.of_queries(*cluster.tree_reduce(_knn_range, rows.open_spec, ranges, "neighbours", **options))
        return cls.of(rows.x, rows.y)

    def swapped(self) -> Neighbours:
        """Return the neighbours of (y, x)."""
        return Neighbours(self.yy, self.yx, self.xy, self.xx, self.rank_y, self.rank_x, self.before_y, self.before_x)


def query_blocks(n: int) -> list[slice]:
    """Return the blocks of queries whose scores against n rows fit the block size."""
    return block_slices(n, 0, n, score_matrix.BLOCK_SCORES)


def knn_both_modalities(
    queries: np.ndarray,
    same_modality: np.ndarray,
    other_modality: np.ndarray,
    k: int,
    first: int = 0,
    last: int | None = None,
) -> QueryNeighbours:
    """Return the neighbours of the queries first .. last - 1 in both modalities.

    Row i of `same_modality` and of `other_modality` is item i, and query i is row i of `same_modality`.
    """
    n = len(queries)
    across, within = score_matrices(queries, other_modality, same_modality)
    blocks_within, blocks_across, ranks = [], [], []
    before = np.zeros(n, dtype=np.int64)
    for rows in across.blocks(first, last):
        scores = across.tile(rows)
        matching = across.diagonal(scores, rows.start)
        blocks_across.append(across.topk(scores, k))
        at_least = scores >= matching
        across.fill_diagonal(at_least, rows.start, False)
        counts = across.to_bytes(at_least)
        scores = within.tile(rows)
        within.fill_diagonal(scores, rows.start, -np.inf)
        blocks_within.append(within.topk(scores, min(k, n - 1)))
        counts += within.to_bytes(scores >= matching)
        ranks.append(1 + within.sums(counts, axis=1))
        before += within.sums(counts, axis=0)
    return QueryNeighbours(
        TopK.concatenate(blocks_within), TopK.concatenate(blocks_across), np.concatenate(ranks), before
    )


#: Rows of the pairs that a worker opened last.
_WORKER_ROWS: WeakKeyDictionary[Pairs, PairedRows] = WeakKeyDictionary()


def _knn_range(
    spec: OpenSpec, start: int, stop: int, *, normalize: bool, k: int
) -> tuple[QueryNeighbours, QueryNeighbours]:
    """Return the neighbours of a range of queries on a worker, from x to y and from y to x."""
    pairs = open_cached(spec)
    if pairs not in _WORKER_ROWS:
        _WORKER_ROWS[pairs] = PairedRows.of(pairs, normalize=normalize)
    rows = _WORKER_ROWS[pairs]
    x = knn_both_modalities(rows.x, rows.x, rows.y, k, start, stop)
    return x, knn_both_modalities(rows.y, rows.y, rows.x, k, start, stop)
