"""The largest scores of each row and of each column of a matrix that is seen tile by tile."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from isthmus.compute.masks import at_least, true_positions
from isthmus.compute.score_matrix import FOLD
from isthmus.compute.workspace import Workspace

#: Fewer scores for each query than this many times k are selected without a bound.
MIN_FOLDED_WIDTH = 4


class RunningTop:
    """The k largest scores of each query, which tiles of scores are added to.

    A score below the k-th largest one so far changes nothing. So a tile costs one comparison, and the few scores that
    pass are merged. Several threads may add tiles, because the order of the tiles does not matter.

    Parameters
    ----------
    n_queries, k : int
        Numbers of queries and of scores.
    dtype : np.dtype
        Type of the scores.
    loops : module, optional
        Compiled loops, see `compiled_loops`.

    Attributes
    ----------
    values : (n_queries, k) array
        The largest scores in descending order, -inf where there are fewer.

    Examples
    --------
    >>> top = RunningTop(2, 2, np.float64)
    >>> top.add(np.array([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]]), slice(0, 2))
    >>> top.values.tolist()
    [[3.0, 2.0], [5.0, 4.0]]
    >>> top.add(np.array([[9.0, 0.0]]), columns=slice(0, 2))
    >>> top.values.tolist()
    [[9.0, 3.0], [5.0, 4.0]]
    """

    def __init__(self, n_queries: int, k: int, dtype: np.dtype | type, loops: Any = None):
        self.values = np.full((n_queries, k), -np.inf, dtype=dtype)
        self._lock = threading.Lock()
        self._workspace = Workspace()
        self._loops = loops

    def add(self, scores: np.ndarray, rows: slice | None = None, columns: slice | None = None) -> None:
        """Add a tile of scores of consecutive queries.

        Parameters
        ----------
        scores : (b, m) array
            Scores, C-ordered.
        rows, columns : slice, optional
            The queries that its rows are, and those that its columns are.
        """
        if not scores.size:
            return
        queries = {axis: numbers for axis, numbers in enumerate((rows, columns)) if numbers is not None}
        bounds = {axis: self._bounds(scores, numbers, axis) for axis, numbers in queries.items()}
        if self._loops is not None:
            self._insert(scores, bounds, queries)
            return
        mask = self._workspace.empty("mask", scores.shape, bool)
        for axis, numbers in queries.items():
            flat = true_positions(at_least(scores, bounds[axis], mask, axis=axis, strict=True))
            if flat is None or not len(flat):
                continue
            passing, query = scores.ravel()[flat], flat // scores.shape[1]
            if axis:
                query = flat - query * scores.shape[1]
                order = np.argsort(query, kind="stable")
                query, passing = query[order], passing[order]
            with self._lock:
                self._merge(query, passing, self.values[numbers])

    def _bounds(self, scores: np.ndarray, queries: slice, axis: int) -> np.ndarray:
        """Return a number for each query that its scores must exceed to be among the largest."""
        bounds = self.values[queries, -1].copy()  # loops read consecutive numbers faster
        if np.isneginf(bounds).any():
            bounds = np.maximum(bounds, self._lower_bound(scores, axis))
        return bounds

    def _insert(self, scores: np.ndarray, bounds: dict[int, np.ndarray], queries: dict[int, slice]) -> None:
        """Insert the scores above the bounds of their queries, one after the other."""
        memory = self._workspace.empty("memory", (1, scores.shape[1] // 8 + 1), np.uint64)[0]
        cells = self._workspace.empty("cells", (2, scores.size), np.int64)
        limits = [bounds.get(axis, np.full(scores.shape[axis], np.inf, scores.dtype)) for axis in (0, 1)]
        counts = self._loops.cells_above(scores, *limits, memory, *cells)
        with self._lock:
            for axis, numbers in queries.items():
                self._loops.insert_values(scores, cells[axis, : counts[axis]], axis, self.values[numbers])

    def _lower_bound(self, scores: np.ndarray, axis: int) -> np.ndarray:
        """Return a number for each query that is below its k-th largest score of the tile.

        It is just below the k-th largest maximum of groups of scores.
        """
        width, k = scores.shape[1 - axis], self.values.shape[1]
        fold = min(FOLD, width // (MIN_FOLDED_WIDTH * k))
        if fold < 2:
            return np.full(scores.shape[axis], -np.inf, dtype=scores.dtype)
        groups = width // fold
        if axis == 0:
            maxima = scores[:, : fold * groups].reshape(len(scores), fold, groups).max(axis=1)
        else:
            maxima = scores[: fold * groups].reshape(fold, groups, scores.shape[1]).max(axis=0).T.copy()
        maxima.partition(groups - k, axis=1)
        return np.nextafter(maxima[:, groups - k], -np.inf, dtype=scores.dtype)

    @staticmethod
    def _merge(query: np.ndarray, passing: np.ndarray, values: np.ndarray) -> None:
        """Merge scores (p,) of ascending queries (p,) into the largest ones (n, k)."""
        counts = np.bincount(query, minlength=len(values))
        changed = np.flatnonzero(counts)
        ends = np.cumsum(counts)
        k = values.shape[1]
        table = np.full((len(changed), k + int(counts.max())), np.inf, dtype=values.dtype)
        table[:, :k] = -values[changed]
        row = np.repeat(np.arange(len(changed)), counts[changed])
        table[row, k + np.arange(len(query)) - (ends - counts)[query]] = -passing
        table.sort(axis=1)
        values[changed] = -table[:, :k]
