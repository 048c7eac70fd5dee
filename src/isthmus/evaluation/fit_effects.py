"""Effects of fitting items on the scores of held-out items, from fits without each of a few groups of items.

An item moves a score in the splits that hold it out, and through the fit in the other splits, with the same or the
opposite sign. Both belong to one item, so that the variance of the mean over splits needs their products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from isthmus.align import (
    CSLS,
    Aligner,
    BankNormalization,
    InvertedSoftmax,
    MeanRotation,
    ScoreCalibration,
    ScoreCorrection,
    ScoreStandardization,
)
from isthmus.compute.arrays import to_numpy
from isthmus.data.pairs import Pairs
from isthmus.evaluation.reduced_fits import N_FIT_GROUPS, reduced_rows, reduced_terms
from isthmus.evaluation.stored_effects import items_of_rows
from isthmus.statistics.median import linear_median
from isthmus.tasks import TaskData
from isthmus.tasks._mixed_corpus import TOP, QueryResults, SearchedScores, stored_items
from isthmus.utils.errors import IsthmusWarning
from isthmus.utils.warning import without_warnings

#: Most scores of queries and stored rows of one direction, and of the products of a row map.
MAX_SCORES, MAX_MAP_PRODUCTS = 2**18, 2**20
#: Queries of each modality, a random sample, on which the effects are computed, for this number of stored rows. More
#: stored rows meet fewer queries.
MAX_QUERIES, MAX_STORED, MIN_QUERIES = 128, 400, 64
#: Fewest fitting items, two for each group.
MIN_FIT_ITEMS = 2 * N_FIT_GROUPS
#: Units of rounding of the largest score up to which two scores tie.
TIE = 64
#: Aligners whose fit moves all queries together, so much that its effects are computed. Other row maps hardly depend on
#: a few items.
FITS_TO_LEAVE_OUT = (
    ScoreCalibration, ScoreStandardization, CSLS, InvertedSoftmax, BankNormalization, MeanRotation,
)  # fmt: skip
#: Numerators and denominators of ratios of two means.
RATIOS = {
    "mixed_share_of_restricted": ("mixed_R@1", "restricted_R@1"),
    "fairness": ("kept_R@1", "restricted_R@1"),
    "same_modality_ratio": ("same_modality_share", "expected_share"),
}


class FitEffect(NamedTuple):
    """Effects of groups of fitting items on a score.

    Attributes
    ----------
    sums : (N_FIT_GROUPS,), effect of each group, with the mean 0
    variance : variance of the score from its fit, without that of pairs of a group and a query. It may be below 0
    """

    sums: np.ndarray
    variance: float


@without_warnings(IsthmusWarning)  # the fits without a group are no fits of the user
def fit_effects(
    data: TaskData, fitted: Aligner, rows: tuple[np.ndarray, np.ndarray], fit: Pairs, random_group: np.ndarray, /
) -> dict[str, FitEffect]:
    """Return the effects of groups of fitting items on scores of retrieval and mixed search.

    Parameters
    ----------
    data : TaskData
        Held-out rows after the map, and the tasks.
    fitted : Aligner
        Score correction of raw rows, or row map that is fitted to moments.
    rows : tuple of np.ndarray
        Held-out rows before the map.
    fit : Pairs
        Fitting pairs.
    random_group : np.ndarray of shape (n_items,)
        Random group of each fitting item, of `isthmus.evaluation.split_variance.N_GROUPS`. Items that share a row of y
        have one group.

    Returns
    -------
    dict of str to FitEffect
        Effects by score. Empty for other aligners than `FITS_TO_LEAVE_OUT`, below `MIN_FIT_ITEMS`, beyond
        `MAX_SCORES`, and if rows of both modalities have several matches.

    Notes
    -----
    Without a group of m of n items a score changes by -m / (n - m) times the effect of this group.
    """
    items = items_of_rows(data.matches)
    if type(fitted) not in FITS_TO_LEAVE_OUT or fit.n_components < MIN_FIT_ITEMS or items is None:
        return {}
    group = random_group % N_FIT_GROUPS
    n_rows = max(map(len, items.values()))
    if int(items["x"].max()) < TOP + 2 or max(n_rows, len(fit.owner)) ** 2 > MAX_SCORES:
        return {}
    y_rows = data.matches.y_rows
    rows, mapped = ((to_numpy(x), to_numpy(y[y_rows])) for x, y in (rows, (data.x, data.y)))
    if isinstance(fitted, ScoreCorrection):
        if fitted.row_map is not None or fitted.bank != "sample":
            return {}
        all_scores = _scores_of_corrections(fitted, rows, fit, group)
    elif data.x.shape[1] * len(items["x"]) * len(items["y"]) <= MAX_MAP_PRODUCTS:
        all_scores = _scores_of_maps(fitted, mapped, rows, fit, group)
    else:
        return {}
    # Items that share a row of y are one item, whichever modality repeats.
    group_of_component = group[np.unique(fit.components, return_index=True)[1]]
    factors = np.bincount(group_of_component, minlength=N_FIT_GROUPS) / len(group_of_component) - 1
    full_values, changes = [], []
    directions = [_Direction(data, items, query) for query in "xy"]
    collected = [[scores(d.query, d.numbers) for d in directions] for scores in all_scores]
    for direction, scores in zip(directions, zip(*collected, strict=True), strict=True):
        between, within = (np.stack(arrays) for arrays in zip(*scores, strict=True))
        values = direction.values(between, within)
        full_values.append({name: array[0] for name, array in values.items()})
        changes.append({name: factors[:, None] * (array[1:] - array[0]) for name, array in values.items()})
    _add_ratios(full_values, changes)
    return {name: _effect([change[name] for change in changes]) for name in changes[0]}


def _effect(changes: list[np.ndarray]) -> FitEffect:
    """Return the effect from the changes of queries (groups, queries) in both directions."""
    sums = np.sum([change.mean(axis=1) for change in changes], axis=0) / len(changes)
    of_pairs = sum(float(np.vdot(change, change)) / (len(changes) * change.shape[1]) ** 2 for change in changes)
    sums = sums - sums.mean()
    return FitEffect(sums, N_FIT_GROUPS / (N_FIT_GROUPS - 1) * float(sums @ sums) - of_pairs)


def _add_ratios(full_values: list[dict[str, np.ndarray]], changes: list[dict[str, np.ndarray]]) -> None:
    """Add the changes of ratios of two means, which are linearised."""
    for name, (numerator, denominator) in RATIOS.items():
        if numerator not in changes[0]:
            continue
        means = [float(np.mean([values[key].mean() for values in full_values])) for key in (numerator, denominator)]
        if means[1] > 0:
            for change in changes:
                change[name] = (change[numerator] - means[0] / means[1] * change[denominator]) / means[1]


#: Scores of a few queries against the stored rows of the other and of their own modality.
QueryScores = Callable[[str, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _scores_of_corrections(
    correction: ScoreCorrection, rows: tuple[np.ndarray, np.ndarray], fit: Pairs, group: np.ndarray
) -> Iterator[QueryScores]:
    """Yield the scores of the whole fit, and then without each group of fitting items."""
    named = dict(zip("xy", rows, strict=True))
    products: dict[str, list[np.ndarray]] = {}

    def scores_with(terms: Any) -> QueryScores:
        def scores(query: str, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            target = "y" if query == "x" else "x"
            if query not in products:
                products[query] = [named[query][numbers] @ named[stored].T for stored in (target, query)]
            between, within = (
                product / product.dtype.type(scale)
                + of_stored.astype(product.dtype)
                + of_query[numbers, None].astype(product.dtype)
                for product, (scale, of_stored, of_query) in zip(
                    products[query], (terms[query, target], terms[query, query]), strict=True
                )
            )
            return between, within

        return scores

    yield from map(scores_with, reduced_terms(correction, named, fit, group))


def _scores_of_maps(
    aligner: Aligner,
    mapped: tuple[np.ndarray, np.ndarray],
    rows: tuple[np.ndarray, np.ndarray],
    fit: Pairs,
    group: np.ndarray,
) -> Iterator[QueryScores]:
    """Yield the scores of the whole fit, and then without each group of fitting items."""

    def scores_of(x: np.ndarray, y: np.ndarray) -> QueryScores:
        def scores(query: str, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            queries, targets = (x, y) if query == "x" else (y, x)
            return queries[numbers] @ targets.T, queries[numbers] @ queries.T

        return scores

    yield scores_of(*mapped)
    for x, y in reduced_rows(aligner, rows, fit, group):
        yield scores_of(x, y)


class _Direction:
    """A sample of the queries of one modality, and what they search.

    Parameters
    ----------
    data : TaskData
        Held-out rows.
    items : dict of str to np.ndarray
        Items of the distinct rows of both modalities.
    query : {'x', 'y'}
        Modality of the queries.
    """

    def __init__(self, data: TaskData, items: dict[str, np.ndarray], query: str):
        query_items, target_items = items[query], items["y" if query == "x" else "x"]
        scale = min(MAX_STORED / (len(query_items) + len(target_items)), 1.0)
        n_queries = max(round(MAX_QUERIES * scale**2), MIN_QUERIES)
        sample = np.random.default_rng(data.seed).permutation(len(query_items))[:n_queries]
        self.query, self.tasks = query, data.tasks
        self.numbers = np.sort(sample[np.isin(query_items[sample], target_items)])
        half, item_of_query = stored_items(int(items["x"].max()) + 1, 0.5, data.seed), query_items[self.numbers]
        self.half = half[item_of_query]  # in which of the two corpora each query searches
        self.is_match = item_of_query[:, None] == target_items
        self.is_stored_other = self.half[:, None] == half[target_items]
        self.is_stored_own = self.half[:, None] != half[query_items]
        # The columns of the matches come first, in a stable order.
        self.columns = np.argsort(~self.is_match, axis=1, kind="stable")[:, : int(self.is_match.sum(axis=1).max())]
        self.is_relevant = np.take_along_axis(self.is_match, self.columns, axis=1)

    def values(self, between: np.ndarray, within: np.ndarray) -> dict[str, np.ndarray]:
        """Return a value of each query for each score, (fits, n_queries), from scores (fits, n_queries, n_stored).

        The first fit is that on all fitting items.
        """
        slack = TIE * float(np.finfo(between.dtype).eps) * float(np.abs(between).max())
        relevant = np.take_along_axis(between, self.columns[None], axis=2)
        relevant = -np.sort(-np.where(self.is_relevant, relevant, -np.inf), axis=2)
        irrelevant = np.where(self.is_match, -np.inf, between)
        values: dict[str, np.ndarray] = {}
        if "retrieval" in self.tasks:
            ranks = 1 + np.count_nonzero(irrelevant >= relevant[:, :, :1] - slack, axis=2)
            values = {f"R@{k}": (ranks <= k).astype(float) for k in (1, 5, 10)}
            of_ranks = linear_median(ranks[0])
            values |= {"MRR": 1 / ranks, "median_rank": of_ranks[np.minimum(ranks, len(of_ranks) - 1)]}
        if "mixed_search" in self.tasks:
            values |= self._mixed_values(relevant, irrelevant, within, slack)
        return values

    def _mixed_values(
        self, relevant: np.ndarray, irrelevant: np.ndarray, within: np.ndarray, slack: float
    ) -> dict[str, np.ndarray]:
        stored = np.where(self.is_stored_own, within, -np.inf), np.where(self.is_stored_other, irrelevant, -np.inf)
        above = [
            sum(np.count_nonzero(scores >= match[:, :, None] - slack, axis=2) for scores in stored)
            for match in np.moveaxis(relevant, 2, 0)
        ]
        largest = [-np.sort(-np.partition(scores, -TOP, axis=2)[:, :, -TOP:], axis=2) for scores in stored]
        corpus_values = [np.empty(relevant.shape[:2]) for _ in QueryResults._fields]
        for queries in (self.half, ~self.half):
            if not queries.any():
                continue
            # Queries of one half search one corpus.
            n_own, n_other = (int(mask[queries][0].sum()) for mask in (self.is_stored_own, self.is_stored_other))
            n_relevant = int(self.is_relevant[queries].sum(axis=1).max())
            of_relevant = relevant[:, :, :n_relevant], np.stack(above[:n_relevant], axis=2)
            arrays = [array[:, queries] for array in (*of_relevant, *largest)]
            searched = SearchedScores(*(array.reshape(-1, array.shape[2]) for array in arrays))
            for values, of_queries in zip(corpus_values, searched.results(n_own, n_other, slack), strict=True):
                values[:, queries] = of_queries.reshape(len(relevant), -1)
        results = QueryResults(*corpus_values)  # all fits together give the ratio of the spreads of an exchanged corpus
        hits = (results.ranks == 1).astype(float)
        exchange = (hits + results.exchanged) / 2
        return {
            "mixed_R@1": hits,
            "exchange_R@1": exchange,
            "mixed_R@10": (results.ranks <= TOP).astype(float),
            "mixed_MRR": 1 / results.ranks,
            "mixed_NDCG@10": results.ndcg,
            "same_modality_share": results.same_modality,
            "expected_share": results.expected,
            "restricted_R@1": results.restricted,
            "kept_R@1": 2 * exchange - results.restricted,
        }
