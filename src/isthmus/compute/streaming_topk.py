"""The nearest rows of many queries, from tiles of scores that arrive in any order."""

from __future__ import annotations

import threading

import numpy as np

from isthmus.compute.score_matrix import TopK, select_topk

#: Groups of columns for each result, whose maxima give the first threshold. More groups pass fewer candidates.
GROUPS = 3
#: More candidates than this multiple of k per query of a tile are selected from full rows: nearly all scores are ties.
MAX_CANDIDATES = 8


class StreamingTopK:
    """Collect the k largest scores of each query from tiles of the score matrix.

    Most tiles hold few scores above the k-th largest one so far. Only these become candidates, and they are merged when
    there are as many as results. Equal scores are ordered by their column. The result therefore does not depend on the
    order of the tiles.

    Parameters
    ----------
    blocks : list of slice
        Slices of the queries that a tile covers.
    k : int
        Number of scores that are kept, at most the number of columns.
    dtype : numpy.dtype
        Precision of the scores.

    Examples
    --------
    >>> nearest = StreamingTopK([slice(0, 1)], 1, np.dtype(float))
    >>> nearest.add(np.array([[1.0, 3.0]]), 0, slice(0, 2))
    >>> nearest.add(np.array([[2.0, 3.0]]), 0, slice(2, 4))
    >>> nearest.result().index.tolist()
    [[1]]
    """

    def __init__(self, blocks: list[slice], k: int, dtype: np.dtype):
        self._blocks = [_Block(block.stop - block.start, k, dtype) for block in blocks]

    def add(self, scores: np.ndarray, block: int, columns: slice) -> None:
        """Add a tile of scores: rows are the queries of the block with this number.

        Parameters
        ----------
        scores : (b, c) array
            Scores, C-ordered. A score of -inf is left out.
        block : int
            Number of the block of queries.
        columns : slice
            Columns of the score matrix that the tile covers.
        """
        self._blocks[block].add(scores, columns.start, is_transposed=False)

    def add_transposed(self, scores: np.ndarray, block: int, columns: slice) -> None:
        """Add a tile of scores whose columns are the queries of the block, and whose rows are `columns`.

        Parameters
        ----------
        scores : (c, b) array
            Scores, C-ordered. A score of -inf is left out.
        block : int
            Number of the block of queries.
        columns : slice
            Columns of the score matrix that the rows of the tile are.
        """
        self._blocks[block].add(scores, columns.start, is_transposed=True)

    def result(self) -> TopK:
        """Return the k largest scores of each query in descending order, and their columns."""
        return TopK.concatenate([block.result() for block in self._blocks])


