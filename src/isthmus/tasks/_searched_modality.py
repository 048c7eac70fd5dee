"""The rows of one modality in a joint search: the terms of their scores, and what is counted and collected."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from isthmus.compute.masks import count_columns, count_rows
from isthmus.compute.running_top import RunningTop
from isthmus.compute.score_matrix import even_slices
from isthmus.tasks._mixed_corpus import TOP, QueryResults, SearchedScores


class Terms(NamedTuple):
    """Scores of the queries of one modality against the stored rows of one: product / scale + stored + query.

    Attributes
    ----------
    scale : divisor of the inner products
    stored : (n,) term of each stored row, or None for zero
    query : (m,) term of each query, or None for zero
    """

    scale: float = 1.0
    stored: np.ndarray | None = None
    query: np.ndarray | None = None

    def ordered(self, query_order: np.ndarray, stored_order: np.ndarray) -> Terms:
        """Return the terms of rows in another order."""
        stored = None if self.stored is None else self.stored[stored_order]
        return Terms(self.scale, stored, None if self.query is None else self.query[query_order])

    def columns(self, dtype: np.dtype) -> np.ndarray | None:
        """Return what is added to the products of each stored row before they are compared, or None."""
        return None if self.stored is None else (self.scale * self.stored).astype(dtype)

    def scores(self, values: np.ndarray, query: Any, stored: Any = None) -> np.ndarray:
        """Return scores of compared values of some queries, or of products, if the stored rows are given."""
        scores: np.ndarray = values / self.scale if self.scale != 1 else values
        if self.stored is not None and stored is not None:
            scores = scores + self.stored[stored]
        if self.query is not None:
            scores = scores + self.query[query].reshape(-1, *(1,) * (scores.ndim - 1))
        return scores

    def bounds(self, scores: np.ndarray) -> np.ndarray:
        """Return the compared values (m, r) that have these scores (m, r)."""
        return self.scale * (scores if self.query is None else scores - self.query[:, None])


class Bounds(NamedTuple):
    """Bounds that compared values of queries reach.

    Attributes
    ----------
    exact : (n, r)
    low, high : (n, r), values of lower precision below `low` do not reach the bound, and those from `high` on do
    """

    exact: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, exact: np.ndarray, error: float, dtype: np.dtype) -> Bounds:
        """Return bounds for values of a precision with this largest error."""
        return cls(exact, (exact - error).astype(dtype), (exact + error).astype(dtype))


@dataclass
class SearchedModality:
    """The rows of one modality in the order of the pass, as queries and as stored rows.

    Attributes
    ----------
    rows : (n, d), rows that are multiplied
    exact : (n, d), the same rows in the precision of the scores
    order : (n,), number of each row before the pass
    spans : the consecutive rows of each half of the items
    terms : terms of its queries against stored rows of its own and of the other modality
    relevant : (n, r), scores of the matching rows in descending order, -inf beyond them
    best : (n,), largest score of a match of retrieval, -inf without one
    """

    rows: np.ndarray
    exact: np.ndarray
    order: np.ndarray
    spans: tuple[slice, ...]
    terms: dict[str, Terms] = field(default_factory=dict)
    relevant: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    best: np.ndarray = field(default_factory=lambda: np.empty(0))

    @classmethod
    def of(
        cls, rows: np.ndarray, items: np.ndarray, half: np.ndarray, n_relevant: np.ndarray, dtype: np.dtype | type
    ) -> SearchedModality:
        """Sort the rows by half, by the number of relevant rows of their item, most first, and by item.

        Rows are multiplied in this precision.
        """
        order = np.lexsort((items, -n_relevant[items], half[items]))
        counts = np.bincount(half[items], minlength=3)
        ends = np.cumsum(counts)
        spans = tuple(slice(int(end - count), int(end)) for count, end in zip(counts, ends, strict=True))
        exact = np.ascontiguousarray(rows[order])
        return cls(exact.astype(dtype, copy=False), exact, order, spans)

    def prepare(self, opposite: SearchedModality, slack: float, largest: float) -> None:
        """Prepare the bounds, from the difference that still ties and the largest inner product."""
        n, dtype = len(self.rows), self.rows.dtype
        self.lock = threading.Lock()
        self.stored = {"own": self.exact, "other": opposite.exact}
        self.columns = {name: terms.columns(self.exact.dtype) for name, terms in self.terms.items()}
        self.added = {
            name: None if columns is None else columns.astype(dtype) for name, columns in self.columns.items()
        }
        scores = np.where(np.isneginf(self.relevant), np.inf, self.relevant - slack)
        best = np.where(np.isneginf(self.best), np.inf, self.best - slack)[:, None]
        self.errors = errors = {
            name: 0.0 if self.is_exact else _error(self.rows, largest, columns)
            for name, columns in self.columns.items()
        }
        self.bounds = {
            name: Bounds.of(terms.bounds(scores).astype(self.exact.dtype), errors[name], dtype)
            for name, terms in self.terms.items()
        }
        self.best_bounds = Bounds.of(self.terms["other"].bounds(best).astype(self.exact.dtype), errors["other"], dtype)
        self.shares_bound = bool(np.array_equal(self.best_bounds.exact[:, 0], self.bounds["other"].exact[:, 0]))
        self.above_best, self.above_other = np.zeros((2, n), dtype=np.int64)
        self.above = np.zeros(self.relevant.shape, dtype=np.int64)
        self.n_missing = np.isneginf(self.relevant).sum(axis=1)
        self.top = {name: RunningTop(n, TOP, dtype) for name in self.terms}

    @property
    def is_exact(self) -> bool:
        """Return whether rows are multiplied in the precision of the scores."""
        return bool(self.rows.dtype == self.exact.dtype)

    def look(self, scores: np.ndarray, queries: slice, stored: slice, kind: str, *, axis: int, searched: bool) -> None:
        """Count and collect the scores of a tile for the queries along one axis.

        `searched` says whether the tile is part of a mixed corpus. All tiles between the modalities are part of the
        corpus of retrieval.
        """
        counted = None
        if kind == "other":
            counted = self._count(scores, queries, stored, kind, axis, self.best_bounds, 0)
            with self.lock:
                self.above_best[queries] += counted
        if not searched:
            return
        self.top[kind].add(scores, **{"columns" if axis else "rows": queries})
        most = self.relevant.shape[1]
        for number in range(most):
            if counted is None or number or not self.shares_bound:
                if number:  # the first queries have the most relevant rows
                    n_asking = int(np.searchsorted(self.n_missing[queries], most - number))
                    if not n_asking:
                        break
                    queries = slice(queries.start, queries.start + n_asking)
                    scores = scores[:n_asking] if axis == 0 else scores[:, :n_asking]
                counted = self._count(scores, queries, stored, kind, axis, self.bounds[kind], number)
            with self.lock:
                self.above[queries, number] += counted
                if kind == "other" and number == 0:
                    self.above_other[queries] += counted

    def _count(
        self, scores: np.ndarray, queries: slice, stored: slice, kind: str, axis: int, bounds: Bounds, number: int
    ) -> np.ndarray:
        """Return how many scores of each query reach a bound. Those near it are computed again if need be."""
        count = count_rows if axis == 0 else count_columns
        low, high = (
            bound[queries, number, None] if axis == 0 else bound[queries, number] for bound in (bounds.low, bounds.high)
        )
        counts = count(scores >= high)
        if self.is_exact:
            return counts
        reaches_low = scores >= low
        if np.array_equal(count(reaches_low), counts):
            return counts
        flat = np.flatnonzero((reaches_low & (scores < high)).ravel())
        query, column = flat // scores.shape[1], flat % scores.shape[1]
        if axis:
            query, column = column, query
        values = np.einsum("ij,ij->i", self.exact[queries.start + query], self.stored[kind][stored.start + column])
        columns = self.columns[kind]
        if columns is not None:
            values += columns[stored.start + column]
        reaching = query[values >= bounds.exact[queries.start + query, number]]
        return counts + np.bincount(reaching, minlength=len(counts))

    def add_best(self, queries: np.ndarray, stored: np.ndarray, products: np.ndarray) -> None:
        """Count single scores in retrieval, from exact inner products."""
        columns = self.columns["other"]
        values = products if columns is None else products + columns[stored]
        with self.lock:
            np.add.at(self.above_best, queries, values >= self.best_bounds.exact[queries, 0])

    def results(self, corpora: list[tuple[slice, dict[str, int]]], slack: float) -> QueryResults:
        """Return the results of mixed search in the order before the pass."""
        results = QueryResults.empty(len(self.rows))
        for queries, stored in corpora:
            numbers = self.order[queries]
            if not len(numbers):
                continue
            relevant = self.relevant[queries]
            relevant = relevant[:, : max(int(np.isfinite(relevant).any(axis=0).sum()), 1)]
            largest = {name: self.terms[name].scores(top.values[queries], queries) for name, top in self.top.items()}
            searched = SearchedScores(
                relevant,
                self.above[queries, : relevant.shape[1]],
                largest["own"],
                largest["other"],
                self.above_other[queries] == 0,
            )
            for target, values in zip(results, searched.results(stored["own"], stored["other"], slack), strict=True):
                target[numbers] = values
        return results


def _error(rows: np.ndarray, largest: float, columns: np.ndarray | None) -> float:
    """Return a bound of the errors of compared values, whose sums of d rounded products spread like a random walk."""
    width = 4 * rows.shape[1] ** 0.5 + 16
    offset = 0.0 if columns is None else float(np.abs(columns).max(initial=0.0))
    return float(np.finfo(rows.dtype).eps) * (width * largest + 4 * offset)


def pairs_of_tile(
    rows: np.ndarray, columns: np.ndarray, tile_rows: slice, tile_columns: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows and columns of the pairs in a tile, counted from its first ones, and the numbers of the pairs.

    `rows` (p,) ascend.
    """
    begin, end = np.searchsorted(rows, (tile_rows.start, tile_rows.stop))
    columns = columns[begin:end]
    inside = np.flatnonzero((columns >= tile_columns.start) & (columns < tile_columns.stop))
    return rows[begin:end][inside] - tile_rows.start, columns[inside] - tile_columns.start, begin + inside


def products_of_pairs(x: np.ndarray, y: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return x[rows[p]] . y[columns[p]] for every pair p."""
    blocks = even_slices(len(rows), 2048)
    products = [np.einsum("ij,ij->i", x[rows[block]], y[columns[block]]) for block in blocks]
    return np.concatenate(products) if products else np.empty(0, dtype=x.dtype)


def ragged(values: np.ndarray, rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Return the values (p,) of each row in descending order, (n_rows, most), -inf beyond them."""
    order = np.lexsort((-values, rows))
    counts = np.bincount(rows, minlength=n_rows)
    table = np.full((n_rows, max(int(counts.max(initial=0)), 1)), -np.inf, dtype=values.dtype)
    column = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows[order]]
    table[rows[order], column] = values[order]
    return table
