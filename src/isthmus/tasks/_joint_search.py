"""Retrieval and mixed search from one pass over the scores, for callers that run both tasks on the same rows.

Both corpora of mixed search hold the rows of one half of the items as x and those of the other half as y. Every score
that they need between the modalities is one that retrieval needs too, and a score within a modality serves both of its
rows. So half of the products of the separate searches suffice.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from isthmus.compute.resources import current
from isthmus.compute.score_matrix import even_slices
from isthmus.compute.score_sweep import Workspace
from isthmus.compute.topk import tile_map
from isthmus.tasks._base import TaskData
from isthmus.tasks._mixed_corpus import QueryResults, stored_items
from isthmus.tasks._searched_modality import SearchedModality, Terms
from isthmus.tasks.ranks import TIE, max_norm

#: Tasks that one pass serves.
JOINT_TASKS = frozenset({"retrieval", "mixed_search"})
#: Rows and columns of a tile: 5 MB of float32, which stay in the cache while they are counted.
TILE_SHAPE = (1000, 1256)
#: From this number of scores on, rows of float64 are multiplied in float32, and scores near a bound are repaired.
SCREENED_SCORES = 2**20
#: Length of the difference of two rows up to which products of one stand for those of the other, before the repair.
SAME_ROWS = 1e-6
#: More matching rows of one query are searched apart.
MAX_RELEVANT = 32
#: Halves of the items that are stored as x in one of both corpora, and items without a row of y, stored as x in both.
FIRST, SECOND, ALWAYS = range(3)


class JointResults(NamedTuple):
    """Results of both tasks.

    Attributes
    ----------
    ranks_x, ranks_y : ranks of retrieval, as those of `isthmus.tasks.ranks.matching_ranks`
    mixed : results of mixed search by modality of the query, for the rows of x and the distinct rows of y
    """

    ranks_x: np.ndarray
    ranks_y: np.ndarray
    mixed: dict[str, QueryResults]


def joint_results(data: TaskData) -> JointResults | None:
    """Return the results of retrieval and mixed search, computed once, or None if the tasks have to search apart.

    Parameters
    ----------
    data : TaskData
        Rows whose `tasks` say which tasks run on them.

    Returns
    -------
    JointResults or None
        None if not both tasks run, on a device, for a correction without terms, and for items whose rows are not those
        of their matches.
    """
    if "joint" not in data.shared:
        search_together([data])
    results: JointResults | None = data.shared["joint"]
    return results


def search_together(inputs: Sequence[TaskData]) -> None:
    """Search rows, and the same rows with score corrections, with the same products where that is possible.

    Parameters
    ----------
    inputs : sequence of TaskData
        The rows, and the same rows with corrections. Their `joint_results` are computed.
    """
    passes = [_prepared(data) if data.tasks >= JOINT_TASKS else None for data in inputs]
    first = passes[0]
    if first is not None:
        first.followers = [single for single in passes[1:] if single is not None and single.can_follow(first)]
    for data, single in zip(inputs, passes, strict=True):
        if single is not None and (first is None or single not in first.followers):
            single.run()
        data.shared["joint"] = None if single is None else single.results()


def _prepared(data: TaskData) -> _Pass | None:
    """Return the pass over the scores of rows, or None if one pass does not serve both tasks."""
    matches, correction = data.matches, data.correction
    if current().devices or (correction is not None and not hasattr(correction, "score_terms")):
        return None
    x_items, y_items = matches.items_to_search
    n_items = int(x_items.max(initial=-1)) + 1
    columns = np.arange(len(matches.owner)) if matches.columns is None else matches.columns
    relevant = _pairs_of_items(x_items, y_items)
    if n_items < 2 or relevant is None or not np.array_equal(x_items[matches.owner], y_items[columns]):
        return None
    x, y = np.asarray(data.x), np.asarray(data.y)[matches.y_rows]
    dtype = np.float64 if correction is not None or np.result_type(x, y).itemsize > 4 else np.float32
    x, y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
    terms: Mapping[tuple[str, str], tuple[float, np.ndarray, np.ndarray]] = {}
    if correction is not None:
        (x, y), terms = correction.score_terms(x, y)
    half = np.where(stored_items(n_items, 0.5, data.seed), FIRST, SECOND)
    half[np.bincount(y_items, minlength=n_items) == 0] = ALWAYS
    precision = np.float32 if len(x) * len(y) >= SCREENED_SCORES else x.dtype
    modalities = {
        name: SearchedModality.of(rows, items, half, precision)
        for name, rows, items in (("x", x, x_items), ("y", y, y_items))
    }
    for query, stored in ((a, b) for a in "xy" for b in "xy"):
        score_terms = Terms(*terms[query, stored]) if terms else Terms()
        kind = "own" if query == stored else "other"
        modalities[query].terms[kind] = score_terms.ordered(modalities[query].order, modalities[stored].order)
    numbers = {name: _inverse(modality.order) for name, modality in modalities.items()}
    pairs = numbers["x"][relevant[0]], numbers["y"][relevant[1]]
    matching = numbers["x"][matches.owner], numbers["y"][columns]
    return _Pass(modalities, pairs, matching, same_pairs=matches.columns is None)


def _pairs_of_items(x_items: np.ndarray, y_items: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the rows of x and of y of every pair of one item, or None if an item has very many."""
    counts = np.bincount(x_items)
    n_relevant = np.bincount(y_items, minlength=len(counts))
    if max(int(counts[n_relevant > 0].max(initial=0)), int(n_relevant.max(initial=0))) > MAX_RELEVANT:
        return None
    by_item = np.argsort(x_items, kind="stable")
    begins, repeats = (np.cumsum(counts) - counts)[y_items], counts[y_items]
    rows_y = np.repeat(np.arange(len(y_items)), repeats)
    column = np.arange(len(rows_y)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return by_item[np.repeat(begins, repeats) + column], rows_y


def _inverse(order: np.ndarray) -> np.ndarray:
    """Return the place of each number in an order."""
    numbers = np.empty_like(order)
    numbers[order] = np.arange(len(order))
    return numbers


class _Pass:
    """One pass over the tiles of scores.

    Parameters
    ----------
    modalities : dict of str to SearchedModality
        Rows of both modalities.
    pairs : tuple of (p,) arrays
        Rows of x and of y of one item.
    matching : tuple of (m,) arrays
        Rows of x and of y that match. They are among the pairs.
    same_pairs : bool
        Whether all pairs match.
    """

    def __init__(
        self,
        modalities: dict[str, SearchedModality],
        pairs: tuple[np.ndarray, ...],
        matching: tuple[np.ndarray, ...],
        same_pairs: bool,
    ):
        self.x, self.y = modalities["x"], modalities["y"]
        order = np.argsort(pairs[0], kind="stable")
        self.rows, self.columns = pairs[0][order], pairs[1][order]
        keys = [rows * len(self.y.rows) + columns for rows, columns in ((self.rows, self.columns), matching)]
        self.unmatched = np.zeros(len(self.rows), dtype=bool) if same_pairs else ~np.isin(*keys)
        self.products = products = _products(self.x.exact, self.y.exact, self.rows, self.columns)
        largest = max_norm(self.x.exact) * max_norm(self.y.exact)
        for modality, rows, columns in ((self.x, self.rows, self.columns), (self.y, self.columns, self.rows)):
            terms = modality.terms["other"]
            scores = terms.scores(products, rows, columns)
            modality.relevant = _ragged(scores, rows, len(modality.rows))
            modality.best = np.full(len(modality.rows), -np.inf, dtype=scores.dtype)
            np.maximum.at(modality.best, rows[~self.unmatched], scores[~self.unmatched])
        sizes = [
            largest / terms.scale + sum(float(np.abs(t).max(initial=0)) for t in terms[1:] if t is not None)
            for modality in (self.x, self.y)
            for terms in modality.terms.values()
        ]
        self.slack = TIE * float(np.finfo(self.x.exact.dtype).eps) * max(sizes)
        largest = max(max_norm(self.x.exact), max_norm(self.y.exact)) ** 2
        for modality, opposite in ((self.x, self.y), (self.y, self.x)):
            modality.prepare(opposite, self.slack, largest)
        self.workspace = Workspace()
        self.followers: list[_Pass] = []

    def can_follow(self, first: _Pass) -> bool:
        """Return whether products of another pass may stand for its own, because scores near bounds are repaired."""
        if self.x.is_exact or first.x.rows.dtype != self.x.rows.dtype:
            return False
        return all(
            a.rows.shape == b.rows.shape and max_norm(a.rows - b.rows) <= SAME_ROWS
            for a, b in ((self.x, first.x), (self.y, first.y))
        )

    def run(self) -> None:
        """Look at all tiles, also for the passes that follow."""
        x, y = self.x, self.y
        tiles = [
            (rows, columns, self._between, (part_x == part_y, part_x in (part_y, ALWAYS)))
            for part_x in (FIRST, SECOND, ALWAYS)
            for part_y in (FIRST, SECOND)
            for rows, columns in _tiles(x.spans[part_x], y.spans[part_y])
        ] + [
            (rows, columns, self._within, (name, half != ALWAYS))
            for name, modality in (("x", x), ("y", y))
            for half, opposite in ((FIRST, SECOND), (ALWAYS, FIRST), (ALWAYS, SECOND))
            for rows, columns in _tiles(modality.spans[half], modality.spans[opposite])
        ]
        with tile_map(len(x.rows) * len(y.rows)) as run:
            for _ in run(lambda tile: tile[2](tile[0], tile[1], *tile[3]), tiles):
                pass

    def results(self) -> JointResults:
        """Return the results of all tiles."""
        x, y, results = self.x, self.y, {}
        for name, modality, opposite_modality in (("x", x, y), ("y", y, x)):
            corpora = []
            for queried, stored in ((FIRST, SECOND), (SECOND, FIRST)):
                # Queries of x look for y rows of their own half. The rows of x beside them are those of the other half.
                n_own = _length(modality.spans[stored]) + _length(modality.spans[ALWAYS])
                n_other = _length(opposite_modality.spans[queried]) + _length(opposite_modality.spans[ALWAYS])
                corpora.append((modality.spans[queried], {"own": n_own, "other": n_other}))
            results[name] = modality.results(corpora, self.slack)
        ranks_x, ranks_y = np.zeros(len(x.rows), dtype=np.int64), np.empty(len(y.rows), dtype=np.int64)
        ranks_x[x.order] = np.where(np.isneginf(x.best), 0, x.above_best + 1)
        ranks_y[y.order] = y.above_best + 1
        return JointResults(ranks_x, ranks_y, results)

    def _tile(self, a: SearchedModality, b: SearchedModality, rows: slice, columns: slice) -> np.ndarray:
        """Return the products of a tile. The next call in the same thread overwrites them."""
        scores = self.workspace.empty("scores", (_length(rows), _length(columns)), a.rows.dtype)
        return np.matmul(a.rows[rows], b.rows[columns].T, out=scores)

    def _between(self, rows: slice, columns: slice, *searched: bool) -> None:
        """Look at a tile of scores between the modalities. Pairs of one item do not count."""
        scores = self._tile(self.x, self.y, rows, columns)
        begin, end = np.searchsorted(self.rows, (rows.start, rows.stop))
        pair_rows, pair_columns = self.rows[begin:end] - rows.start, self.columns[begin:end] - columns.start
        inside = (pair_columns >= 0) & (pair_columns < scores.shape[1])
        pair_rows, pair_columns, unmatched = pair_rows[inside], pair_columns[inside], self.unmatched[begin:end][inside]
        scores[pair_rows, pair_columns] = -np.inf
        unmatched_pairs = pair_rows[unmatched], pair_columns[unmatched], (begin + np.flatnonzero(inside))[unmatched]
        for single in (self, *self.followers):
            single._look_between(scores, rows, columns, searched, unmatched_pairs)

    def _look_between(
        self,
        scores: np.ndarray,
        rows: slice,
        columns: slice,
        searched: tuple[bool, ...],
        unmatched: tuple[np.ndarray, ...],
    ) -> None:
        """Look at a tile of scores between the modalities with the terms of this pass."""
        views = ((self.x, rows, 0, columns), (self.y, columns, 1, rows))
        for (modality, queries, axis, stored), is_searched in zip(views, searched, strict=True):
            view = self._added(scores, modality.added["other"], stored, axis)
            modality.look(view, queries, stored, "other", axis=axis, searched=is_searched)
            if len(unmatched[0]):  # rows of the item that do not match count in retrieval
                products = self.products[unmatched[2]]
                modality.add_best(queries.start + unmatched[axis], stored.start + unmatched[1 - axis], products)

    def _within(self, rows: slice, columns: slice, name: str, asks_rows: bool) -> None:
        """Look at a tile of scores within a modality, which serves the rows of both of its axes as queries."""
        modality: SearchedModality = getattr(self, name)
        scores = self._tile(modality, modality, rows, columns)
        for single in (self, *self.followers):
            modality = getattr(single, name)
            for queries, axis, stored in ((rows, 0, columns), (columns, 1, rows)):
                if axis or asks_rows:
                    view = self._added(scores, modality.added["own"], stored, axis)
                    modality.look(view, queries, stored, "own", axis=axis, searched=True)

    def _added(self, scores: np.ndarray, added: np.ndarray | None, stored: slice, axis: int) -> np.ndarray:
        """Return the scores with the terms of the stored rows."""
        if added is None:
            return scores
        view = self.workspace.empty("view", scores.shape, scores.dtype)
        return np.add(scores, added[stored] if axis == 0 else added[stored, None], out=view)


def _length(span: slice) -> int:
    return int(span.stop - span.start)


def _tiles(span_a: slice, span_b: slice) -> list[tuple[slice, slice]]:
    """Return the tiles of two spans of rows."""
    rows, columns = (
        [slice(span.start + half.start, span.start + half.stop) for half in even_slices(_length(span), length)]
        for span, length in zip((span_a, span_b), TILE_SHAPE, strict=True)
    )
    return list(itertools.product(rows, columns))


def _products(x: np.ndarray, y: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return x[rows[p]] . y[columns[p]] for every pair p."""
    blocks = even_slices(len(rows), 2048)
    products = [np.einsum("ij,ij->i", x[rows[block]], y[columns[block]]) for block in blocks]
    return np.concatenate(products) if products else np.empty(0, dtype=x.dtype)


def _ragged(values: np.ndarray, rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Return the values (p,) of each row in descending order, (n_rows, most), -inf beyond them."""
    order = np.lexsort((-values, rows))
    counts = np.bincount(rows, minlength=n_rows)
    table = np.full((n_rows, max(int(counts.max(initial=0)), 1)), -np.inf, dtype=values.dtype)
    column = np.arange(len(rows)) - (np.cumsum(counts) - counts)[rows[order]]
    table[rows[order], column] = values[order]
    return table
