"""Two-sided search: rows of both modalities are relevant, by class or because an item has several captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.score_matrix import select_topk
from isthmus.compute.topk import score_matrices
from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._labels import require_labels
from isthmus.tasks._mixed_corpus import TOP, corrected_x_and_y, count_ahead, discounted_gain
from isthmus.tasks._per_item import mean_per_item
from isthmus.tasks.matches import Matches
from isthmus.tasks.ranks import TIE
from isthmus.utils.errors import InputError

#: Reason for a refusal, after the name of the task.
MISSING = "needs labels or several rows of y for one item, so that rows of both modalities are relevant to a query"


#: Share of the rows of a modality that have to be queries, and items, so that two-sided search decides by itself.
MIN_QUERIES, MIN_ITEMS = 0.5, 40
#: More relevant rows of a query are found by comparing the groups of all rows.
MAX_MEMBERS = 64


def has_two_sided_truth(n_x: int, n_y: int, /, *, index: Any = None, y_groups: Any = None, labels: Any = None) -> bool:
    """Return whether most rows of a modality have a few relevant rows in both modalities.

    Larger classes, of which the first ten hits hold a part, say less about a search than the pairs do.

    Parameters
    ----------
    n_x, n_y : int
        Numbers of rows of x and of y.
    index : array-like of shape (n_y,), optional
        Item of each row of y.
    y_groups : array-like of shape (n_y,), optional
        Number of the distinct row of y.
    labels : array-like of shape (n_x,), optional
        Class of each item.

    Returns
    -------
    bool
        True for items with several captions, and for classes of two to ten items.

    Examples
    --------
    >>> has_two_sided_truth(2, 4, index=[0, 0, 1, 1]), has_two_sided_truth(2, 2)
    (True, False)
    """
    if index is None and y_groups is None and labels is None:
        return False
    classes, of_y = _classes(Matches.of(n_x, n_y, index, y_groups), labels)
    counts = [np.bincount(values, minlength=int(classes.max()) + 1) for values in (classes, of_y)]
    if len(np.unique(of_y)) < 2 or (labels is not None and n_x < MIN_ITEMS):
        return False
    for own, other, classes_of_rows in ((counts[0], counts[1], classes), (counts[1], counts[0], of_y)):
        is_query = (own[classes_of_rows] > 1) & (other[classes_of_rows] > 0)
        if is_query.mean() >= MIN_QUERIES and np.median(own[classes_of_rows[is_query]]) <= TOP:
            return True
    return False


def _classes(matches: Matches, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each row of x and of each distinct row of y. Without labels it is their item."""
    classes = matches.x_components if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    return classes, classes[matches.y_items]


