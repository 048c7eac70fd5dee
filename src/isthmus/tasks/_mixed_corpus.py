"""Search of one corpus that holds rows of both modalities: ranks, shares and the hits of the exchange score."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from isthmus.compute.topk import score_matrices
from isthmus.tasks.ranks import TIE

#: Number of best rows that NDCG, the share of the same modality and the exchange score look at.
TOP = 10


class QueryResults(NamedTuple):
    """Results of the queries of one modality, filled corpus by corpus. A row that is not a query has rank 0 and NaN.

    Attributes
    ----------
    ranks : rank of the best row of the target item
    ndcg : NDCG@10
    same_modality : share of the top 10, without the target, in the modality of the query
    expected : expected value of that share
    restricted : 1 if a search in the modality of the target finds the target first, otherwise 0
    exchanged : 1 if the target is first after it has been moved to the modality of the query, otherwise 0
    """

    ranks: np.ndarray
    ndcg: np.ndarray
    same_modality: np.ndarray
    expected: np.ndarray
    restricted: np.ndarray
    exchanged: np.ndarray

    @classmethod
    def empty(cls, size: int) -> QueryResults:
        """Return rank 0 and NaN for every row."""
        return cls(np.zeros(size), *(np.full(size, np.nan) for _ in range(5)))


class MixedCorpus(NamedTuple):
    """A corpus as the queries of one modality see it.

    Attributes
    ----------
    own : (n_own, d), stored rows of the modality of the queries
    other : (n_other, d), stored rows of the other modality, sorted by item. All targets are among them
    items : (n_other,), item of each of the other rows
    """

    own: np.ndarray
    other: np.ndarray
    items: np.ndarray


def search_corpus(queries: np.ndarray, targets: np.ndarray, corpus: MixedCorpus) -> QueryResults:
    """Search the target item of each query.

    One product of scores gives all results. Ties count against the query.

    Parameters
    ----------
    queries : (n, d) array
        Queries of one modality.
    targets : (n,) int array
        Item that each query looks for.
    corpus : MixedCorpus
        Stored rows.

    Returns
    -------
    QueryResults
        A value for each query.
    """
    n_own, n_other = len(corpus.own), len(corpus.other)
    begins, ends = np.searchsorted(corpus.items, targets), np.searchsorted(corpus.items, targets, side="right")
    n_relevant = ends - begins
    max_relevant = int(np.max(n_relevant))
    columns = begins[:, None] + np.arange(max_relevant)
    is_relevant = columns < ends[:, None]
    columns = np.minimum(columns, n_other - 1)
    rows = np.concatenate([corpus.other, corpus.own])
    slack = TIE * float(np.finfo(np.result_type(queries, rows)).eps)
    n_nearest = min(TOP, len(rows) - max_relevant)
    n_compared = min(TOP, n_own, n_other - max_relevant)
    ideal_gains = np.cumsum(1 / np.log2(2 + np.arange(TOP)))
    results = QueryResults.empty(len(queries))
    best = BestScores.empty(len(queries))
    (matrix,) = score_matrices(queries, rows)
    for block in matrix.blocks():
        scores = matrix.tile(block)
        relevant, above = matrix.rank_relevant(scores, block, columns, is_relevant, slack)
        ranks = np.where(np.isfinite(relevant), 1 + above + np.arange(max_relevant), 0)
        results.ranks[block] = ranks[:, 0]
        ideal = ideal_gains[np.minimum(n_relevant[block], TOP) - 1]
        results.ndcg[block] = discounted_gain(ranks, TOP).sum(axis=1) / ideal
        other = _largest(matrix, scores[:, :n_other])
        own = _largest(matrix, scores[:, n_other:])
        nearest = np.argpartition(-np.concatenate([other, own], axis=1), n_nearest - 1, axis=1)[:, :n_nearest]
        results.same_modality[block] = (nearest >= other.shape[1]).mean(axis=1)
        best.put(block, relevant[:, 0], relevant[:, 0] - slack, own, other, n_compared)
    results.expected[:] = n_own / (len(rows) - n_relevant)
    restricted, exchanged = best.hits(slack)
    results.restricted[:], results.exchanged[:] = restricted, exchanged
    return results


class BestScores(NamedTuple):
    """Scores of the target and of its best competitors in both modalities, (n,) each, -inf without a competitor.

    Attributes
    ----------
    target : score of the best row of the target item
    threshold : the score that ties with the target
    own, other : best competitor in the modality of the query, and in the modality of the target
    own_mean, other_mean : means of the ten best competitors
    """

    target: np.ndarray
    threshold: np.ndarray
    own: np.ndarray
    other: np.ndarray
    own_mean: np.ndarray
    other_mean: np.ndarray

    @classmethod
    def empty(cls, size: int) -> BestScores:
        """Return -inf everywhere."""
        return cls(*(np.full(size, -np.inf) for _ in range(6)))

    def put(
        self,
        block: slice,
        target: np.ndarray,
        threshold: np.ndarray,
        own: np.ndarray,
        other: np.ndarray,
        n_compared: int,
    ) -> None:
        """Store the scores of a block of queries. `own` and `other` are in descending order."""
        self.target[block], self.threshold[block] = target, threshold
        for scores, first, mean in ((own, self.own, self.own_mean), (other, self.other, self.other_mean)):
            if scores.shape[1]:
                first[block] = scores[:, 0]
            if n_compared > 0:
                mean[block] = scores[:, :n_compared].mean(axis=1, dtype=np.float64)

    def spread_ratio(self) -> float:
        """Return the mean lead of the best own row over its ten best, relative to that of the other modality.

        It is 1 if there is nothing to compare.
        """
        with np.errstate(invalid="ignore"):
            own, other = float(np.mean(self.own - self.own_mean)), float(np.mean(self.other - self.other_mean))
        return own / other if np.isfinite(own) and np.isfinite(other) and other > 0 else 1.0

    def hits(self, slack: float) -> tuple[np.ndarray, np.ndarray]:
        """Return whether each query finds its target in a restricted search, and after the exchange of modalities.

        In the exchanged corpus the target stands among the own rows. Its lead over the best own row is its lead over
        the best other row, times the ratio of the spreads of the two modalities.
        """
        restricted = self.other < self.threshold
        with np.errstate(invalid="ignore"):  # -inf minus -inf, where a modality has no competitor
            margin, difference = self.target - self.other, self.own - self.other
            beats_other = (difference > 0) | (self.spread_ratio() * margin + difference > slack)
        return restricted, restricted & beats_other


def discounted_gain(ranks: np.ndarray, k: int) -> np.ndarray:
    """Return 1 / log2(1 + rank) for ranks from 1 to k, otherwise 0.

    Parameters
    ----------
    ranks : np.ndarray
        Ranks, 0 for none.
    k : int
        Largest rank that counts.

    Returns
    -------
    np.ndarray
        Gains of the same shape.
    """
    return np.where((ranks > 0) & (ranks <= k), 1 / np.log2(1 + np.maximum(ranks, 1)), 0.0)


def corrected_rows(
    correction: Any, queries: np.ndarray, stored: dict[str, np.ndarray], modality: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return queries of one modality and the stored rows of all, such that inner products are corrected scores.

    Parameters
    ----------
    correction : object or None
        Score correction. None leaves the rows as they are.
    queries : (n, d) array
        Queries.
    stored : dict of str to (m, d) array
        Stored rows by modality.
    modality : str
        Modality of the queries.

    Returns
    -------
    queries : (n, d') array
        Corrected queries.
    stored : dict of str to (m, d') array
        Corrected rows by modality.
    """
    if correction is None:
        return queries, stored
    return correction.query(queries, modality=modality, index="exact"), {
        name: correction.stored(rows, modality=name, queries=modality) for name, rows in stored.items()
    }


def _largest(matrix: Any, scores: Any) -> np.ndarray:
    """Return the ten largest scores of each row, in descending order."""
    if not scores.shape[1]:
        return np.empty((len(scores), 0))
    largest: np.ndarray = matrix.topk(scores, min(TOP, scores.shape[1])).scores
    return largest


def count_ahead(scores: np.ndarray, irrelevant: np.ndarray, slack: float) -> np.ndarray:
    """Return how many irrelevant scores (b, k) reach each score (b, r), where ties count, as integers (b, r)."""
    return (irrelevant[:, None, :] >= scores[:, :, None] - slack).sum(axis=2)
