"""Search of one corpus that holds rows of both modalities: ranks, shares and the hits of the exchange score."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from isthmus.compute.topk import score_matrices
from isthmus.tasks.ranks import TIE
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

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
    max_relevant = int(np.max(ends - begins))
    columns = begins[:, None] + np.arange(max_relevant)
    is_relevant = columns < ends[:, None]
    columns = np.minimum(columns, n_other - 1)
    rows = np.concatenate([corpus.other, corpus.own])
    slack = TIE * float(np.finfo(np.result_type(queries, rows)).eps)
    (matrix,) = score_matrices(queries, rows)
    blocks = []
    for block in matrix.blocks():
        scores = matrix.tile(block)
        relevant, above = matrix.rank_relevant(scores, block, columns, is_relevant, slack)
        blocks.append(
            SearchedScores(
                relevant, above, _largest(matrix, scores[:, n_other:]), _largest(matrix, scores[:, :n_other])
            )
        )
    searched = SearchedScores(*(np.concatenate(arrays) for arrays in zip(*(b[:4] for b in blocks), strict=True)))
    return searched.results(n_own, n_other, slack)


class SearchedScores(NamedTuple):
    """Scores that a search of one corpus has found for each query, -inf where there is none.

    Attributes
    ----------
    relevant : (n, r), scores of the rows of the target item in descending order
    above : (n, r), number of other rows that reach each of them, where ties count
    own, other : (n, any), ten largest scores of other items in the modality of the query, and in that of the target
    restricted : (n,), whether a search in the modality of the target finds it first. None compares `other` with it
    """

    relevant: np.ndarray
    above: np.ndarray
    own: np.ndarray
    other: np.ndarray
    restricted: np.ndarray | None = None

    def results(self, n_own: int, n_other: int, slack: float) -> QueryResults:
        """Return the results of the queries, from the numbers of stored rows and the difference that still ties."""
        is_relevant = np.isfinite(self.relevant)
        n_relevant, max_relevant = is_relevant.sum(axis=1), self.relevant.shape[1]
        ranks = np.where(is_relevant, 1 + self.above + np.arange(max_relevant), 0)
        ideal_gains = np.cumsum(1 / np.log2(2 + np.arange(TOP)))
        ndcg = discounted_gain(ranks, TOP).sum(axis=1) / ideal_gains[np.minimum(n_relevant, TOP) - 1]
        n_nearest = min(TOP, n_own + n_other - max_relevant)
        largest = np.concatenate([self.other, self.own], axis=1)
        nearest = np.argpartition(-largest, n_nearest - 1, axis=1)[:, :n_nearest]
        same_modality = (nearest >= self.other.shape[1]).mean(axis=1)
        expected = n_own / (n_own + n_other - n_relevant)
        restricted, exchanged = self._hits(min(TOP, n_own, n_other - max_relevant), slack)
        return QueryResults(
            ranks[:, 0].astype(float), ndcg, same_modality, expected, restricted.astype(float), exchanged.astype(float)
        )

    def _hits(self, n_compared: int, slack: float) -> tuple[np.ndarray, np.ndarray]:
        """Return whether each query finds its target in a restricted search, and after the exchange of modalities.

        In the exchanged corpus the target stands among the own rows. Its lead over the best own row is its lead over
        the best other row, times the ratio of the spreads of the two modalities.
        """
        target, threshold = self.relevant[:, 0], (self.relevant[:, 0] - slack).astype(np.float64)
        first = [
            scores[:, 0].astype(np.float64) if scores.shape[1] else np.full(len(target), -np.inf)
            for scores in (self.own, self.other)
        ]
        own_best, other_best = first
        ratio = 1.0  # there is nothing to compare
        if n_compared > 0:
            leads = [
                float(np.mean(best - scores[:, :n_compared].mean(axis=1, dtype=np.float64)))
                for best, scores in zip(first, (self.own, self.other), strict=True)
            ]
            ratio = leads[0] / leads[1] if leads[1] > 0 else 1.0
        restricted = other_best < threshold if self.restricted is None else self.restricted
        with np.errstate(invalid="ignore"):  # -inf minus -inf, where a modality has no competitor
            margin, difference = target - other_best, own_best - other_best
            beats_other = (difference > 0) | (ratio * margin + difference > slack)
        return restricted, restricted & beats_other


def stored_items(n_items: int, share: float, rng: int | np.random.Generator) -> np.ndarray:
    """Return which items are stored as x, (n_items,), a random draw of this share."""
    n_as_x = n_items // 2 if share == 0.5 else round(share * n_items)
    if n_items < 2 or not 0 < n_as_x < n_items:
        raise InputError(f"a share of {share:g} of {counted(n_items, 'item')} leaves one modality of the corpus empty")
    is_stored: np.ndarray = np.random.default_rng(rng).permutation(n_items) < n_as_x
    return is_stored


def search_both(
    rows: dict[str, np.ndarray],
    items: dict[str, np.ndarray],
    stored_as_x: np.ndarray,
    results: dict[str, QueryResults],
    correction: Any,
) -> None:
    """Search one corpus with the queries of both modalities, and write their results.

    `rows` and `items` hold the rows of both modalities and the item of each of them.
    """
    is_stored = {"x": stored_as_x[items["x"]], "y": ~stored_as_x[items["y"]]}
    positions = {}
    for name, mask in is_stored.items():
        stored_rows = np.flatnonzero(mask)
        positions[name] = stored_rows[np.argsort(items[name][stored_rows], kind="stable")]
    stored = {name: rows[name][place] for name, place in positions.items()}
    for modality, other in (("x", "y"), ("y", "x")):
        query_rows = np.flatnonzero(~is_stored[modality])
        if not len(query_rows):
            continue
        targets = items[modality][query_rows]
        queries, corpora = corrected_x_and_y(correction, rows[modality][query_rows], stored, modality)
        corpus = MixedCorpus(corpora[modality], corpora[other], items[other][positions[other]])
        values = search_corpus(queries, targets, corpus)
        for target_array, query_values in zip(results[modality], values, strict=True):
            target_array[query_rows] = query_values


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


def corrected_x_and_y(
    correction: Any, queries: np.ndarray, stored: dict[str, np.ndarray], modality: str
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """As `corrected_rows`, for the modalities 'x' and 'y' of pairs, whatever names the correction has for them.

    The names are those of files, and the first file may be called y.
    """
    if correction is None:
        return queries, stored
    names = dict(zip("xy", getattr(correction, "modalities", "xy"), strict=False))
    named = {names[key]: rows for key, rows in stored.items()}
    corrected_queries, corrected = corrected_rows(correction, queries, named, names[modality])
    return corrected_queries, {key: corrected[names[key]] for key in stored}


def _largest(matrix: Any, scores: Any) -> np.ndarray:
    """Return the ten largest scores of each row, in descending order."""
    if not scores.shape[1]:
        return np.empty((len(scores), 0))
    largest: np.ndarray = matrix.topk(scores, min(TOP, scores.shape[1])).scores
    return largest


def count_ahead(scores: np.ndarray, irrelevant: np.ndarray, slack: float) -> np.ndarray:
    """Return how many irrelevant scores (b, k) reach each score (b, r), where ties count, as integers (b, r)."""
    return (irrelevant[:, None, :] >= scores[:, :, None] - slack).sum(axis=2)