@dataclass(frozen=True)
class TwoSidedSearch:
    """Search with each row among all other rows, where rows of both modalities are relevant.

    Rows of one class are relevant to each other. Without labels these are the rows of one item. A row is a query if it
    has a relevant row in both modalities.

    Parameters
    ----------
    x_ranks, y_ranks : np.ndarray of shape (n_x, 2) and (n_y, 2)
        Rank of the best relevant row in the modality of the query, and in the other modality. The other relevant rows
        are left out, ties count against the query, and 11 stands for all larger ranks. 0 if the row is not a query.
    x_ndcg, y_ndcg : np.ndarray of shape (n_x,) and (n_y,)
        NDCG@10 over the relevant rows of both modalities, NaN if the row is not a query.
    owner : np.ndarray of shape (n_y,)
        Item of each row of y.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.eye(2)[[0, 0, 1, 1]]
    >>> search = TwoSidedSearch.of(rows, rows, labels=["cat", "cat", "dog", "dog"])
    >>> search.ndcg(), search.recall(1, target="same")
    (1.0, 1.0)
    """

    x_ranks: np.ndarray
    y_ranks: np.ndarray
    x_ndcg: np.ndarray
    y_ndcg: np.ndarray
    owner: np.ndarray

    @classmethod
    def of(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        /,
        *,
        index: Any = None,
        y_groups: Any = None,
        labels: Any = None,
        correction: Any = None,
    ) -> TwoSidedSearch:
        """Search among unit rows. Every row is stored, and every row is a query for the others.

        Parameters
        ----------
        x, y : np.ndarray of shape (n_x, d) and (n_y, d)
            Unit rows.
        index : array-like of shape (n_y,), optional
            Item of each row of y. Default: row j belongs to item j.
        y_groups : array-like of shape (n_y,), optional
            Number of the distinct row of y. Default: all rows of y are distinct.
        labels : array-like of shape (n_x,), optional
            Class of each item. Default: items that share rows of y are a class.
        correction : object, optional
            Score correction such as `isthmus.align.ScoreStandardization`. Default: scores are inner products.

        Returns
        -------
        TwoSidedSearch
            Ranks and NDCG of all queries.

        Raises
        ------
        InputError
            If no row has a relevant row in both modalities.
        """
        matches = Matches.of(len(x), len(y), index, y_groups)
        y, owner = y[matches.y_rows], matches.y_items
        classes, of_y = _classes(matches, labels)
        groups = {"x": classes, "y": of_y}
        n_groups = int(classes.max()) + 1
        counts = {name: np.bincount(values, minlength=n_groups) for name, values in groups.items()}
        ranks = {name: np.zeros((len(values), 2), dtype=np.int64) for name, values in groups.items()}
        ndcg = {name: np.full(len(values), np.nan) for name, values in groups.items()}
        for modality, other in (("x", "y"), ("y", "x")):
            group = groups[modality]
            rows = np.flatnonzero((counts[modality][group] > 1) & (counts[other][group] > 0))
            if not len(rows):
                continue
            queries, corpora = corrected_x_and_y(correction, (x, y)[modality == "y"][rows], {"x": x, "y": y}, modality)
            corpus = np.concatenate([corpora[modality], corpora[other]])
            corpus_groups = np.concatenate([group, groups[other]])
            results = _search(queries, rows, corpus, corpus_groups, len(group))
            ranks[modality][rows], ndcg[modality][rows] = results
        if not any(values.any() for values in ranks.values()):
            raise InputError(f"two-sided search {MISSING}")
        return cls(ranks["x"], ranks["y"], ndcg["x"], ndcg["y"], owner)

    def ndcg(self) -> float:
        """Return NDCG@10 over the relevant rows of both modalities, the mean over both query modalities.

        Returns
        -------
        float
            Mean in [0, 1].
        """
        return float(np.mean(self.per_item(self.x_ndcg, self.y_ndcg)))

    def recall(self, k: int = 1, /, *, target: str | None = None) -> float:
        """Return R@k by the modality of the target, the mean over both query modalities.

        Parameters
        ----------
        k : int, default 1
            Number of ranks, at most 10.
        target : {'same', 'other'}, optional
            Modality of the target: that of the query, or the other one. Default: the mean of both.

        Returns
        -------
        float
            Share of queries in [0, 1].

        Raises
        ------
        InputError
            If k is larger than 10.
        """
        if not 1 <= k <= TOP:
            raise InputError(f"k={k}, expected 1 to {TOP}")
        columns = {"same": [0], "other": [1], None: [0, 1]}[target]
        return float(np.mean([self.hits(k, column) for column in columns]))

    def hits(self, k: int, column: int, /) -> np.ndarray:
        """Return the contribution of each item to R@k.

        Parameters
        ----------
        k : int
            Number of ranks, at most 10.
        column : {0, 1}
            0 for targets in the modality of the query, 1 for the other modality.

        Returns
        -------
        np.ndarray of shape (n_x,)
            Contributions.
        """
        return self.per_item(self.x_ranks[:, column] <= k, self.y_ranks[:, column] <= k)

    def per_item(self, x_values: np.ndarray, y_values: np.ndarray, /) -> np.ndarray:
        """Return the contribution of each item to the mean of values over both query modalities.

        Parameters
        ----------
        x_values, y_values : np.ndarray of shape (n_x,) and (n_y,)
            A value for each row. Rows that are not queries are ignored.

        Returns
        -------
        np.ndarray of shape (n_x,)
            Contributions. A modality without a query does not count.
        """
        n, contributions = len(self.x_ranks), []
        for values, ranks, owner in ((x_values, self.x_ranks, np.arange(n)), (y_values, self.y_ranks, self.owner)):
            is_query = ranks[:, 0] > 0
            if is_query.any():
                contributions.append(mean_per_item(values[is_query].astype(float), owner[is_query], n))
        return np.mean(contributions, axis=0)


