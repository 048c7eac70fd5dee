"""Two-sided search: rows of both modalities are relevant, by class or because an item has several captions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._joint_search import joint_results
from isthmus.tasks._joint_two_sided import TwoSidedResults
from isthmus.tasks._labels import require_labels
from isthmus.tasks._mixed_corpus import TOP, corrected_x_and_y
from isthmus.tasks._per_item import mean_per_item
from isthmus.tasks._two_sided_corpus import row_classes, search_corpus_of_both, two_sided_queries
from isthmus.tasks.matches import Matches
from isthmus.utils.errors import InputError

#: Reason for a refusal, after the name of the task.
MISSING = "needs labels or several rows of y for one item, so that rows of both modalities are relevant to a query"


#: Share of the rows of a modality that have to be queries, and items, so that two-sided search decides by itself.
MIN_QUERIES, MIN_ITEMS = 0.5, 40


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
    classes, of_y = row_classes(Matches.of(n_x, n_y, index, y_groups), labels).values()
    counts = [np.bincount(values, minlength=int(classes.max()) + 1) for values in (classes, of_y)]
    if len(np.unique(of_y)) < 2 or (labels is not None and n_x < MIN_ITEMS):
        return False
    for own, other, classes_of_rows in ((counts[0], counts[1], classes), (counts[1], counts[0], of_y)):
        is_query = (own[classes_of_rows] > 1) & (other[classes_of_rows] > 0)
        if is_query.mean() >= MIN_QUERIES and np.median(own[classes_of_rows[is_query]]) <= TOP:
            return True
    return False


@dataclass(frozen=True)
class TwoSidedSearch:
    """Search with each row among all other rows, where rows of both modalities are relevant.

    Rows of one class are relevant to each other. Without labels these are the rows of one item. A row is a query if it
    has a relevant row in both modalities.

    Parameters
    ----------
    x_ranks, y_ranks : np.ndarray of shape (n_x, 2) and (n_y, 2)
        Rank of the best relevant row in the modality of the query, and in the other modality. The other relevant rows
        are left out, ties count against the query, and 11 stands for all larger ranks. It is 0 if the row is not a
        query.
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
        return cls._of_classes(x, y, Matches.of(len(x), len(y), index, y_groups), labels, correction, {})

    @classmethod
    def _of_classes(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        matches: Matches,
        labels: Any,
        correction: Any,
        known_results: Mapping[str, TwoSidedResults],
    ) -> TwoSidedSearch:
        """Search with all queries, or with those that are unsure among known results."""
        rows, classes = {"x": x, "y": y[matches.y_rows]}, row_classes(matches, labels)
        is_query = two_sided_queries(classes)
        ranks = {name: np.zeros((len(values), 2), dtype=np.int64) for name, values in classes.items()}
        ndcg = {name: np.full(len(values), np.nan) for name, values in classes.items()}
        for modality, opposite in (("x", "y"), ("y", "x")):
            is_searched = is_query[modality]
            if known_results:
                ranks[modality], ndcg[modality], is_searched = known_results[modality]
            queries = np.flatnonzero(is_searched)
            if not len(queries):
                continue
            query_rows, corpora = corrected_x_and_y(correction, rows[modality][queries], rows, modality)
            corpus = np.concatenate([corpora[modality], corpora[opposite]])
            corpus_classes = np.concatenate([classes[modality], classes[opposite]])
            ranks[modality][queries], ndcg[modality][queries] = search_corpus_of_both(
                query_rows, queries, corpus, corpus_classes, len(classes[modality])
            )
        if not any(mask.any() for mask in is_query.values()):
            raise InputError(f"two-sided search {MISSING}")
        return cls(ranks["x"], ranks["y"], ndcg["x"], ndcg["y"], matches.y_items)

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
    joint = joint_results(data)
    results = {} if joint is None else joint.two_sided
    search = TwoSidedSearch._of_classes(data.x, data.y, data.matches, labels, data.correction, results)
    per_item = {"two_sided_NDCG@10": search.per_item(search.x_ndcg, search.y_ndcg)}
    for column, modality in enumerate(("same", "other")):
        per_item |= {f"{modality}_target_R@{k}": search.hits(k, column) for k in (1, TOP)}
    per_item["two_sided_R@1"] = (per_item["same_target_R@1"] + per_item["other_target_R@1"]) / 2
    return TaskScores(per_item)
