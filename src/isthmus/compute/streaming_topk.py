"""The nearest rows of many queries, from tiles of scores that arrive in any order."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from isthmus.compute.elementwise import ordered_bits
from isthmus.compute.masks import at_least, true_positions
from isthmus.compute.score_matrix import TopK, select_topk
from isthmus.compute.workspace import Workspace

#: Fewest groups of columns for each result, whose maxima give the first threshold. More groups pass fewer candidates.
GROUPS = 3
#: Most columns that are folded into one at a time.
MAX_FOLD = 8
#: Candidates for each result and query that are merged at a time.
MERGED = 0.5
#: Largest number in a key of 64 bits.
_LAST_NUMBER = np.int64(0xFFFFFFFF)
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
        workspace = Workspace()
        self._blocks = [_Block(block.stop - block.start, k, dtype, workspace) for block in blocks]

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

    def thresholds(self, scores: np.ndarray, block: int, *, is_transposed: bool = False) -> np.ndarray:
        """Return a score that the k largest ones of each query of the block reach, given a tile of them, (b,)."""
        return self._blocks[block].thresholds(scores, is_transposed)

    def insert(
        self,
        loops: Any,
        scores: np.ndarray,
        cells: np.ndarray,
        thresholds: np.ndarray,
        block: int,
        first: int,
        *,
        is_transposed: bool = False,
    ) -> None:
        """Insert the scores of a tile that reach the thresholds, with compiled loops.

        Parameters
        ----------
        loops : module
            Compiled loops, see `compiled_loops`.
        scores : (n, m) array
            A tile of scores of float32.
        cells : (p,) int64 array
            Cells of the tile, see `find_neighbours` of the loops.
        thresholds : (b,) array
            What `thresholds` returned for this tile.
        block, first : int
            Number of the block of queries, and of the first row of the corpus in the tile.
        is_transposed : bool, default False
            Whether the queries are the columns of the tile.
        """
        self._blocks[block].insert(loops, scores, cells, thresholds, first, is_transposed)

    def result(self) -> TopK:
        """Return the k largest scores of each query in descending order, and their columns."""
        return TopK.concatenate([block.result() for block in self._blocks])


class _Block:
    """The candidates of one block of queries.

    A candidate is one key, see `sorting_keys`. The keys of a tile are stored in the order of the queries, with the
    number of each query, until they are merged.
    """

    def __init__(self, size: int, k: int, dtype: np.dtype, workspace: Workspace):
        self._k = k
        self._size = size
        self._dtype = dtype
        self._keys = np.full((size, k), lowest_key(dtype))
        self._candidates: list[tuple[np.ndarray, np.ndarray]] = []
        self._n_candidates = 0
        #: A score of each query that its k largest ones reach.
        self._thresholds = np.full(size, np.finfo(dtype).min, dtype=dtype)  # -inf is left out
        self._is_empty = True
        self._workspace = workspace
        self._lock = threading.Lock()

    def add(self, scores: np.ndarray, first: int, *, is_transposed: bool) -> None:
        """Add a tile whose columns, or rows if it is transposed, begin with column `first`."""
        thresholds = self.thresholds(scores, is_transposed)
        mask = self._workspace.empty("mask", scores.shape, bool)
        at_least(scores, thresholds, mask, axis=1 if is_transposed else 0)
        # Unless nearly all scores are ties, few of them are larger.
        positions = true_positions(mask, at_most=MAX_CANDIDATES * self._k * self._size)
        if positions is not None:
            columns_per_row = scores.shape[1]
            # They ascend, so that two searches for the ends of the rows cost less than a division of each.
            counts = np.diff(np.searchsorted(positions, np.arange(len(scores) + 1) * columns_per_row))
            rows = np.repeat(np.arange(len(scores)), counts)
            columns = positions - rows * columns_per_row
            values = scores.reshape(-1)[positions]
            if is_transposed:
                order = np.argsort(columns.astype(np.uint16), kind="stable")  # a radix sort: a block has few queries
                counts, columns, values = np.bincount(columns, minlength=self._size), rows[order], values[order]
        else:
            values, columns = select_topk(np.ascontiguousarray(scores.T) if is_transposed else scores, self._k)
            counts = np.full(self._size, values.shape[1])
        self._add_candidates(counts, sorting_keys(values.reshape(-1), columns.reshape(-1) + first), thresholds)

    def thresholds(self, scores: np.ndarray, is_transposed: bool) -> np.ndarray:
        """Return the thresholds so far, or those of a first tile."""
        if self._is_empty:
            return np.maximum(self._thresholds, self._first_thresholds(scores, is_transposed))
        return self._thresholds

    def insert(
        self, loops: Any, scores: np.ndarray, cells: np.ndarray, thresholds: np.ndarray, first: int, columns: bool
    ) -> None:
        """Insert the scores in these cells into the keys. If `columns`, the queries are the columns."""
        with self._lock:
            self._keep_first(thresholds)
            loops.insert_keys(scores, cells, columns, first, self._keys, self._thresholds)

    def _keep_first(self, thresholds: np.ndarray) -> None:
        """Keep the thresholds of the first tile."""
        if self._is_empty:
            self._thresholds, self._is_empty = np.maximum(self._thresholds, thresholds), False

    def _first_thresholds(self, scores: np.ndarray, is_transposed: bool) -> np.ndarray:
        """Return a score of each query that at least k scores reach: the k-th largest maximum of groups of columns."""
        maxima = scores.T if is_transposed else scores
        while maxima.shape[1] >= 2 * GROUPS * self._k:
            fold = min(maxima.shape[1] // (GROUPS * self._k), MAX_FOLD)
            width = maxima.shape[1] // fold
            folded = np.maximum(maxima[:, :width], maxima[:, width : 2 * width])
            for number in range(2, fold):
                np.maximum(folded, maxima[:, number * width : (number + 1) * width], out=folded)
            maxima = folded
        maxima = np.sort(np.ascontiguousarray(maxima), axis=1)  # a few values: faster than a partition
        return maxima[:, -self._k if maxima.shape[1] >= self._k else 0].copy()

    def _add_candidates(self, counts: np.ndarray, keys: np.ndarray, thresholds: np.ndarray) -> None:
        """Add the keys of a tile, given how many each query has and the thresholds that they reach."""
        with self._lock:
            self._candidates.append((counts, keys))
            self._n_candidates += len(keys)
            self._keep_first(thresholds)
            if self._n_candidates >= MERGED * self._k * self._size:
                self._merge()

    def _merge(self) -> None:
        """Merge the candidates: each query has a row of keys, which is filled up with the lowest one."""
        ends = np.full(self._size, self._k)
        width = self._k + int(np.sum([counts for counts, _ in self._candidates], axis=0).max())
        table = np.full((self._size, width), lowest_key(self._dtype))
        table[:, : self._k] = self._keys
        for counts, keys in self._candidates:
            first = np.arange(self._size) * width + ends - (np.cumsum(counts) - counts)
            table.reshape(-1)[np.repeat(first, counts) + np.arange(len(keys))] = keys
            ends += counts
        table.sort(axis=1)
        self._keys = table[:, : -self._k - 1 : -1].copy()
        self._candidates, self._n_candidates = [], 0
        last, _ = scores_of_keys(self._keys[:, -1], self._dtype)
        self._thresholds = np.fmax(self._thresholds, last)

    def result(self) -> TopK:
        """Return the k largest scores."""
        if self._candidates:
            self._merge()
        scores, index = scores_of_keys(self._keys, self._dtype)
        is_empty = self._keys == lowest_key(self._dtype)
        return TopK(np.where(is_empty, scores.dtype.type(-np.inf), scores), np.where(is_empty, 0, index))


def sorting_keys(scores: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return keys that ascend with the scores, and of equal scores with descending numbers.

    A score of float32 is the upper half of an integer, and its number the lower half. Such keys are sorted several
    times as fast as pairs. Complex numbers hold those of float64.

    Parameters
    ----------
    scores : (n,) array of float32 or float64
        Scores.
    index : (n,) int array
        Their numbers, less than 2^32.

    Returns
    -------
    (n,) array
        Keys.

    Examples
    --------
    >>> scores = np.array([1.0, -2.0, 1.0], dtype=np.float32)
    >>> np.argsort(sorting_keys(scores, np.array([0, 1, 2]))).tolist()
    [1, 2, 0]
    """
    if scores.dtype != np.float32:
        keys = np.empty(scores.shape, dtype=np.complex128)
        keys.real, keys.imag = scores + 0.0, -index  # -0 becomes 0
        return keys
    ordered = ordered_bits((scores + np.float32(0)).view(np.int32)).astype(np.int64)
    ordered <<= 32
    ordered += _LAST_NUMBER - index
    return ordered


def scores_of_keys(keys: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores and the numbers of keys.

    Parameters
    ----------
    keys : array
        What `sorting_keys` returned.
    dtype : numpy.dtype
        Type of the scores.

    Returns
    -------
    tuple of array
        Scores and numbers.

    Examples
    --------
    >>> scores_of_keys(sorting_keys(np.array([0.5]), np.array([7])), np.dtype(float))
    (array([0.5]), array([7]))
    """
    if dtype != np.float32:
        return keys.real.copy(), -keys.imag.astype(np.int64)
    scores = ordered_bits((keys >> 32).astype(np.int32)).view(np.float32)
    return scores, _LAST_NUMBER - (keys & _LAST_NUMBER)


def lowest_key(dtype: np.dtype) -> Any:
    """Return a key below all others.

    >>> bool(lowest_key(np.dtype(float)) < sorting_keys(np.array([-1e300]), np.array([0]))[0])
    True
    """
    if dtype != np.float32:
        return np.complex128(complex(-np.inf, 0))
    return np.int64(np.iinfo(np.int64).min)
