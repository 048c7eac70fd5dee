"""Cross-modal retrieval: the rank of the match among all items of the other modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from isthmus.compute.topk import topk
from isthmus.statistics.intervals import wilson_interval
from isthmus.statistics.median import median_influence
from isthmus.statistics.result import Estimate
from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._corpus_effects import CorpusEffect, corpus_effects
from isthmus.tasks._joint_search import joint_results
from isthmus.tasks._mixed_corpus import corrected_x_and_y
from isthmus.tasks._per_item import mean_per_item
from isthmus.tasks.matches import Matches
from isthmus.tasks.ranks import matching_ranks

#: Function of numbers of queries (m,) and a length, which returns their nearest rows of the corpus, (m, length).
NearestRows = Callable[[np.ndarray, int], np.ndarray]
#: Numbers of ranks whose recall has an interval for queries that share a corpus.
RECALL_RANKS = (1, 5, 10)


@dataclass(frozen=True)
class Retrieval:
    """Ranks of the best match in both directions. 1 is best, and ties count against the query.

    Parameters
    ----------
    x_to_y : np.ndarray of shape (n_queries,)
        Rank of the best match of each item. Items without a row of y are left out.
    y_to_x : np.ndarray of shape (n_y,)
        Rank of the best match of each row of y among all items.
    items, rows : int
        Numbers of rows of x and of y.
    owner : np.ndarray of shape (n_y,) or None
        Number of the component of each row of y: queries of one component are not independent. None if all are.
    x_owner : np.ndarray of shape (n_queries,), optional
        The same for the queries of `x_to_y`. Default: all are independent.
    x_matches, y_matches : np.ndarray of shape (n_queries,) and (n_y,), optional
        Number of matches of each query. Default: one for each row of y, and as many for each query of x.
    effects_x, effects_y : dict of CorpusEffect, optional
        Effects of the rows that queries of x, and of y, share in the corpus, for each k of R@k. Default: none are
        known, and the queries of different components are taken to be independent.

    References
    ----------
    Karpathy and Fei-Fei 2015, arXiv 1412.2306.

    Examples
    --------
    >>> import numpy as np
    >>> ranks = Retrieval.of(np.eye(2), np.array([[0.8, 0.6], [1.0, 0.0], [0.6, 0.8]]), index=[0, 1, 1])
    >>> ranks.x_to_y.tolist(), ranks.y_to_x.tolist()
    ([2, 1], [1, 2, 1])
    """

    x_to_y: np.ndarray
    y_to_x: np.ndarray
    items: int
    rows: int
    owner: np.ndarray | None
    x_owner: np.ndarray | None = None
    x_matches: np.ndarray | None = None
    y_matches: np.ndarray | None = None
    effects_x: Mapping[int, CorpusEffect] = field(default_factory=dict)
    effects_y: Mapping[int, CorpusEffect] = field(default_factory=dict)

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, /, *, index: Any = None, y_groups: Any = None) -> Retrieval:
        """Return the ranks of pairs of unit rows.

        Parameters
        ----------
        x, y : np.ndarray of shape (n_x, d) and (n_y, d)
            Unit rows.
        index : array-like of shape (n_y,), optional
            Item of each row of y. Default: row j belongs to item j.
        y_groups : array-like of shape (n_y,), optional
            Number of the distinct row of y, such as a caption that several images share. Each distinct row is one
            query and one row of the corpus, and all its items match it. Default: all rows of y are distinct.

        Returns
        -------
        Retrieval
            Ranks in both directions.
        """
        matches = Matches.of(len(x), len(y), index, y_groups)
        y = y[matches.y_rows]
        ranks_x, ranks_y = matching_ranks(x, y, matches.owner, matches.columns)
        owner: np.ndarray | None = matches.y_components
        x_owner: np.ndarray | None = None
        if matches.columns is not None:
            x_owner = _unless_distinct(matches.x_components[ranks_x > 0])
            owner = _unless_distinct(matches.y_components)
        ranks = cls(
            ranks_x[ranks_x > 0],
            ranks_y,
            items=len(x),
            rows=len(ranks_y),
            owner=owner,
            x_owner=x_owner,
            x_matches=matches.x_counts[ranks_x > 0],
            y_matches=matches.y_counts,
        )
        return ranks.with_corpus_effects(
            matches, ranks_x, lambda q, k: nearest_rows(x, y, q, k), lambda q, k: nearest_rows(y, x, q, k)
        )

    def with_corpus_effects(
        self, matches: Matches, ranks_x: np.ndarray, nearest_y: NearestRows, nearest_x: NearestRows, /
    ) -> Retrieval:
        """Return the same ranks with the effects of the corpus on the sampling error of R@k.

        Parameters
        ----------
        matches : Matches
            Matching pairs.
        ranks_x : np.ndarray of shape (n_x,)
            Rank of the best match of each row of x, or 0 for a row without a match.
        nearest_y, nearest_x : callable
            Functions of numbers of queries (m,) and a length, which return the nearest rows of y for queries of x, and
            of x for queries of y, (m, length).

        Returns
        -------
        Retrieval
            Ranks whose recall has intervals for queries that share a corpus.
        """
        rows = np.arange(len(matches.owner)) if matches.columns is None else matches.columns
        x_owner, y_owner = matches.x_components, matches.y_components
        return replace(
            self,
            effects_x=corpus_effects(
                ranks_x, nearest_y, ks=RECALL_RANKS, owner=x_owner, row_owner=y_owner, pairs=(matches.owner, rows)
            ),
            effects_y=corpus_effects(
                self.y_to_x, nearest_x, ks=RECALL_RANKS, owner=y_owner, row_owner=x_owner, pairs=(rows, matches.owner)
            ),
        )

    def recall(self, k: int, /) -> tuple[Estimate, Estimate]:
        """Return R@k from x to y and from y to x: the share of queries whose match ranks among the first k.

        Parameters
        ----------
        k : int
            Number of ranks.

        Returns
        -------
        tuple of Estimate
            Shares with Wilson's intervals and the share by chance. Captions of one item count as independent queries
            only as far as their ranks differ (design effect of the clusters). Queries with the same rows before
            their matches count as dependent.
        """
        x_matches = np.array([self.rows / max(len(self.x_to_y), 1)]) if self.x_matches is None else self.x_matches
        y_matches = np.ones(1) if self.y_matches is None else self.y_matches
        return (
            _share(self.x_to_y <= k, _chance(k, self.rows, x_matches), self.x_owner, self.effects_x.get(k)),
            _share(self.y_to_x <= k, _chance(k, self.items, y_matches), self.owner, self.effects_y.get(k)),
        )

    def mrr(self) -> tuple[float, float]:
        """Return the mean reciprocal rank from x to y and from y to x.

        Returns
        -------
        tuple of float
            Means in (0, 1] (Voorhees 1999).
        """
        return float(np.mean(1 / self.x_to_y)), float(np.mean(1 / self.y_to_x))

    def median_rank(self) -> tuple[float, float]:
        """Return the median rank from x to y and from y to x.

        Returns
        -------
        tuple of float
            Medians. The best is 1.
        """
        return float(np.median(self.x_to_y)), float(np.median(self.y_to_x))


def nearest_rows(queries: np.ndarray, corpus: np.ndarray, numbers: np.ndarray, length: int, /) -> np.ndarray:
    """Return the nearest rows of the corpus for some of the queries, (m, length)."""
    return topk(queries[numbers], corpus, k=length, exclude_self=False).index


@task(
    "retrieval",
    scores={
        "R@1": Score("higher", "share of queries whose match ranks first, mean of both directions"),
        "R@5": Score("higher", "share of queries whose match ranks among the first 5, mean of both directions"),
        "R@10": Score("higher", "share of queries whose match ranks among the first 10, mean of both directions"),
        "MRR": Score("higher", "mean of 1 / rank of the match, mean of both directions"),
        "median_rank": Score("lower", "median rank of the match, mean of both directions", (1, np.inf)),
    },
    source="Karpathy and Fei-Fei 2015, arXiv 1412.2306",
)
def retrieval(data: TaskData) -> TaskScores:
    """Search the rows of the other modality for the match of each row.

    If a row has several matches, the best one counts. Equal rows are one query. Ties count against the query.
    """
    matches = data.matches
    ranks_x, ranks_y = _ranks(data)
    queries = np.flatnonzero(ranks_x)

    def mean_of_directions(gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        from_x = mean_per_item(gain(ranks_x[queries]), queries, data.n_items)
        return (from_x + mean_per_item(gain(ranks_y), matches.y_items, data.n_items)) / 2

    def hits_at(k: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda ranks: (ranks <= k).astype(float)

    per_item = {f"R@{k}": mean_of_directions(hits_at(k)) for k in (1, 5, 10)}
    per_item["MRR"] = mean_of_directions(lambda ranks: 1 / ranks)
    medians = (np.median(ranks_x[queries]), np.median(ranks_y))
    influence = {"median_rank": mean_of_directions(median_influence)}
    return TaskScores(per_item, {"median_rank": float(np.mean(medians))}, influence)


def _ranks(data: TaskData) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of the matches of the rows of x and of y, by corrected scores if there is a correction."""
    if (joint := joint_results(data)) is not None:
        return joint.ranks_x, joint.ranks_y
    correction, matches = data.correction, data.matches
    y_rows = data.y[matches.y_rows]
    if correction is None:
        return matching_ranks(data.x, y_rows, matches.owner, matches.columns)
    # Corrected rows are long, and ties are wider for them. In float64 they are no wider than those of the raw rows.
    x, y = np.asarray(data.x, dtype=np.float64), np.asarray(y_rows, dtype=np.float64)
    queries_x, stored_y = corrected_x_and_y(correction, x, {"y": y}, "x")
    queries_y, stored_x = corrected_x_and_y(correction, y, {"x": x}, "y")
    ranks_x = matching_ranks(queries_x, stored_y["y"], matches.owner, matches.columns)[0]
    return ranks_x, matching_ranks(stored_x["x"], queries_y, matches.owner, matches.columns)[1]


