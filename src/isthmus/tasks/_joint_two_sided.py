"""Two-sided search in the pass of a joint search: the best irrelevant rows of every query, from tiles of scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from isthmus.compute.streaming_topk import StreamingTopK
from isthmus.tasks._mixed_corpus import TOP
from isthmus.tasks._searched_modality import SearchedModality, pairs_of_tile, products_of_pairs, ragged
from isthmus.tasks._two_sided_corpus import MAX_MEMBERS, ranks_and_ndcg, two_sided_queries

#: Irrelevant rows of each modality that are kept for each query: ten, and two that show whether more rows nearly tie.
KEPT = TOP + 2


class TwoSidedResults(NamedTuple):
    """Results of the queries of one modality, in the order before the pass.

    Attributes
    ----------
    ranks : (n, 2), as in `isthmus.tasks.TwoSidedSearch`
    ndcg : (n,)
    unsure : (n,), whether so many scores nearly tie with a relevant one that the query has to be searched apart
    """

    ranks: np.ndarray
    ndcg: np.ndarray
    unsure: np.ndarray


class TwoSidedTiles:
    """Collect the best irrelevant rows of every query from tiles of scores.

    Parameters
    ----------
    modalities : dict of str to SearchedModality
        Rows of both modalities, prepared.
    classes : dict of str to (n,) int array
        Class of each row, in the order of the pass.
    blocks : dict of str to list of slice
        Slices of the rows that tiles cover.
    slack : float
        Difference of scores that still ties.
    """

    def __init__(
        self,
        modalities: dict[str, SearchedModality],
        classes: dict[str, np.ndarray],
        blocks: dict[str, list[slice]],
        slack: float,
    ):
        self.modalities, self.slack = modalities, slack
        self.is_query = two_sided_queries(classes)
        self.pairs = {kind: _class_pairs(classes[kind[0]], classes[kind[1]]) for kind in ("xx", "yy", "xy")}
        self.numbers = {
            name: {block.start: number for number, block in enumerate(slices)} for name, slices in blocks.items()
        }
        self.top = {
            (query, stored): StreamingTopK(
                blocks[query], min(KEPT, len(modalities[stored].rows)), modalities[query].rows.dtype
            )
            for query in self.queried
            for stored in modalities
        }

    @property
    def queried(self) -> list[str]:
        """Return the modalities that have queries."""
        return [name for name, mask in self.is_query.items() if mask.any()]

    def exclude(self, scores: np.ndarray, kind: str, rows: slice, columns: slice) -> None:
        """Set the scores of relevant rows and of the queries themselves to -inf."""
        pair_rows, pair_columns, _ = pairs_of_tile(*self.pairs[kind], rows, columns)
        scores[pair_rows, pair_columns] = -np.inf

    def look(self, scores: np.ndarray, queries: slice, columns: slice, query: str, stored: str, *, axis: int) -> None:
        """Collect from a tile, for the queries along one axis."""
        top, number = self.top[query, stored], self.numbers[query][queries.start]
        if axis == 0:
            top.add(scores, number, columns)
        else:
            top.add_transposed(scores, number, columns)

    def results(self) -> dict[str, TwoSidedResults]:
        """Return the results of both modalities after all tiles."""
        return {name: self._results(name) for name in self.modalities}

    def _results(self, name: str) -> TwoSidedResults:
        modality, n = self.modalities[name], len(self.modalities[name].rows)
        results = TwoSidedResults(np.zeros((n, 2), dtype=np.int64), np.full(n, np.nan), np.zeros(n, dtype=bool))
        rows = np.flatnonzero(self.is_query[name])
        if not len(rows):
            return results
        relevant = {kind: self._relevant(name, kind)[rows] for kind in ("own", "other")}
        best = np.stack([relevant[kind][:, 0] for kind in ("own", "other")], axis=1)
        top = -np.sort(-np.concatenate(list(relevant.values()), axis=1), axis=1)
        n_relevant = np.isfinite(top).sum(axis=1)
        bounds = np.concatenate([best, top[:, :TOP]], axis=1) - self.slack
        counts, unsure = np.zeros(bounds.shape, dtype=np.int64), np.zeros(len(rows), dtype=bool)
        for kind in ("own", "other"):
            counted, is_unsure = self._counts(name, kind, rows, bounds)
            counts += counted
            unsure |= is_unsure
        ranks, ndcg = ranks_and_ndcg(np.minimum(counts, TOP), top[:, :TOP], n_relevant)
        order = modality.order[rows]
        results.ranks[order], results.ndcg[order], results.unsure[order] = ranks, ndcg, unsure
        return results

    def _stored(self, name: str, kind: str) -> str:
        """Return the modality of the stored rows."""
        return name if kind == "own" else "y" if name == "x" else "x"

    def _relevant(self, name: str, kind: str) -> np.ndarray:
        """Return the exact scores of the relevant rows of one modality, in descending order, -inf beyond them."""
        modality = self.modalities[name]
        if kind == "own":
            rows, columns = self.pairs[name + name]
            is_other = rows != columns
            rows, columns = rows[is_other], columns[is_other]
        else:
            rows, columns = self.pairs["xy"] if name == "x" else self.pairs["xy"][::-1]
        products = products_of_pairs(modality.exact, modality.stored[kind], rows, columns)
        return ragged(modality.terms[kind].scores(products, rows, columns), rows, len(modality.rows))

    def _counts(self, name: str, kind: str, rows: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how many collected scores of each query reach each bound, and the queries that are unsure."""
        modality, stored = self.modalities[name], self._stored(name, kind)
        terms, nearest = modality.terms[kind], self.top[name, stored].result()
        index = nearest.index[rows]
        values = terms.scores(nearest.scores[rows], rows)
        unsure = np.zeros(len(rows), dtype=bool)
        if not modality.is_exact:
            with np.errstate(invalid="ignore"):  # -inf minus -inf, where a query has fewer rows
                difference = np.abs(values[:, :, None] - bounds[:, None, :])
            is_near = (difference <= modality.errors[kind] / terms.scale).any(axis=2)
            query, column = np.nonzero(is_near)
            columns = index[query, column]
            products = products_of_pairs(modality.exact, modality.stored[kind], rows[query], columns)
            values = values.astype(modality.exact.dtype)
            values[query, column] = terms.scores(products, rows[query], columns)
            if values.shape[1] < len(self.modalities[stored].rows):  # others may be as near as the last one
                unsure = is_near[:, -1]
        return (values[:, :, None] >= bounds[:, None, :]).sum(axis=1), unsure


