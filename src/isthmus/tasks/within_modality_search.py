"""Search within one modality, where rows of one class are relevant to each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.compiled import compiled_loops
from isthmus.compute.running_top import RunningTop
from isthmus.compute.score_sweep import sweep_blocks
from isthmus.compute.topk import score_matrices, tile_map
from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._labels import require_labels
from isthmus.tasks._mixed_corpus import TOP, corrected_x_and_y, count_ahead, discounted_gain
from isthmus.tasks._per_item import mean_per_item
from isthmus.tasks.ranks import TIE
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted


@dataclass(frozen=True)
class WithinModalitySearch:
    """Search of all other rows of one modality by class.

    Every row is a query for the rows of the other items. The rows of its class are relevant. A row without a relevant
    row is no query. Other rows of the same item, such as captions of one image, are left out.

    Parameters
    ----------
    ranks : np.ndarray of shape (n,)
        Rank of the best relevant row, where ties count against the query, and 11 stands for all larger ranks. 0 if the
        row is not a query.
    ndcg : np.ndarray of shape (n,)
        NDCG@10 over the relevant rows, NaN if the row is not a query.
    items : np.ndarray of shape (n,)
        Item of each row.

    Examples
    --------
    >>> import numpy as np
    >>> search = WithinModalitySearch.of(np.eye(2)[[0, 0, 1, 1]], ["cat", "cat", "dog", "cat"])
    >>> search.ranks.tolist(), round(search.recall(1), 3)
    ([1, 1, 0, 2], 0.667)
    """

    ranks: np.ndarray
    ndcg: np.ndarray
    items: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, labels: Any, /, *, items: Any = None) -> WithinModalitySearch:
        """Search among unit rows.

        Parameters
        ----------
        rows : np.ndarray of shape (n, d)
            Unit rows of one modality.
        labels : array-like of shape (n,)
            Class of each row.
        items : array-like of shape (n,), optional
            Item of each row. Default: each row is an item.

        Returns
        -------
        WithinModalitySearch
            Ranks and NDCG of all queries.

        Raises
        ------
        InputError
            If no class has rows of two items, or the numbers of rows and labels differ.
        """
        return cls._search(rows, rows, np.asarray(labels), np.arange(len(rows)) if items is None else np.asarray(items))

    @classmethod
    def _search(cls, queries: np.ndarray, corpus: np.ndarray, labels: np.ndarray, items: np.ndarray) -> Any:
        """Search corpus rows with the queries. Row i of both is the same row, which a score correction may change."""
        n = len(queries)
        if len(labels) != n:
            raise InputError(f"{counted(len(labels), 'label')} for {counted(n, 'row')}, expected one for each row")
        groups = np.unique(labels, return_inverse=True)[1]
        (of_class, _), number, n_same = np.unique(
            np.stack([groups, items]), axis=1, return_inverse=True, return_counts=True
        )
        n_items = np.bincount(of_class, minlength=int(groups.max()) + 1)
        rows = np.flatnonzero(n_items[groups] > 1)
        if not len(rows):
            raise InputError("no class has two items, expected rows of two or more items in a class")
        n_relevant = (np.bincount(groups)[groups] - n_same[number.ravel()])[rows]
        top, irrelevant = _best_scores(queries, corpus, groups, items, rows)
        ranks, ndcg = np.zeros(n, dtype=np.int64), np.full(n, np.nan)
        slack = TIE * float(np.finfo(np.result_type(queries, corpus)).eps)
        ideal_gains = np.cumsum(1 / np.log2(2 + np.arange(TOP)))
        positions = 1 + np.arange(TOP) + count_ahead(top, irrelevant, slack)
        ranks[rows] = np.minimum(positions[:, 0], TOP + 1)
        gains = discounted_gain(np.where(np.isfinite(top), positions, 0), TOP)
        ndcg[rows] = gains.sum(axis=1) / ideal_gains[np.minimum(n_relevant, TOP) - 1]
        return cls(ranks, ndcg, items)

    @property
    def is_query(self) -> np.ndarray:
        """True for each row that is a query, (n,)."""
        return self.ranks > 0

    def recall(self, k: int = 1, /) -> float:
        """Return the share of queries with a relevant row among the first k.

        Parameters
        ----------
        k : int, default 1
            Number of ranks, at most 10.

        Returns
        -------
        float
            Share in [0, 1].

        Raises
        ------
        InputError
            If k is not between 1 and 10.
        """
        if not 1 <= k <= TOP:
            raise InputError(f"k={k}, expected 1 to {TOP}")
        return float(np.mean(self.ranks[self.is_query] <= k))

    def per_item(self, values: np.ndarray, n_items: int, /) -> np.ndarray:
        """Return the contribution of each item to the mean of values over the queries.

        Parameters
        ----------
        values : np.ndarray of shape (n,)
            A value for each row. Rows that are not queries are ignored.
        n_items : int
            Number of items.

        Returns
        -------
        np.ndarray of shape (n_items,)
            Contributions.
        """
        return mean_per_item(values[self.is_query].astype(float), self.items[self.is_query], n_items)


def _best_scores(
    queries: np.ndarray, corpus: np.ndarray, groups: np.ndarray, items: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ten largest scores of relevant and of irrelevant rows for the queries `rows`, each (q, TOP).

    Queries come first and rows are sorted by class, so that few tiles of scores have pairs of one class. If the queries
    are the corpus, each score is computed once and serves both of its rows.
    """
    n, is_symmetric = len(corpus), queries is corpus
    is_query = np.zeros(n, dtype=bool)
    is_query[rows] = True
    order = np.lexsort((groups, ~is_query))
    corpus = corpus[order]
    # Small integers, because tiles with pairs of one class compare all of them.
    groups, items = (np.unique(ids[order], return_inverse=True)[1].astype(np.int32) for ids in (groups, items))
    (matrix,) = score_matrices(corpus if is_symmetric else queries[order], corpus)
    dtype = np.result_type(queries, corpus)
    loops = compiled_loops(n * len(rows), dtype)
    relevant, irrelevant = RunningTop(n, TOP, dtype, loops), RunningTop(n, TOP, dtype, loops)
    blocks = sweep_blocks(n)
    groups_of = {block.start: np.unique(groups[block]) for block in blocks}
    tiles = [
        (block, columns)
        for block_number, block in enumerate(blocks)
        if block.start < len(rows)
        for columns in (blocks[block_number:] if is_symmetric else blocks)
    ]

    def add(best: RunningTop, scores: np.ndarray, block: slice, columns: slice) -> None:
        best.add(scores, block, columns if is_symmetric and block != columns else None)

    def search(tile: tuple[slice, slice]) -> None:
        block, columns = tile
        scores = to_numpy(matrix.tile(block, columns))
        if np.intersect1d(groups_of[block.start], groups_of[columns.start], assume_unique=True).size:
            in_class = groups[block, None] == groups[columns]
            is_relevant = in_class & (items[block, None] != items[columns])
            add(relevant, np.where(is_relevant, scores, -np.inf), block, columns)
            scores = np.where(in_class, -np.inf, scores)
        add(irrelevant, scores, block, columns)

    with tile_map(n * len(rows)) as run:
        for _ in run(search, tiles):
            pass
    position = np.empty(n, dtype=np.int64)
    position[order] = np.arange(n)
    return relevant.values[position[rows]], irrelevant.values[position[rows]]