class _Block:
    """The candidates of one block of queries."""

    def __init__(self, size: int, k: int, dtype: np.dtype):
        self._k = k
        self._size = size
        self._scores = np.full((size, k), -np.inf, dtype=dtype)
        self._index = np.zeros((size, k), dtype=np.int64)
        self._candidates: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._n_candidates = 0
        self._is_sorted = True  # by query
        self._is_empty = True
        self._lock = threading.Lock()

    def add(self, scores: np.ndarray, first: int, *, is_transposed: bool) -> None:
        """Add a tile whose columns, or rows if it is transposed, begin with column `first`."""
        thresholds = self._first_thresholds(scores, is_transposed) if self._is_empty else self._scores[:, -1]
        mask = scores >= (thresholds if is_transposed else thresholds[:, None])
        # Unless nearly all scores are ties, few of them are larger.
        if np.count_nonzero(mask) <= MAX_CANDIDATES * self._k * self._size:
            self._add_candidates(scores, mask, first, is_transposed=is_transposed)
            return
        tile_scores, tile_columns = select_topk(np.ascontiguousarray(scores.T) if is_transposed else scores, self._k)
        with self._lock:
            self._merge(tile_scores, tile_columns + first)

    def _first_thresholds(self, scores: np.ndarray, is_transposed: bool) -> np.ndarray:
        """Return a score of each query that at least k scores reach: the k-th largest maximum of groups of columns."""
        axis = 0 if is_transposed else 1
        n_columns = scores.shape[axis]
        n_groups = min(GROUPS * self._k, n_columns)
        maxima = np.maximum.reduceat(scores, np.arange(n_groups) * n_columns // n_groups, axis=axis)
        maxima = np.ascontiguousarray(maxima.T) if is_transposed else maxima
        column = max(n_groups - self._k, 0)
        maxima.partition(column, axis=1)
        return maxima[:, column].copy()

    def _add_candidates(self, scores: np.ndarray, mask: np.ndarray, first: int, *, is_transposed: bool) -> None:
        n_rows, n_columns = scores.shape
        positions = np.flatnonzero(mask)
        # They ascend, so that two searches for the ends of the rows cost less than a division of each.
        counts = np.diff(np.searchsorted(positions, np.arange(n_rows + 1) * n_columns))
        rows = np.repeat(np.arange(n_rows), counts)
        columns = positions - rows * n_columns
        queries, corpus_rows = (columns, rows) if is_transposed else (rows, columns)
        values = scores.reshape(-1)[positions]
        with self._lock:
            self._candidates.append((queries, corpus_rows + first, values))
            self._is_sorted = not is_transposed and len(self._candidates) == 1
            self._n_candidates += len(queries)
            if self._n_candidates >= self._k * self._size:
                self._merge_candidates()

    def _merge_candidates(self) -> None:
        """Merge the candidates: each query has a row of them, which is filled up with -inf."""
        queries, columns, values = (np.concatenate(arrays) for arrays in zip(*self._candidates, strict=True))
        self._candidates, self._n_candidates = [], 0
        if not self._is_sorted:
            order = np.argsort(queries.astype(np.uint16), kind="stable")  # a radix sort: a block has few queries
            queries, columns, values = queries[order], columns[order], values[order]
        counts = np.bincount(queries, minlength=self._size)
        width = int(counts.max(initial=0))
        positions = queries * width + np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
        scores = np.full((self._size, width), -np.inf, dtype=self._scores.dtype)
        index = np.zeros((self._size, width), dtype=np.int64)
        scores.reshape(-1)[positions], index.reshape(-1)[positions] = values, columns
        self._merge(scores, index)

    def _merge(self, scores: np.ndarray, index: np.ndarray) -> None:
        self._scores, self._index = largest(
            np.concatenate([self._scores, scores], axis=1), np.concatenate([self._index, index], axis=1), self._k
        )
        self._is_empty = False

    def result(self) -> TopK:
        """Return the k largest scores."""
        if self._candidates:
            self._merge_candidates()
        return TopK(self._scores, self._index)


def largest(scores: np.ndarray, index: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest scores of each row in descending order, and their numbers. Equal scores keep their order.

    Parameters
    ----------
    scores : (n, m) array
        Scores.
    index : (n, m) int array
        Their numbers, less than 2^32.
    k : int
        How many are returned, at most m.

    Returns
    -------
    tuple of (n, k) arrays
        Scores and numbers. Of equal scores the smaller number comes first.

    Examples
    --------
    >>> [array.tolist() for array in largest(np.array([[1.0, 2.0, 2.0]]), np.array([[0, 7, 4]]), 2)]
    [[[2.0, 2.0]], [[4, 7]]]
    """
    if scores.dtype != np.float32:
        order = np.lexsort((index, -scores), axis=1)[:, :k]
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(index, order, axis=1)
    # One key holds the score in its upper half and the number in its lower half. Keys are sorted much faster.
    patterns = (scores + np.float32(0)).view(np.uint32)  # -0 becomes 0
    sortable = np.where(patterns >> 31, ~patterns, patterns | np.uint32(0x80000000))
    keys = sortable.astype(np.uint64) << np.uint64(32)
    keys |= np.uint64(0xFFFFFFFF) - index.astype(np.uint64)
    keys.sort(axis=1)
    keys = keys[:, : -k - 1 : -1]
    sortable = (keys >> np.uint64(32)).astype(np.uint32)
    patterns = np.where(sortable >> 31, sortable & np.uint32(0x7FFFFFFF), ~sortable)
    return patterns.view(np.float32), (np.uint64(0xFFFFFFFF) - (keys & np.uint64(0xFFFFFFFF))).astype(np.int64)
