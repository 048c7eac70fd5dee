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
    pair_variance : variance of the change that belongs to pairs of a query and a stored row
    """

    values: np.ndarray
    pair_variance: float


def stored_effects(data: TaskData, /, *, pairs: Pairs | None = None) -> dict[str, StoredEffect]:
    """Return the effects of items, as stored rows, on the changes of scores.

    Parameters
    ----------
    data : TaskData
        Mapped rows and raw rows.
    pairs : Pairs, optional
        Test pairs. The search of their raw rows is computed once in a block of `sharing_rows`.

    Returns
    -------
    dict of str to StoredEffect
        Effects on the median rank, on the shares of the same modality and on `MIXED_RANK_SCORES`, if their tasks run.
        Empty for a correction without terms, if rows of both modalities have several matches, and beyond `MAX_SCORES`.

    Notes
    -----
    The effect of a stored row on a query is the score of the query with it minus the score without it. This belongs to
    the pair of both. It is in the value of the query already, so that the sum over the roles of an item counts it
    twice. `StoredEffect.pair_variance` is its variance, which is to be subtracted once. If a query has several matches,
    NDCG@10 is taken to be that of the best one.

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
    sums: dict[str, tuple[np.ndarray, float]] = {}
    y_rows = data.matches.y_rows
    (x, y), terms = (data.x, data.y[y_rows]), {}
    if data.correction is not None:
        (x, y), terms = data.shared.get("terms") or data.correction.score_terms(x, y)
    mapped_directions = _directions({"x": to_numpy(x), "y": to_numpy(y)}, owners, half, terms)

    def search_raw() -> dict[str, _Direction]:
        raw_rows = {"x": to_numpy(data.raw_x), "y": to_numpy(data.raw_y[y_rows])}
        return _directions(raw_rows, owners, half, {}, searched=data.tasks)

    key = ("raw directions", data.seed, *data.tasks)
    raw_directions = search_raw() if pairs is None else computed_once(pairs, key, search_raw)
    for query, mapped in mapped_directions.items():
        raw, effects = raw_directions[query], {}
        if "retrieval" in data.tasks:
            effects["median_rank"] = mapped.effect_on_median(raw)
        if "mixed_search" in data.tasks:
            effects |= mapped.effects_on_mixed_ranks(raw)
            share, variance = mapped.effect_on_share(raw)
            effects["same_modality_share"] = share, variance
            expected = mapped.expected_share
            effects["same_modality_ratio"] = share / expected, variance / expected**2
        scale = 2 * len(owners[query])  # the mean over queries, and over both directions
        for name, (effect, variance) in effects.items():
            values, pair_variance = sums.get(name, (np.zeros(n), 0.0))
            sums[name] = values + n / scale * effect, pair_variance + variance / scale**2
    # Rows of x that share a row of y also share its effect.
    weights = data.n_items / n / np.bincount(owners["x"])[owners["x"]]
    return {name: StoredEffect(values[owners["x"]] * weights, variance) for name, (values, variance) in sums.items()}


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
    terms: Mapping[tuple[str, str], Terms],
    *,
    searched: Collection[str] = (),
) -> dict[str, _Direction]:
    """Return the queries of both modalities, which are searched for these tasks now."""
    products = rows["x"] @ rows["y"].T
    directions = {
        query: _Direction(
            *(rows[query], rows[target], items[query], items[target], half, products if query == "x" else products.T),
            between=terms.get((query, target), PLAIN),
            within=terms.get((query, query), PLAIN),
        )
        for query, target in (("x", "y"), ("y", "x"))
    }
    for direction in directions.values():
        _ = "retrieval" in searched and direction.median_steps
        _ = "mixed_search" in searched and (direction.best, direction.mixed_steps)
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
        between: Terms,
        within: Terms,
    ):
        dtype = np.result_type(queries, targets)
        self.queries, self.targets = queries.astype(dtype, copy=False), targets.astype(dtype, copy=False)
        self.query_items, self.target_items, self.half = query_items, target_items, half
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
    def median_steps(self) -> np.ndarray:
        """Return what the last row ahead of each query adds to the median rank, (1, k)."""
        ranks = 1 + self.ahead.sum(axis=1)
        of_ranks = linear_median(ranks)
        steps: np.ndarray = of_ranks[ranks] - of_ranks[ranks - 1]
        return steps[None]

    @cached_property
    def mixed_steps(self) -> np.ndarray:
        """Return what the last row ahead of each query adds to each of `MIXED_RANK_SCORES`, (scores, k)."""
        ranks = 1 + self.mixed_ahead.sum(axis=1)
        before = np.maximum(ranks - 1, 1)  # no row is ahead of rank 1
        return np.stack([of_rank(ranks) - of_rank(before) for of_rank in MIXED_RANK_SCORES.values()])

    @property
    def expected_share(self) -> float:
        """Return the share of stored rows that have the modality of the query."""
        return float(np.mean(self.half[self.query_items][:, None] != self.half))

    def effect_on_median(self, raw: _Direction) -> tuple[np.ndarray, float]:
        """Return the effects of items on the median rank (n,), and the sum of the squared effects of pairs."""
        steps, aheads = (self.median_steps, raw.median_steps), (self.ahead, raw.ahead)
        return self._effects_of_rows_ahead(steps, aheads, self.target_items)[0]

    def effects_on_mixed_ranks(self, raw: _Direction) -> dict[str, tuple[np.ndarray, float]]:
        """Return the effects on `MIXED_RANK_SCORES`."""
        steps, aheads = (self.mixed_steps, raw.mixed_steps), (self.mixed_ahead, raw.mixed_ahead)
        items = np.concatenate([self.target_items, self.query_items])
        return dict(zip(MIXED_RANK_SCORES, self._effects_of_rows_ahead(steps, aheads, items), strict=True))

    def _effects_of_rows_ahead(
        self, steps: tuple[np.ndarray, np.ndarray], aheads: tuple[np.ndarray, np.ndarray], items: np.ndarray
    ) -> list[tuple[np.ndarray, float]]:
        """Return the result of `effect_on_median` for each score.

        `steps` (scores, k) and `aheads` (k, m) are those of the mapped and of the raw rows.
        """
        by_row = [step.astype(np.float32) @ ahead.astype(np.float32) for step, ahead in zip(steps, aheads, strict=True)]
        counts, raw_counts, overlap = (rows.sum(axis=1) for rows in (*aheads, aheads[0] & aheads[1]))
        squares = steps[0] ** 2 @ counts + steps[1] ** 2 @ raw_counts - 2 * (steps[0] * steps[1]) @ overlap
        # All stored rows together add the rank of a query, which does not depend on who they are.
        sums = steps[0] * counts - steps[1] * raw_counts
        of_pairs = squares - (sums**2).sum(axis=1) / max(len(items) - 1, 1)
        n_items = len(self.half)
        return [
            (np.bincount(items, weights=weights, minlength=n_items), float(of_pair))
            for weights, of_pair in zip(by_row[0] - by_row[1], of_pairs, strict=True)
        ]

    def effect_on_share(self, raw: _Direction) -> tuple[np.ndarray, float]:
        """Return the effects of items (n,), and the sum of the squared effects of pairs.

        Without one of the ten best rows the eleventh takes its place.
        """
        n_best = raw.best[0].shape[1]
        rows = np.concatenate([np.repeat(np.arange(len(best)), best.shape[1]) for best, _ in (self.best, raw.best)])
        column = np.concatenate([self.best[0].ravel(), raw.best[0].ravel()])
        flat = np.concatenate([self.best[1].ravel(), -raw.best[1].ravel()])
        items, size = np.concatenate([self.target_items, self.query_items]), max(n_best - 1, 1)
        effects = np.bincount(items[column], weights=flat, minlength=len(self.half)) / size
        pairs = np.unique(rows * len(items) + column, return_inverse=True)[1]
        by_pair = np.bincount(pairs, weights=flat) / size
        return effects, float(by_pair @ by_pair)

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
