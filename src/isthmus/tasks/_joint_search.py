"""Retrieval, mixed and two-sided search from one pass over the scores, for callers that run them on the same rows.

Both corpora of mixed search hold the rows of one half of the items as x and those of the other half as y. Every score
that they need between the modalities is one that retrieval needs too, and a score within a modality serves both of its
rows. So half of the products of the separate searches suffice. Two-sided search adds the scores within the halves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from isthmus.compute.resources import current
from isthmus.compute.rows import are_equal
from isthmus.compute.score_matrix import even_slices
from isthmus.compute.topk import tile_map
from isthmus.compute.workspace import Workspace
from isthmus.tasks._base import TaskData
from isthmus.tasks._joint_two_sided import TwoSidedResults, TwoSidedTiles, two_sided_tiles
from isthmus.tasks._mixed_corpus import QueryResults, stored_items
from isthmus.tasks._searched_modality import SearchedModality, Terms, pairs_of_tile, products_of_pairs, ragged
from isthmus.tasks._two_sided_corpus import row_classes
from isthmus.tasks.ranks import TIE, max_norm

#: Rows and columns of a tile: 5 MB of float32, which stay in the cache while they are counted.
TILE_ROWS = 1128
#: From this number of scores on, rows of float64 are multiplied in float32, and scores near a bound are repaired.
SCREENED_SCORES = 2**20
#: Length of the difference of two rows up to which products of one stand for those of the other, before the repair.
SAME_ROWS = 1e-6
#: More matching rows of one query are searched apart.
MAX_RELEVANT = 32
#: Halves of the items that are stored as x in one of both corpora, and items without a row of y, stored as x in both.
FIRST, SECOND, ALWAYS = range(3)


class JointResults(NamedTuple):
    """Results of the tasks.

    Attributes
    ----------
    ranks_x, ranks_y : ranks of retrieval, as those of `isthmus.tasks.ranks.matching_ranks`
    mixed : results of mixed search by modality of the query, for the rows of x and the distinct rows of y
    two_sided : those of two-sided search, empty if the pass does not serve it
    """

    ranks_x: np.ndarray
    ranks_y: np.ndarray
    mixed: dict[str, QueryResults]
    two_sided: dict[str, TwoSidedResults]


def joint_results(data: TaskData) -> JointResults | None:
    """Return the results of retrieval and of the other tasks, computed once, or None if they have to search apart.

    Parameters
    ----------
    data : TaskData
        Rows whose `tasks` say which tasks run on them.

    Returns
    -------
    JointResults or None
        None if retrieval runs alone or not at all, on a device, for a correction without terms, and for items whose
        rows are not those of their matches.
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
    passes: list[_Pass | None] = []
    for data in inputs:
        passes.append(_prepared(data, passes))
    first = passes[0]
    if first is not None:
        first.followers = [single for single in passes[1:] if single is not None and single.can_follow(first)]
        for follower in first.followers:  # nothing multiplies their own rows
            follower.x.rows, follower.y.rows = first.x.rows, first.y.rows
    for data, single in zip(inputs, passes, strict=True):
        if single is not None and (first is None or single not in first.followers):
            single.run()
        data.shared["joint"] = None if single is None else single.results()