@task(
    "within_modality_search",
    scores={
        "within_NDCG@10": Score("higher", "NDCG of the first 10 of a search within one modality, mean of both"),
        "within_R@1": Score("higher", "share of queries whose nearest other row of their modality has their class"),
        **{
            f"{name}_{modality}": Score("higher", f"{name} of the rows of {modality}")
            for modality in ("x", "y")
            for name in ("within_NDCG@10", "within_R@1")
        },
    },
    needs="labels",
    source="Järvelin and Kekäläinen 2002, ACM TOIS 20(4); Musgrave, Belongie and Lim 2020, arXiv 2003.08505",
)
def within_modality_search(data: TaskData) -> TaskScores:
    """Search the rows of other items in the modality of the query. The rows of its class are relevant."""
    labels = require_labels(data, "within_modality_search")
    matches = data.matches
    corpora = {"x": data.x, "y": data.y[matches.y_rows]}
    owners = {"x": np.arange(data.n_items), "y": matches.y_items}
    searched_items = dict(zip("xy", matches.independent_items, strict=True))
    per_item: dict[str, np.ndarray] = {}

    def search_modality(name: str) -> WithinModalitySearch:
        queries, corrected = corrected_x_and_y(data.correction, corpora[name], corpora, name)
        searched: WithinModalitySearch = WithinModalitySearch._search(
            queries, corrected[name], labels[owners[name]], searched_items[name]
        )
        return searched

    # Maps that leave a modality as it is share its search.
    of_modality = data.shared.get("of_modality", lambda name, compute: compute())
    for name, owner in owners.items():
        search = replace(of_modality(name, partial(search_modality, name)), items=owner)
        per_item[f"within_NDCG@10_{name}"] = search.per_item(search.ndcg, data.n_items)
        per_item[f"within_R@1_{name}"] = search.per_item(search.ranks <= 1, data.n_items)
    for name in ("within_NDCG@10", "within_R@1"):
        per_item[name] = (per_item[f"{name}_x"] + per_item[f"{name}_y"]) / 2
    return TaskScores(per_item)