def two_sided_tiles(
    modalities: dict[str, SearchedModality],
    classes: dict[str, np.ndarray],
    pairs: tuple[np.ndarray, np.ndarray],
    blocks: dict[str, list[slice]],
    slack: float,
) -> TwoSidedTiles | None:
    """Return what collects the results of two-sided search, or None if the pass does not serve it.

    Parameters
    ----------
    modalities, classes, blocks, slack
        See `TwoSidedTiles`.
    pairs : tuple of (p,) int arrays
        Rows of x and of y whose scores the pass leaves out.

    Returns
    -------
    TwoSidedTiles or None
        None for large classes, for pairs of different classes, and if no row is a query.
    """
    counts = np.bincount(classes["x"]), np.bincount(classes["y"])
    if max(int(c.max(initial=0)) for c in counts) > MAX_MEMBERS:
        return None
    if not np.array_equal(classes["x"][pairs[0]], classes["y"][pairs[1]]):
        return None
    tiles = TwoSidedTiles(modalities, classes, blocks, slack)
    return tiles if tiles.queried else None


def _class_pairs(classes: np.ndarray, other_classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers (p,) of all pairs of rows of one class, in the order of the first rows."""
    order = np.argsort(other_classes, kind="stable")
    begins, ends = (np.searchsorted(other_classes, classes, side=end, sorter=order) for end in ("left", "right"))
    counts = ends - begins
    rows = np.repeat(np.arange(len(classes)), counts)
    offsets = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows, order[begins[rows] + offsets]
