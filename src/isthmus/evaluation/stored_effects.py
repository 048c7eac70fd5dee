"""Effects of items as stored rows on changes of the median rank and of scores of mixed search.

Each item is a query, and a stored row that the other queries meet. Both move a score. In narrow cones the same rows
precede every match. Then the ranks of the queries vary, but their median hardly does. What an item adds as a query, it
takes away as a stored row. A share of the same modality counts the stored rows themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.data.pairs import Pairs
from isthmus.data.shared_rows import computed_once
from isthmus.evaluation.pair_groups import PairGroups
from isthmus.statistics.median import linear_median
from isthmus.tasks import TaskData
from isthmus.tasks._mixed_corpus import TOP, discounted_gain, stored_items
from isthmus.tasks.matches import Matches
from isthmus.tasks.ranks import tie_slack

#: Most scores of queries and stored rows of one direction. Beyond it the effects of stored rows are not computed.
MAX_SCORES = 2**18

#: Scale of products, term of each stored row and term of each query of a score, and those of a plain product.
Terms = tuple[float, np.ndarray, np.ndarray]
PLAIN: Terms = (1.0, np.zeros(0), np.zeros(0))

#: Scores of mixed search that depend on the rank of the best match, as functions of ranks from 1.
MIXED_RANK_SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mixed_R@1": lambda ranks: (ranks <= 1).astype(float),
    "mixed_R@10": lambda ranks: (ranks <= TOP).astype(float),
    "mixed_MRR": lambda ranks: 1 / ranks,
    "mixed_NDCG@10": lambda ranks: discounted_gain(ranks, TOP),
}


class StoredEffect(NamedTuple):
    """Effects of items as stored rows on the change of a score.

    Attributes
    ----------
    values : (n_items,), effect of each item times the number of items, so that it adds to the value of a query
    pair_sums : (N_PAIR_GROUPS,), sums of the effects of pairs of a query and a stored row over random groups of pairs
    """

    values: np.ndarray
    pair_sums: np.ndarray

    @property
    def pair_variance(self) -> float:
        """Return the variance of the change that belongs to pairs of items."""
        return float(self.pair_sums @ self.pair_sums)

    def times(self, factor: float) -> StoredEffect:
        """Return the effect on a multiple of the score."""
        return StoredEffect(*(factor * effects for effects in self))

    def plus(self, other: StoredEffect) -> StoredEffect:
        """Return the effect on the sum of two scores."""
        return StoredEffect(*(left + right for left, right in zip(self, other, strict=True)))


def stored_effects(
    data: TaskData, /, *, pairs: Pairs | None = None, pair_groups: PairGroups | None = None
) -> dict[str, StoredEffect]:
    """Return the effects of items, as stored rows, on the changes of scores.

    Parameters
    ----------
    data : TaskData
        Mapped rows and raw rows.
    pairs : Pairs, optional
        Test pairs. The search of their raw rows is computed once in a block of `sharing_rows`.
    pair_groups : PairGroups, optional
        Random groups of the pairs of items, of shape (n_items,). They are the same for items of several splits.

    Returns
    -------
    dict of str to StoredEffect
        Effects on the median rank, on the shares of the same modality and on `MIXED_RANK_SCORES`, if their tasks run.
        Empty for a correction without terms, if rows of both modalities have several matches, and beyond `MAX_SCORES`.

    Notes
    -----
    The effect of an item on a query is the score of the query minus the score without the rows of the item. This
    belongs to the pair of both. It is in the value of the query already, so that the sum over the roles of an item
    counts it twice. `StoredEffect.pair_variance` is its variance, which is to be subtracted once. The products of the
    `pair_sums` of two splits are to be subtracted from their covariance. If a query has several matches, NDCG@10 is
    taken to be that of the best one.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(2, 20, 4))
    >>> effects = stored_effects(TaskData(rows[0] - 1, rows[1], raw_x=rows[0], raw_y=rows[1], tasks=["retrieval"]))
    >>> list(effects), effects["median_rank"].values.shape
    (['median_rank'], (20,))
    """
    owners = _owners(data)
    has_terms = data.correction is None or hasattr(data.correction, "score_terms")
    if owners is None or not has_terms or max(map(len, owners.values())) ** 2 > MAX_SCORES:
        return {}
    n = int(owners["x"].max()) + 1
    half = stored_items(n, 0.5, data.seed)
    pair_groups = PairGroups.random(data.n_items, 0) if pair_groups is None else pair_groups
    of_items = pair_groups.take(np.unique(owners["x"], return_index=True)[1])
    sums: dict[str, StoredEffect] = {}
    y_rows = data.matches.y_rows
    (x, y), terms = (data.x, data.y[y_rows]), {}
    if data.correction is not None:
        (x, y), terms = data.shared.get("terms") or data.correction.score_terms(x, y)
    mapped_directions = _directions({"x": to_numpy(x), "y": to_numpy(y)}, owners, half, of_items, terms)

    def search_raw() -> dict[str, _Direction]:
        raw_rows = {"x": to_numpy(data.raw_x), "y": to_numpy(data.raw_y[y_rows])}
        return _directions(raw_rows, owners, half, of_items, {}, searched=data.tasks)

    key = ("raw directions", data.seed, *data.tasks)
    raw_directions = search_raw() if pairs is None else computed_once(pairs, key, search_raw)
    for query, mapped in mapped_directions.items():
        raw, effects = raw_directions[query], {}
        if "retrieval" in data.tasks:
            effects["median_rank"] = mapped.median_effects["median_rank"].plus(
                raw.median_effects["median_rank"].times(-1)
            )
        if "mixed_search" in data.tasks:
            effects |= {n: effect.plus(raw.mixed_effects[n].times(-1)) for n, effect in mapped.mixed_effects.items()}
            of_share = mapped.effect_on_share.plus(raw.effect_on_share.times(-1))
            effects |= {
                "same_modality_share": of_share,
                "same_modality_ratio": of_share.times(1 / mapped.expected_share),
            }
        for name, effect in effects.items():
            of_mean = effect.times(1 / (2 * len(owners[query])))  # the mean over queries, and over both directions
            sums[name] = sums[name].plus(of_mean) if name in sums else of_mean
    # Rows of x that share a row of y also share its effect.
    weights = data.n_items / np.bincount(owners["x"])[owners["x"]]
    return {name: effect._replace(values=weights * effect.values[owners["x"]]) for name, effect in sums.items()}


def items_of_rows(matches: Matches, /) -> dict[str, np.ndarray] | None:
    """Return the item of each distinct row of either modality, or None if an item has several rows of both.

    Parameters
    ----------
    matches : Matches
        Matching pairs.

    Returns
    -------
    dict of str to np.ndarray or None
        Items of the rows 'x' and of the distinct rows 'y', as in mixed search: components of matching rows, or rows of
        x if one component is too large.

    Examples
    --------
    >>> rows = np.arange(60)  # two rows of x share a row of y
    >>> items_of_rows(Matches.of(60, 60, rows, rows // 2))["x"][:6].tolist()
    [0, 0, 1, 1, 2, 2]
    """
    if matches.columns is None:
        return {"x": np.arange(matches.n_items), "y": matches.owner}
    x_items, y_items = matches.items_to_search
    # Each row of one modality has one match, and no other row of the other modality is in its item.
    is_known = any(
        matches.y_counts.sum() == len(rows) and len(np.unique(items)) == len(items)
        for rows, items in ((x_items, y_items), (y_items, x_items))
    )
    return {"x": x_items, "y": y_items} if is_known else None


def _owners(data: TaskData) -> dict[str, np.ndarray] | None:
    """Return the result of `items_of_rows`, or None if an item has rows of one modality alone."""
    items = items_of_rows(data.matches)
    if items is None:
        return None
    n_items = [len(np.unique(of_rows)) for of_rows in items.values()]
    return items if n_items[0] == n_items[1] > 2 else None


def _directions(
    rows: Mapping[str, np.ndarray],
    items: Mapping[str, np.ndarray],
    half: np.ndarray,
    pair_groups: PairGroups,
    terms: Mapping[tuple[str, str], Terms],
    *,
    searched: Collection[str] = (),
) -> dict[str, _Direction]:
    """Return the queries of both modalities, which are searched for these tasks now."""
    products = rows["x"] @ rows["y"].T
    directions = {
        query: _Direction(
            *(rows[query], rows[target], items[query], items[target], half, products if query == "x" else products.T),
            pair_groups=pair_groups,
            between=terms.get((query, target), PLAIN),
            within=terms.get((query, query), PLAIN),
        )
        for query, target in (("x", "y"), ("y", "x"))
    }
    for direction in directions.values():
        _ = "retrieval" in searched and direction.median_effects
        _ = "mixed_search" in searched and (direction.effect_on_share, direction.mixed_effects)
    return directions


class _Direction:
    """Queries of one modality, whose targets are rows of the other one.

    Parameters
    ----------
    queries, targets : (k, d) and (m, d) arrays
        Rows of the modality of the queries, and of the other one.
    query_items, target_items : (k,) and (m,) int arrays
        Their items.
    half : (n,) bool array
        Which of two corpora of mixed search stores each item as x.
    products : (k, m) array
        Products of the queries and the rows of the other modality.
    pair_groups : PairGroups
        Random numbers and signs of the n items.
    between, within : tuple
        Terms of the scores of the queries and stored rows of the other and of their own modality: scale, a term for
        each stored row and one for each query. A score is product / scale + both terms.
    """

    def __init__(
        self,
        queries: np.ndarray,
        targets: np.ndarray,
        query_items: np.ndarray,
        target_items: np.ndarray,
        half: np.ndarray,
        products: np.ndarray,
        *,
        pair_groups: PairGroups,
        between: Terms,
        within: Terms,
    ):
        dtype = np.result_type(queries, targets)
        self.queries, self.targets = queries.astype(dtype, copy=False), targets.astype(dtype, copy=False)
        self.query_items, self.target_items, self.half = query_items, target_items, half
        self.all_items, self.pair_groups = np.concatenate([target_items, query_items]), pair_groups
        self.scores, self.within = _with_terms(products, between), within
        self.slack = tie_slack(self.queries, self.targets) / between[0]

    @cached_property
    def is_match(self) -> np.ndarray:
        """Return which rows of the other modality match each query, (k, m)."""
        matches: np.ndarray = self.query_items[:, None] == self.target_items
        return matches

    @cached_property
    def threshold(self) -> np.ndarray:
        """Return the score from which on rows precede the best match of each query, (k, 1)."""
        threshold: np.ndarray = np.where(self.is_match, self.scores, -np.inf).max(axis=1, keepdims=True) - self.slack
        return threshold

    @cached_property
    def ahead(self) -> np.ndarray:
        """Return which rows of the other modality precede the best match of each query, (k, m)."""
        ahead: np.ndarray = (self.scores >= self.threshold) & ~self.is_match
        return ahead

    @cached_property
    def mixed_ahead(self) -> np.ndarray:
        """Return which rows of both modalities precede the best match of each query in mixed search, (k, m + k)."""
        ahead: np.ndarray = self.mixed_scores >= self.threshold
        return ahead

    @cached_property
    def median_effects(self) -> dict[str, StoredEffect]:
        """Return the effect on the sum of what the queries add to the median rank."""
        of_rank = linear_median(1 + self.ahead.sum(axis=1))
        return self._effects_of_ranks(self.ahead, self.target_items, {"median_rank": lambda ranks: of_rank[ranks]})

    @cached_property
    def mixed_effects(self) -> dict[str, StoredEffect]:
        """Return the effects on the sums over queries of `MIXED_RANK_SCORES`."""
        return self._effects_of_ranks(self.mixed_ahead, self.all_items, MIXED_RANK_SCORES)

    def _effects_of_ranks(
        self, ahead: np.ndarray, items: np.ndarray, scores: Mapping[str, Callable[[np.ndarray], np.ndarray]]
    ) -> dict[str, StoredEffect]:
        """Return the effects on the sums over queries of functions of ranks, from the rows ahead of each query."""
        n_items = len(self.half)
        queries, columns = np.nonzero(ahead)
        rows_ahead = np.bincount(queries * n_items + items[columns], minlength=len(ahead) * n_items)
        pairs = np.flatnonzero(rows_ahead)
        queries, items = np.divmod(pairs, n_items)
        ranks = 1 + ahead.sum(axis=1)[queries]
        ranks_without = ranks - rows_ahead[pairs]
        return {
            name: self._effect(queries, items, of_rank(ranks) - of_rank(ranks_without))
            for name, of_rank in scores.items()
        }

    def _effect(self, queries: np.ndarray, items: np.ndarray, values: np.ndarray) -> StoredEffect:
        """Return the effect on the sum over queries, from what items add to queries."""
        n_items = len(self.half)
        pair_sums = self.pair_groups.sums(self.query_items[queries], items, values)
        # All other items together add the rank of a query, which does not depend on who they are.
        of_others = np.bincount(queries, weights=values, minlength=len(self.query_items)) / max(n_items - 1, 1)
        pair_sums = pair_sums - self.pair_groups.sums_with_others(self.query_items, of_others)
        return StoredEffect(np.bincount(items, weights=values, minlength=n_items), pair_sums)

    @property
    def expected_share(self) -> float:
        """Return the share of stored rows that have the modality of the query."""
        return float(np.mean(self.half[self.query_items][:, None] != self.half))

    @cached_property
    def effect_on_share(self) -> StoredEffect:
        """Return the effect on the sum over queries of the shares of their own modality.

        Without one of the ten best rows the eleventh takes its place.
        """
        best, own = self.best
        n_best = best.shape[1]
        queries = np.repeat(np.arange(len(best)), n_best)
        return self._effect(queries, self.all_items[best.ravel()], own.ravel() / max(n_best - 1, 1))

    @cached_property
    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the best rows of each query among both modalities, (k, 11) or fewer, and what each adds to a share."""
        scores = self.mixed_scores
        n_best = min(TOP + 1, int(np.isfinite(scores).sum(axis=1).min()))
        best = np.argpartition(-scores, n_best - 1, axis=1)[:, :n_best]
        last = np.argmin(np.take_along_axis(scores, best, axis=1), axis=1)
        is_own = (best >= len(self.targets)).astype(float)
        return best, is_own - np.take_along_axis(is_own, last[:, None], axis=1)

    @cached_property
    def mixed_scores(self) -> np.ndarray:
        """Return the scores with the stored rows of both modalities, (k, m + k), -inf for those of the own item."""
        same_half = self.half[self.query_items][:, None] == self.half
        is_own_item = self.query_items[:, None] == self.query_items
        between = np.where(same_half[:, self.target_items] & ~self.is_match, self.scores, -np.inf)
        scores = _with_terms(self.queries @ self.queries.T, self.within)
        within = np.where(~same_half[:, self.query_items] & ~is_own_item, scores, -np.inf)
        return np.concatenate([between, within], axis=1)


def _with_terms(products: np.ndarray, terms: Terms) -> np.ndarray:
    """Return the scores of products (k, m)."""
    if terms is PLAIN:
        return products
    scale, of_stored, of_query = terms
    scores: np.ndarray = products / scale + of_stored + of_query[:, None]
    return scores