def _chance(k: int, n_corpus: int, n_relevant: np.ndarray) -> float:
    """Return the mean probability that k random draws without replacement contain one of the relevant rows.

    >>> round(_chance(1, 10, np.array([1, 3])), 6)
    0.2
    """
    from scipy.special import gammaln

    numbers, counts = np.unique(n_relevant, return_counts=True)
    n_other = np.maximum(n_corpus - numbers, k)
    log_miss = gammaln(n_other + 1) - gammaln(n_other - k + 1) - gammaln(n_corpus + 1) + gammaln(n_corpus - k + 1)
    return float(np.average(np.where(n_corpus - numbers < k, 1.0, -np.expm1(log_miss)), weights=counts))


def _share(
    hits: np.ndarray, chance: float, owner: np.ndarray | None = None, corpus: CorpusEffect | None = None
) -> Estimate:
    """Return the share of hits with Wilson's 95 % interval for as many independent queries as give its variance."""
    n_hits, n = int(np.count_nonzero(hits)), len(hits)
    effect = 1.0 if owner is None else max(1.0, _design_effect(hits, owner))
    if corpus is not None and 0 < n_hits < n:
        of_independent_queries = n_hits * (n - n_hits) / n
        effect = corpus.variance(hits, effect * of_independent_queries) / of_independent_queries
    return Estimate(n_hits / n, *wilson_interval(n_hits / effect, n / effect), chance, unit="share")


def _unless_distinct(numbers: np.ndarray) -> np.ndarray | None:
    """Return numbers, or None if no two are equal."""
    return None if len(np.unique(numbers)) == len(numbers) else numbers


def _design_effect(hits: np.ndarray, owner: np.ndarray) -> float:
    """Return the variance of the share of clustered queries, relative to independent queries (Kish 1965)."""
    share, n = float(np.mean(hits)), len(hits)
    counts = np.bincount(owner)
    if counts.max(initial=0) <= 1:  # one query for each item, as in the other direction
        return 1.0
    n_groups = int(np.count_nonzero(counts))
    if share in (0.0, 1.0) or n_groups < 2:  # without spread the queries of an item are taken to agree always
        return float(np.sum(counts**2)) / n
    totals = np.bincount(owner, weights=hits - share)
    return float(totals @ totals) / (n * share * (1 - share)) * n_groups / (n_groups - 1)