@task(
    "two_sided_search",
    scores={
        "two_sided_NDCG@10": Score("higher", "NDCG of the first 10 over the relevant rows of both modalities"),
        "two_sided_R@1": Score("higher", "mean of same_target_R@1 and other_target_R@1"),
        "same_target_R@1": Score(
            "higher",
            "share of queries whose best relevant row of their own modality is ahead of all that is irrelevant",
        ),
        "other_target_R@1": Score(
            "higher",
            "share of queries whose best relevant row of the other modality is ahead of all that is irrelevant",
        ),
        "same_target_R@10": Score("higher", "like same_target_R@1, with at most nine irrelevant rows ahead"),
        "other_target_R@10": Score("higher", "like other_target_R@1, with at most nine irrelevant rows ahead"),
    },
    needs="labels or captions",
    source="Järvelin and Kekäläinen 2002, ACM TOIS 20(4)",
)
def two_sided_search(data: TaskData) -> TaskScores:
    """Search a corpus of all rows of both modalities, where rows of both modalities are relevant to a query.

    Relevant rows have the label of the query. Without labels they belong to the item of the query, so that a caption
    looks for its image and the other captions of that image.
    """
    labels = None
    if data.labels is not None:
        labels = require_labels(data, "two_sided_search")
    elif data.y_groups is None and len(np.unique(data.owner)) == len(data.owner):
        raise InputError(f"two_sided_search {MISSING}")
    search = TwoSidedSearch.of(
        data.x, data.y, index=data.owner, y_groups=data.y_groups, labels=labels, correction=data.correction
    )
    per_item = {"two_sided_NDCG@10": search.per_item(search.x_ndcg, search.y_ndcg)}
    for column, modality in enumerate(("same", "other")):
        per_item |= {f"{modality}_target_R@{k}": search.hits(k, column) for k in (1, TOP)}
    per_item["two_sided_R@1"] = (per_item["same_target_R@1"] + per_item["other_target_R@1"]) / 2
    return TaskScores(per_item)


def _search(
    queries: np.ndarray, rows: np.ndarray, corpus: np.ndarray, groups: np.ndarray, n_own: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of the best relevant row of the own and the other modality (n, 2), and NDCG@10 (n,).

    The first `n_own` corpus rows have the modality of the queries. Query i is corpus row `rows[i]` and does not find
    itself. Ranks above 10 are 11.
    """
    ranks, ndcg = np.empty((len(queries), 2), dtype=np.int64), np.empty(len(queries))
    slack = TIE * float(np.finfo(np.result_type(queries, corpus)).eps)
    ideal_gains = np.cumsum(1 / np.log2(2 + np.arange(TOP)))
    members, n_members = _members(groups)
    (matrix,) = score_matrices(queries, corpus)
    for block in matrix.blocks():
        scores = to_numpy(matrix.tile(block))
        query = np.arange(len(scores))[:, None]
        scores[query[:, 0], rows[block]] = -np.inf
        if members is None:
            is_relevant = groups[rows[block], None] == groups
            relevant = np.where(is_relevant, scores, -np.inf)
            irrelevant, _ = select_topk(np.where(is_relevant, -np.inf, scores), TOP)
            best = np.stack([relevant[:, :n_own].max(axis=1), relevant[:, n_own:].max(axis=1)], axis=1)
        else:  # few relevant rows are taken out
            columns = members[groups[rows[block]]]
            is_row = columns >= 0
            relevant = np.where(is_row, scores[query, columns], -np.inf)
            scores[np.broadcast_to(query, columns.shape)[is_row], columns[is_row]] = -np.inf
            irrelevant, _ = select_topk(scores, TOP)
            is_own = columns < n_own
            best = np.stack([np.where(mask, relevant, -np.inf).max(axis=1) for mask in (is_own, ~is_own)], axis=1)
        n_relevant = n_members[groups[rows[block]]] - 1  # without the query
        ranks[block] = 1 + count_ahead(best, irrelevant, slack)
        top, _ = select_topk(relevant, TOP)
        positions = 1 + np.arange(top.shape[1]) + count_ahead(top, irrelevant, slack)
        gains = discounted_gain(np.where(np.isfinite(top), positions, 0), TOP)
        ndcg[block] = gains.sum(axis=1) / ideal_gains[np.minimum(n_relevant, TOP) - 1]
    return ranks, ndcg


def _members(groups: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the rows of each group (n_groups, most), -1 beyond them, or None if a group is large, and their counts."""
    counts = np.bincount(groups)
    if counts.max() > MAX_MEMBERS:
        return None, counts
    members = np.full((len(counts), int(counts.max())), -1)
    order = np.argsort(groups, kind="stable")
    members[groups[order], np.arange(len(order)) - (np.cumsum(counts) - counts)[groups[order]]] = order
    return members, counts