def _prepared(data: TaskData, earlier: Sequence[_Pass | None] = ()) -> _Pass | None:
    """Return the pass over the scores of rows, or None if one pass does not serve several tasks.

    Rows that are equal to those of an earlier pass are kept once.
    """
    is_mixed, is_two_sided = ("mixed_search" in data.tasks), ("two_sided_search" in data.tasks)
    if "retrieval" not in data.tasks or not (is_mixed or is_two_sided):
        return None
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
    before = [single for single in earlier if single is not None]
    for single in before:
        x, y = (
            same if same.dtype == rows.dtype and are_equal(same, rows) else rows
            for same, rows in zip(single.mapped, (x, y), strict=True)
        )
    if correction is not None:
        data.shared["terms"] = (x, y), terms
    half = np.where(stored_items(n_items, 0.5, data.seed), FIRST, SECOND)
    half[np.bincount(y_items, minlength=n_items) == 0] = ALWAYS
    precision = np.float32 if len(x) * len(y) >= SCREENED_SCORES else x.dtype
    modalities = {
        name: SearchedModality.of(rows, items, half, np.bincount(relevant_items, minlength=n_items), precision)
        for name, rows, items, relevant_items in (("x", x, x_items, y_items), ("y", y, y_items, x_items))
    }
    for single in before:
        for modality, rows, other, same in zip(
            modalities.values(), (x, y), (single.x, single.y), single.mapped, strict=True
        ):
            if rows is same and np.array_equal(modality.order, other.order):
                modality.rows, modality.exact = other.rows, other.exact
    for query, stored in ((a, b) for a in "xy" for b in "xy"):
        score_terms = Terms(*terms[query, stored]) if terms else Terms()
        kind = "own" if query == stored else "other"
        modalities[query].terms[kind] = score_terms.ordered(modalities[query].order, modalities[stored].order)
    numbers = {name: _inverse(modality.order) for name, modality in modalities.items()}
    pairs = numbers["x"][relevant[0]], numbers["y"][relevant[1]]
    matching = numbers["x"][matches.owner], numbers["y"][columns]
    options: dict[str, Any] = {"same_pairs": matches.columns is None, "is_mixed": is_mixed, "mapped": (x, y)}
    single = _Pass(modalities, pairs, matching, **options)
    if is_two_sided and (data.labels is None or len(data.labels) == len(x)):
        classes = {name: values[modalities[name].order] for name, values in row_classes(matches, data.labels).items()}
        single.two_sided = two_sided_tiles(modalities, classes, pairs, single.blocks, single.slack)
    return single if is_mixed or single.two_sided is not None else None


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
    is_mixed : bool
        Whether mixed search is asked for.
    mapped : tuple of array
        Rows of x and of y before they were sorted.
    """

    def __init__(
        self,
        modalities: dict[str, SearchedModality],
        pairs: tuple[np.ndarray, ...],
        matching: tuple[np.ndarray, ...],
        same_pairs: bool,
        is_mixed: bool,
        mapped: tuple[np.ndarray, np.ndarray],
    ):
        self.x, self.y = modalities["x"], modalities["y"]
        order = np.argsort(pairs[0], kind="stable")
        self.rows, self.columns = pairs[0][order], pairs[1][order]
        keys = [rows * len(self.y.rows) + columns for rows, columns in ((self.rows, self.columns), matching)]
        self.unmatched = np.zeros(len(self.rows), dtype=bool) if same_pairs else ~np.isin(*keys)
        self.products = products = products_of_pairs(self.x.exact, self.y.exact, self.rows, self.columns)
        largest = max_norm(self.x.exact) * max_norm(self.y.exact)
        for modality, rows, columns in ((self.x, self.rows, self.columns), (self.y, self.columns, self.rows)):
            terms = modality.terms["other"]
            scores = terms.scores(products, rows, columns)
            modality.relevant = ragged(scores, rows, len(modality.rows))
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
        self.blocks = {
            name: [block for span in modality.spans for block in _blocks(span)] for name, modality in modalities.items()
        }
        self.is_mixed, self.mapped = is_mixed, mapped
        self.two_sided: TwoSidedTiles | None = None
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
        tiles: list[tuple[slice, slice, Callable[..., None], tuple[Any, ...]]] = [
            (rows, columns, self._between, (part_x == part_y, part_x in (part_y, ALWAYS)))
            for part_x in (FIRST, SECOND, ALWAYS)
            for part_y in (FIRST, SECOND)
            for rows, columns in itertools.product(_blocks(x.spans[part_x]), _blocks(y.spans[part_y]))
        ]
        for name, modality in (("x", x), ("y", y)):
            is_queried = self.two_sided is not None and name in self.two_sided.queried
            if self.is_mixed or is_queried:
                tiles += [
                    (rows, columns, self._within, (name, half != ALWAYS, self.is_mixed))
                    for half, opposite in ((FIRST, SECOND), (ALWAYS, FIRST), (ALWAYS, SECOND))
                    for rows, columns in itertools.product(
                        _blocks(modality.spans[half]), _blocks(modality.spans[opposite])
                    )
                ]
            if is_queried:  # scores within a half are part of no mixed corpus
                tiles += [
                    (rows, columns, self._within, (name, False, False))
                    for span in modality.spans
                    for rows, columns in itertools.combinations_with_replacement(_blocks(span), 2)
                ]
        with tile_map(len(x.rows) * len(y.rows)) as run:
            for _ in run(lambda tile: tile[2](tile[0], tile[1], *tile[3]), tiles):
                pass

    def results(self) -> JointResults:
        """Return the results of all tiles."""
        x, y, results = self.x, self.y, {}
        for name, modality, opposite_modality in (("x", x, y), ("y", y, x)) if self.is_mixed else ():
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
        return JointResults(ranks_x, ranks_y, results, {} if self.two_sided is None else self.two_sided.results())

    def _tile(self, a: SearchedModality, b: SearchedModality, rows: slice, columns: slice) -> np.ndarray:
        """Return the products of a tile. The next call in the same thread overwrites them."""
        scores = self.workspace.empty("scores", (_length(rows), _length(columns)), a.rows.dtype)
        return np.matmul(a.rows[rows], b.rows[columns].T, out=scores)

    def _between(self, rows: slice, columns: slice, *searched: bool) -> None:
        """Look at a tile of scores between the modalities. Pairs of one item do not count."""
        scores = self._tile(self.x, self.y, rows, columns)
        pair_rows, pair_columns, numbers = pairs_of_tile(self.rows, self.columns, rows, columns)
        scores[pair_rows, pair_columns] = -np.inf
        unmatched = self.unmatched[numbers]
        unmatched_pairs = pair_rows[unmatched], pair_columns[unmatched], numbers[unmatched]
        for single in (self, *self.followers):
            single._look_between(scores, rows, columns, searched, unmatched_pairs)
        self._look_two_sided(scores, rows, columns, "xy")

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
            modality.look(view, queries, stored, "other", axis=axis, searched=is_searched and self.is_mixed)
            if len(unmatched[0]):  # rows of the item that do not match count in retrieval
                products = self.products[unmatched[2]]
                modality.add_best(queries.start + unmatched[axis], stored.start + unmatched[1 - axis], products)

    def _within(self, rows: slice, columns: slice, name: str, asks_rows: bool, is_mixed: bool) -> None:
        """Look at a tile of scores within a modality, which serves the rows of both of its axes as queries."""
        modality: SearchedModality = getattr(self, name)
        scores = self._tile(modality, modality, rows, columns)
        for single in (self, *self.followers) if is_mixed else ():
            modality = getattr(single, name)
            for queries, axis, stored in ((rows, 0, columns), (columns, 1, rows)):
                if axis or asks_rows:
                    view = self._added(scores, modality.added["own"], stored, axis)
                    modality.look(view, queries, stored, "own", axis=axis, searched=True)
        self._look_two_sided(scores, rows, columns, name + name)

    def _look_two_sided(self, scores: np.ndarray, rows: slice, columns: slice, kind: str) -> None:
        """Look at a tile for two-sided search, after the other tasks, because relevant rows are left out."""
        if self.two_sided is None:
            return
        self.two_sided.exclude(scores, kind, rows, columns)
        views = ((kind[0], kind[1], rows, columns, 0), (kind[1], kind[0], columns, rows, 1))
        for single in (self, *self.followers):
            if single.two_sided is None:
                continue
            for query, stored_name, queries, stored, axis in views:
                if query in single.two_sided.queried and not (axis and kind[0] == kind[1] and rows == columns):
                    added = getattr(single, query).added["own" if query == stored_name else "other"]
                    view = self._added(scores, added, stored, axis)
                    single.two_sided.look(view, queries, stored, query, stored_name, axis=axis)

    def _added(self, scores: np.ndarray, added: np.ndarray | None, stored: slice, axis: int) -> np.ndarray:
        """Return the scores with the terms of the stored rows."""
        if added is None:
            return scores
        view = self.workspace.empty("view", scores.shape, scores.dtype)
        return np.add(scores, added[stored] if axis == 0 else added[stored, None], out=view)


def _length(span: slice) -> int:
    return int(span.stop - span.start)


def _blocks(span: slice) -> list[slice]:
    """Return the blocks of rows of a span that tiles cover."""
    return [slice(span.start + block.start, span.start + block.stop) for block in even_slices(_length(span), TILE_ROWS)]
