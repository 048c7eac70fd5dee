"""Tiles of the matrix of all scores, and operations on a tile, with NumPy. The whole matrix is never stored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.masks import at_least, count_columns, count_rows, true_positions

#: Scores in a block of full rows: 25 MB of float32, most of which stays in the cache while it is searched.
BLOCK_SCORES = 3 * 2**21
#: Largest tile of scores where full rows are not needed: 28 MB of float32 per thread. BLAS is fastest with wide tiles.
TILE_SHAPE = (1696, 4192)
#: Scores of a tile that are compared at a time: 2 MB of float32, so that the second comparison finds them in the cache.
STRIP_SCORES = 2**19
#: Fewer scores are selected without folding, which has a fixed cost.
MIN_FOLDED_SCORES = 2**13
#: Columns that are folded into one before a selection, which then examines a sixteenth of the scores.
FOLD = 16
#: Columns that are folded into one for a bound, fewest rows for which a bound pays, and candidates for each result.
BOUND_FOLD, MIN_BOUNDED_ROWS, MAX_CANDIDATES = 32, 16, 4

Tile = tuple[slice, slice]
#: `map`, or a function like it that calls in several threads.
Map = Callable[..., Iterator[Any]]
#: Operation on a tile: (scores, rows, columns) -> result.
TileFunction = Callable[[Any, slice, slice], Any]


@dataclass(frozen=True)
class TopK:
    """Corpus rows with the largest scores of each query, in descending order.

    Parameters
    ----------
    scores : (n, k) array
        Their scores.
    index : (n, k) int array
        Their row numbers.

    Examples
    --------
    >>> block = TopK(np.array([[1.0]]), np.array([[3]]))
    >>> TopK.concatenate([block, block]).index.tolist()
    [[3], [3]]
    """

    scores: np.ndarray
    index: np.ndarray

    @classmethod
    def concatenate(cls, blocks: list[TopK], /) -> TopK:
        """Join the results of consecutive blocks of queries.

        Parameters
        ----------
        blocks : list of TopK
            One for each block, in order.

        Returns
        -------
        TopK
            The results of all queries.
        """
        return cls(*(np.concatenate([getattr(block, name) for block in blocks]) for name in ("scores", "index")))


class ScoreMatrix:
    """Inner products of queries and corpus rows, computed tile by tile with NumPy.

    Parameters
    ----------
    queries, corpus : (n, d) and (m, d) arrays
        Rows. A score is the inner product of a query and a corpus row.
    order : (m,) int array, optional
        Order of the corpus rows. Default: as they are.

    Examples
    --------
    >>> matrix = ScoreMatrix(np.eye(2), np.eye(2))
    >>> [matrix.topk(matrix.tile(rows), 1).index.tolist() for rows in matrix.blocks()]
    [[[0], [1]]]
    """

    def __init__(self, queries: np.ndarray, corpus: np.ndarray, *, order: np.ndarray | None = None):
        self.shape = (len(queries), len(corpus))
        self._queries = queries
        self._corpus = corpus
        self._order = order
        self._dtype = np.result_type(queries, corpus)
        self._buffers = threading.local()  # each thread computes its tiles in one place

    def blocks(self, first: int = 0, last: int | None = None) -> list[slice]:
        """Return blocks of the queries first .. last - 1 whose scores against the whole corpus fit the block size."""
        return block_slices(self.shape[1], first, self.shape[0] if last is None else last, BLOCK_SCORES)

    def tiles(self) -> list[Tile]:
        """Return the tiles that cover the matrix, column by column."""
        rows, columns = (even_slices(n, size) for n, size in zip(self.shape, TILE_SHAPE, strict=True))
        return [(row, column) for column in columns for row in rows]

    def tile(self, rows: slice, columns: slice | None = None) -> Any:
        """Return the scores of one tile. The next call in the same thread overwrites them."""
        columns = columns or slice(0, self.shape[1])
        corpus = self._corpus[columns] if self._order is None else self._corpus[self._order[columns]]
        shape = (rows.stop - rows.start, len(corpus))
        size = shape[0] * shape[1]
        if getattr(self._buffers, "scores", np.empty(0)).size < size:
            self._buffers.scores = np.empty(size, dtype=self._dtype)
        scores = self._buffers.scores[:size].reshape(shape)
        np.matmul(self._queries[rows], corpus.T, out=scores)
        return scores

    def map_tiles(self, function: TileFunction, *, run: Map = map) -> Iterator[tuple[slice, slice, Any]]:
        """Yield (rows, columns, function(scores, rows, columns)) for every tile, in the order of `tiles`."""
        tiles = self.tiles()
        tile_results = run(lambda tile: function(self.tile(*tile), *tile), tiles)
        for (rows, columns), tile_result in zip(tiles, tile_results, strict=True):
            yield rows, columns, tile_result

    @staticmethod
    def topk(scores: Any, k: int) -> TopK:
        """Return the k largest scores of each row of a block."""
        return TopK(*select_topk(scores, k))

    @staticmethod
    def topk_set(scores: Any, k: int) -> np.ndarray:
        """Return the columns of the k largest scores of each row of a block, in any order, (b, k)."""
        return np.argpartition(-scores, k - 1, axis=1)[:, :k]

    @staticmethod
    def diagonal(scores: Any, offset: int) -> Any:
        """Return a copy of scores[i, offset + i], (b, 1)."""
        return np.diagonal(scores, offset)[:, None].copy()

    @staticmethod
    def fill_diagonal(scores: Any, offset: int, value: float) -> None:
        """Set scores[i, offset + i] in place."""
        rows = np.arange(len(scores))
        scores[rows, offset + rows] = value

    @staticmethod
    def to_bytes(mask: Any) -> Any:
        """Return a mask as integers of one byte, which can be added."""
        return mask.view(np.int8)

    @staticmethod
    def sums(counts: Any, axis: int) -> np.ndarray:
        """Return int64 sums of small integers along one axis, as a NumPy array."""
        return counts.sum(axis=axis, dtype=np.int64)

    def rank_relevant(
        self, scores: Any, rows: slice, columns: np.ndarray, is_relevant: np.ndarray, slack: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rank the relevant corpus rows of a block of queries, and set their scores in the block to -inf.

        `columns` (n, r) lists corpus rows of each query, and `is_relevant` (n, r) selects those that count. Returns the
        scores of the relevant rows in descending order (b, r), -inf beyond them. Also returns for each the number of
        other rows whose score is at least that score minus `slack` (b, r).
        """
        query, column, mask = np.arange(len(scores))[:, None], columns[rows], is_relevant[rows]
        relevant = -np.sort(-np.where(mask, scores[query, column], -np.inf), axis=1)
        scores[np.broadcast_to(query, column.shape)[mask], column[mask]] = -np.inf
        above = [np.count_nonzero(scores >= (score - slack)[:, None], axis=1) for score in relevant.T]
        return relevant, np.stack(above, axis=1)

    def pair_counter(
        self, thresholds_x: np.ndarray, thresholds_y: np.ndarray, pair_rows: np.ndarray, pair_columns: np.ndarray
    ) -> TileFunction:
        """Return the operation of `count_at_least` on a tile. The pairs are sorted by row."""

        def count(scores: np.ndarray, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
            column_thresholds = thresholds_y[columns]
            counts_x = np.empty(scores.shape[0], dtype=np.int64)
            counts_y = np.zeros(scores.shape[1], dtype=np.int64)
            step = max(STRIP_SCORES // scores.shape[1], 1)
            for start in range(0, scores.shape[0], step):
                strip, first = scores[start : start + step], rows.start + start
                begin, end = np.searchsorted(pair_rows, (first, first + len(strip)))
                matching_columns = pair_columns[begin:end] - columns.start
                is_inside = (matching_columns >= 0) & (matching_columns < strip.shape[1])
                strip[pair_rows[begin:end][is_inside] - first, matching_columns[is_inside]] = -np.inf  # do not count
                row_thresholds = thresholds_x[first : first + len(strip), None]
                counts_x[start : start + step] = count_rows(strip >= row_thresholds)
                counts_y += count_columns(strip >= column_thresholds)
            return counts_x, counts_y

        return count


def select_topk(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest of each row, in descending order, and their columns.

    Columns are folded first. The k largest lie among the columns of the k largest maxima, so that the costly selection
    examines a sixteenth of the scores. In many rows, the k-th largest maximum is a bound, which few scores reach.

    Parameters
    ----------
    scores : (b, m) array
        A block of scores.
    k : int
        Number of columns, at most m.

    Returns
    -------
    tuple of (b, k) arrays
        Scores and columns.
    """
    rows, columns = scores.shape
    k = min(k, columns)
    if rows >= MIN_BOUNDED_ROWS and columns // BOUND_FOLD > 4 * k:
        bounded = _topk_above_bound(scores, k)
        if bounded is not None:
            return bounded
    width = columns // FOLD
    number = np.arange(rows)[:, None]  # indexing with it costs a third of take_along_axis for a single row
    candidates = None
    if width > 4 * k and rows * columns >= MIN_FOLDED_SCORES:
        folded = width * FOLD
        maxima = scores[:, :folded].reshape(rows, FOLD, width).max(axis=1)
        groups = np.argpartition(maxima, width - k, axis=1)[:, width - k :]
        unfolded = (groups[:, :, None] + width * np.arange(FOLD)).reshape(rows, k * FOLD)
        tail = np.broadcast_to(np.arange(folded, columns), (rows, columns - folded))
        candidates = np.concatenate([unfolded, tail], axis=1)
        scores = scores[number, candidates]
    if k < scores.shape[1]:
        selected = np.argpartition(scores, scores.shape[1] - k, axis=1)[:, -k:]
    else:
        selected = np.broadcast_to(np.arange(k), (rows, k))
    values = scores[number, selected]
    order = np.argsort(-values, axis=1, kind="stable")
    selected = selected[number, order]
    topk_columns = selected if candidates is None else candidates[number, selected]
    return values[number, order], topk_columns


def _topk_above_bound(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what `select_topk` returns, or None if many scores are equal or some are NaN."""
    rows, columns = scores.shape
    width = columns // BOUND_FOLD
    maxima = scores[:, : width * BOUND_FOLD].reshape(rows, BOUND_FOLD, width).max(axis=1)
    maxima.partition(width - k, axis=1)
    mask = at_least(scores, maxima[:, width - k], np.empty(scores.shape, dtype=bool))
    positions = true_positions(mask, at_most=MAX_CANDIDATES * k * rows)
    if positions is None:
        return None
    row = positions // columns
    counts = np.bincount(row, minlength=rows)
    if counts.min() < k:
        return None
    place = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
    negative = np.full((rows, int(counts.max())), np.inf, dtype=scores.dtype)
    candidates = np.zeros(negative.shape, dtype=np.int64)
    negative[row, place], candidates[row, place] = -scores.reshape(-1)[positions], positions - row * columns
    order = np.argsort(negative, axis=1, kind="stable")[:, :k]
    number = np.arange(rows)[:, None]
    return -negative[number, order], candidates[number, order]


def block_slices(n_corpus: int, first: int, last: int, block_scores: int) -> list[slice]:
    """Return slices of the queries first .. last - 1 with at most `block_scores` scores each."""
    step = max(1, block_scores // n_corpus)
    return [slice(start, min(start + step, last)) for start in range(first, last, step)]


def even_slices(size: int, max_length: int) -> list[slice]:
    """Return slices of about the same length that cover `size` elements.

    The length is a multiple of 8, which `count_rows` requires, and not of 16. Rows of scores that begin a power of two
    apart share cache sets, and BLAS loses a tenth of its speed writing them.

    Parameters
    ----------
    size : int
        Number of elements.
    max_length : int
        Largest length, a multiple of 8.

    Returns
    -------
    list of slice
        Consecutive slices.
    """
    count = -(-size // max_length)
    step = min(-(-size // (8 * count)) * 8 if count else max_length, max_length)
    if count > 1 and step % 16 == 0 and step + 8 <= max_length:
        step += 8
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]
