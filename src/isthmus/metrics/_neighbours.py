"""The nearest rows of every row, within and across the modalities, in one pass for all measures of neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from isthmus.compute import score_matrix
from isthmus.compute.compiled import compiled_loops
from isthmus.compute.masks import at_least, count_columns, count_rows
from isthmus.compute.resources import current
from isthmus.compute.score_matrix import TopK, block_slices
from isthmus.compute.score_sweep import fill_diagonal, sweep_blocks, sweep_scores
from isthmus.compute.streaming_topk import MAX_CANDIDATES, StreamingTopK
from isthmus.compute.topk import score_matrices
from isthmus.compute.workspace import Workspace
from isthmus.data.open_spec import OpenSpec
from isthmus.data.pairs import Pairs
from isthmus.data.worker_pairs import open_cached
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._score_sweep import swept
from isthmus.tasks.ranks import match_thresholds, tie_slack

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
        `rank_x[i]` is the rank of y[i] for the query x[i] among the 2n - 1 other rows of both modalities. The best rank
        is 1, and ties count against it.
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
        """Return up to k neighbours of the rows (n, d) in each modality, in one pass over the scores.

        >>> import numpy as np
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> Neighbours.of(x, x[::-1]).xx.index[:, 0].tolist()
        [1, 0, 1]
        """
        if current().devices:
            return cls.of_queries(knn_both_modalities(x, x, y, k), knn_both_modalities(y, y, x, k))
        consumer = NeighbourTiles(x, y, k)
        sweep_scores(x, y, [consumer])
        return consumer.result()

    @classmethod
    def consumer(cls, rows: PairedRows, /) -> NeighbourTiles:
        """Return the consumer of scores that finds the neighbours."""
        return NeighbourTiles(rows.x, rows.y, MAX_NEIGHBOURS)

    @classmethod
    def is_swept(cls, rows: PairedRows, /) -> bool:
        """Return False if a device or a cluster finds the neighbours."""
        resources = current()
        return not resources.devices and (resources.cluster is None or rows.open_spec is None)

    @classmethod
    def of_queries(cls, x: QueryNeighbours, y: QueryNeighbours, /) -> Neighbours:
        """Return the neighbours, given those of all rows of x and of all rows of y as queries."""
        return cls(x.within, x.across, y.across, y.within, x.rank, y.rank, x.before, y.before)

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Neighbours:
        """Return the neighbours of the sampled items.

        The cluster in use computes them if its workers can open the same rows.
        """
        rows, cluster = context.shared(PairedRows), current().cluster
        if cls.is_swept(rows):
            neighbours: Neighbours = swept(context, cls)
            return neighbours
        if cluster is None or rows.open_spec is None:
            return cls.of(rows.x, rows.y)
        ranges = cluster.split(rows.n, query_blocks(rows.n)[0].stop)
        options = {"normalize": rows.unit, "k": MAX_NEIGHBOURS}
        return cls.of_queries(*cluster.tree_reduce(_knn_range, rows.open_spec, ranges, "neighbours", **options))

    def swapped(self) -> Neighbours:
        """Return the neighbours of (y, x)."""
        return Neighbours(self.yy, self.yx, self.xy, self.xx, self.rank_y, self.rank_x, self.before_y, self.before_x)


class NeighbourTiles:
    """Find the neighbours and the ranks of matching rows in tiles of scores.

    Parameters
    ----------
    x, y : numpy.ndarray
        Matching rows, (n, d).
    k : int
        Number of neighbours.

    Attributes
    ----------
    kinds : tuple of str
        Kinds of tiles. A subclass that names 'xy' only finds neighbours and ranks in the other modality.
    """

    kinds: tuple[str, ...] = ("xx", "yy", "xy")

    def __init__(self, x: np.ndarray, y: np.ndarray, k: int):
        n = len(x)
        dtype = np.result_type(x, y)
        self._blocks = sweep_blocks(n)
        self._number = {block.start: number for number, block in enumerate(self._blocks)}
        sizes = {"xx": n - 1, "yy": n - 1, "xy": n, "yx": n}
        self._k, self._loops = k, compiled_loops(n * n, dtype)
        self._nearest = {
            kind: StreamingTopK(self._blocks, min(k, size), dtype)
            for kind, size in sizes.items()
            if kind in self.kinds or kind[::-1] in self.kinds
        }
        #: Scores that a row must reach to come before the matching row.
        self._thresholds = match_thresholds(x, y)
        self._ahead = {modality: np.zeros(n, dtype=np.int64) for modality in "xy"}
        self._before = {modality: np.zeros(n, dtype=np.int64) for modality in "xy"}
        #: Rows of the other modality that come before the matching row.
        self.ahead_across = {modality: np.zeros(n, dtype=np.int64) for modality in "xy"}
        self._workspace = Workspace()

    def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> Any:
        """Add the neighbours of a tile. Return how many scores come before the matching rows."""
        row_block, column_block = self._number[rows.start], self._number[columns.start]
        if self._loops is not None:
            counts = self._compiled_tile(kind, scores, rows, columns)
            if counts is not None:
                return counts
        if kind == "xy":
            self._nearest["xy"].add(scores, row_block, columns)
            self._nearest["yx"].add_transposed(scores, column_block, rows)
            fill_diagonal(scores, rows, columns, -np.inf)
        else:
            fill_diagonal(scores, rows, columns, -np.inf)
            self._nearest[kind].add(scores, row_block, columns)
            if rows != columns:
                self._nearest[kind].add_transposed(scores, column_block, rows)
        mask = self._workspace.empty("mask", scores.shape, bool)
        at_least(scores, self._thresholds[rows], mask)
        counts = [count_rows(mask), count_columns(mask)]
        if kind == "xy" or rows != columns:
            at_least(scores, self._thresholds[columns], mask, axis=1)
            counts += [count_rows(mask), count_columns(mask)]
        return counts

    def _compiled_tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> Any:
        """Return what `tile` returns, or None if too many scores are ties."""
        row_block, column_block = self._number[rows.start], self._number[columns.start]
        is_diagonal, is_symmetric = rows == columns, kind != "xy" and rows == columns
        if is_symmetric:
            np.fill_diagonal(scores, -np.inf)
        by_row, by_column = self._nearest[kind], self._nearest[kind[::-1]]
        top = by_row.thresholds(scores, row_block)
        if is_symmetric:  # the rows of the tile are its columns
            top_columns = np.full(scores.shape[1], np.inf, scores.dtype)
        else:
            top_columns = by_column.thresholds(scores, column_block, is_transposed=True)
        memory = self._workspace.empty("memory", (1, scores.shape[1] // 8 + 1), np.uint64)[0]
        cells = self._workspace.empty("cells", (2, MAX_CANDIDATES * self._k * max(scores.shape)), np.int64)
        counts, counts_columns = (np.zeros((2, length), np.int32) for length in scores.shape)
        thresholds = self._thresholds[rows], self._thresholds[columns]
        n_found, n_columns = self._loops.find_neighbours(
            scores, top, top_columns, *thresholds, memory, *cells, counts, counts_columns
        )
        if n_found < 0:
            return None
        by_row.insert(self._loops, scores, cells[0, :n_found], top, row_block, columns.start)
        if is_symmetric:
            return counts[0], counts_columns[0]
        by_column.insert(
            self._loops, scores, cells[1, :n_columns], top_columns, column_block, rows.start, is_transposed=True
        )
        if is_diagonal:  # the matching rows themselves do not come before themselves
            reaching = np.diagonal(scores) >= thresholds[0]
            counts -= reaching
            counts_columns -= reaching
        return counts[0], counts_columns[0], counts[1], counts_columns[1]

    def add(self, kind: str, partial: Any, rows: slice, columns: slice) -> None:
        """Add the counts of a tile."""
        row_side, column_side = kind[0], kind[1]
        self._ahead[row_side][rows] += partial[0]
        self._before[row_side][columns] += partial[1]
        if len(partial) == 4:
            self._before[column_side][rows] += partial[2]
            self._ahead[column_side][columns] += partial[3]
        if kind == "xy":
            self.ahead_across["x"][rows] += partial[0]
            self.ahead_across["y"][columns] += partial[3]

    @cached_property
    def lists(self) -> dict[str, TopK]:
        """Return the nearest rows after all tiles, by the kind of their scores."""
        return {kind: table.result() for kind, table in self._nearest.items()}

    def result(self) -> Any:
        """Return the neighbours after all tiles."""
        return Neighbours(
            self.lists["xx"], self.lists["xy"], self.lists["yx"], self.lists["yy"],
            1 + self._ahead["x"], 1 + self._ahead["y"], self._before["x"], self._before["y"],
        )  # fmt: skip


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
    slack = tie_slack(queries, other_modality)
    blocks_within, blocks_across, ranks = [], [], []
    before = np.zeros(n, dtype=np.int64)
    for rows in across.blocks(first, last):
        scores = across.tile(rows)
        matching = across.diagonal(scores, rows.start) - slack
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
