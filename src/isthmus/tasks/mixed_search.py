"""Mixed-modality search: one corpus holds the x rows of some items and the y rows of all other items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.tasks._base import Score, TaskData, TaskScores, task
from isthmus.tasks._joint_search import joint_results
from isthmus.tasks._mixed_corpus import TOP, QueryResults, discounted_gain, search_both, stored_items
from isthmus.tasks._per_item import mean_per_item
from isthmus.tasks.matches import Matches
from isthmus.utils.errors import InputError


@dataclass(frozen=True)
class MixedSearch:
    """Search in a corpus that holds each item as its x row or as its y rows. The rows outside the corpus are queries.

    Parameters
    ----------
    x_ranks : np.ndarray of shape (n_x,)
        Rank of each item for its x row as the query, where the item is stored as y. It is the rank of its best row if
        it has several, and 0 if the x row is not a query. Ties count against the query.
    y_ranks : np.ndarray of shape (n_y,)
        Rank of the item of each row of y for that row as the query, where the item is stored as x.
    same_modality_share : float
        Share of the top 10, without the target, in the modality of the query, averaged over queries.
    expected_share : float
        The same share for a search that does not depend on the modality: the share of the corpus, without the target,
        in the modality of the query. It is about .5 if each modality has half of the corpus.
    owner : np.ndarray of shape (n_y,)
        Item of each row of y.
    x_ndcg, y_ndcg : np.ndarray of shape (n_x,) and (n_y,)
        NDCG@10 of each query, NaN for a row that is not a query.
    x_same_modality, y_same_modality : np.ndarray of shape (n_x,) and (n_y,)
        Share of the top 10 in the modality of each query, NaN for a row that is not a query.
    x_expected_share, y_expected_share : np.ndarray of shape (n_x,) and (n_y,)
        Expected value of that share, NaN for a row that is not a query.
    x_restricted, y_restricted : np.ndarray of shape (n_x,) and (n_y,)
        1 if the query finds its item first in a search restricted to the modality of the item, otherwise 0. NaN for a
        row that is not a query.
    x_exchanged, y_exchanged : np.ndarray of shape (n_x,) and (n_y,)
        1 for an exchanged hit (see the Notes), otherwise 0. NaN for a row that is not a query.
    item_weights : np.ndarray of shape (n_x,)
        Weight of each row of x with the mean 1, such that rows that share matches have the weight of one item.

    Notes
    -----
    Mixed R@1 can be gamed: the target is always in the other modality, so that a score that always prefers the other
    modality is best. The exchange score has no such optimum. For a query let t be the score of its target. Let c0 be
    the largest score of another row in the modality of the target. Let o0 be the largest score in the modality of the
    query. Let m = t - c0 and delta = o0 - c0.

    A restricted hit has m > 0. A mixed hit has m > 0 and m > delta. For an exchanged hit the target is moved to the
    modality of the query, where it leads o0 by rho m. It is a hit if m > 0 and rho m > -delta. The factor rho is the
    ratio of two leads, the first in the modality of the query and the second in that of the target. A lead is the mean
    over queries of the best score minus the mean of the ten best.

    The exchange score is the mean of mixed and exchanged hits. R is the share of restricted hits. If m > 0, then
    delta <= 0 gives a mixed hit, and delta > 0 gives an exchanged hit. Therefore R/2 <= exchange <= R for every score.
    A score that always prefers one modality has exactly one of the two hits, so its exchange score is R/2.

    References
    ----------
    Li et al. 2025 (GR-CLIP, MixBench), arXiv 2507.19054.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.eye(4)
    >>> search = MixedSearch.of(X, X)
    >>> search.recall(1), search.ndcg(), search.exchange()
    (1.0, 1.0, 1.0)
    """

    x_ranks: np.ndarray
    y_ranks: np.ndarray
    same_modality_share: float
    expected_share: float
    owner: np.ndarray
    x_ndcg: np.ndarray
    y_ndcg: np.ndarray
    x_same_modality: np.ndarray
    y_same_modality: np.ndarray
    x_expected_share: np.ndarray
    y_expected_share: np.ndarray
    x_restricted: np.ndarray
    y_restricted: np.ndarray
    x_exchanged: np.ndarray
    y_exchanged: np.ndarray
    item_weights: np.ndarray

    @classmethod
    def of(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        /,
        *,
        index: Any = None,
        y_groups: Any = None,
        share: float = 0.5,
        rng: int | np.random.Generator = 0,
        correction: Any = None,
    ) -> MixedSearch:
        """Search among unit rows.

        Parameters
        ----------
        x, y : np.ndarray of shape (n_x, d) and (n_y, d)
            Unit rows.
        index : array-like of shape (n_y,), optional
            Item of each row of y. Default: row j belongs to item j.
        y_groups : array-like of shape (n_y,), optional
            Number of the distinct row of y, such as a caption that several images share. Rows that share matches are
            one item, unless so few items are left that they are not independent. Then a row of y belongs to its first
            item. Default: all rows of y are distinct.
        share : float, default 0.5
            Share of the items, drawn at random, that are stored as x. With .5 a second corpus with the halves
            exchanged is searched too, so that every row is a query once. An item without a row of y is always stored
            as x.
        rng : int or np.random.Generator, default 0
            Seed of the draw.
        correction : object, optional
            Score correction such as `isthmus.align.ScoreStandardization`. Default: scores are inner products.

        Returns
        -------
        MixedSearch
            Ranks, NDCG and shares of all queries.

        Raises
        ------
        InputError
            If the share leaves one modality without an item.
        """
        matches = Matches.of(len(x), len(y), index, y_groups)
        y, owner = y[matches.y_rows], matches.y_items
        x_items, y_items = matches.items_to_search
        n = int(x_items.max(initial=-1)) + 1
        as_x = stored_items(n, share, rng)
        without_y = np.bincount(y_items, minlength=n) == 0
        rows, items = {"x": x, "y": y}, {"x": x_items, "y": y_items}
        results = {name: QueryResults.empty(len(rows[name])) for name in rows}
        for stored_as_x in (as_x, ~as_x) if share == 0.5 else (as_x,):
            search_both(rows, items, stored_as_x | without_y, results, correction)
        return cls.of_results(results, x_items, owner)

    @classmethod
    def of_results(cls, results: dict[str, QueryResults], x_items: np.ndarray, owner: np.ndarray, /) -> MixedSearch:
        """Return the search from the results of its queries.

        Parameters
        ----------
        results : dict of str to QueryResults
            Results of the rows 'x' and of the distinct rows 'y'.
        x_items : np.ndarray of shape (n_x,)
            Item of each row of x.
        owner : np.ndarray of shape (n_y,)
            Row of x that each distinct row of y belongs to first.

        Returns
        -------
        MixedSearch
            Ranks, NDCG and shares of all queries.
        """
        from_x, from_y, n = results["x"], results["y"], int(x_items.max()) + 1
        return cls(
            from_x.ranks.astype(np.int64),
            from_y.ranks.astype(np.int64),
            float(np.nanmean(np.concatenate([from_x.same_modality, from_y.same_modality]))),
            float(np.nanmean(np.concatenate([from_x.expected, from_y.expected]))),
            owner,
            from_x.ndcg,
            from_y.ndcg,
            from_x.same_modality,
            from_y.same_modality,
            from_x.expected,
            from_y.expected,
            from_x.restricted,
            from_y.restricted,
            from_x.exchanged,
            from_y.exchanged,
            len(x_items) / n / np.bincount(x_items, minlength=n)[x_items],
        )

    def recall(self, k: int = 1, /) -> float:
        """Return R@k, the mean over both query modalities.

        Parameters
        ----------
        k : int, default 1
            Number of ranks.

        Returns
        -------
        float
            Share in [0, 1].
        """
        return float(np.mean([(ranks <= k).mean() for ranks in self._query_ranks()]))

    def mrr(self) -> float:
        """Return the mean reciprocal rank, the mean over both query modalities.

        Returns
        -------
        float
            Mean in (0, 1].
        """
        return float(np.mean([(1 / ranks).mean() for ranks in self._query_ranks()]))

    def ndcg(self, k: int = TOP, /) -> float:
        """Return NDCG@k, the mean over both query modalities.

        Parameters
        ----------
        k : int, default 10
            Number of ranks. If items have several rows of y, only 10 is available.

        Returns
        -------
        float
            Mean in [0, 1]. With one relevant row it is 1 / log2(1 + rank) if rank <= k, otherwise 0.

        Raises
        ------
        InputError
            If items have several rows of y and k is not 10.
        """
        if k == TOP:
            return float(np.mean([ndcg[~np.isnan(ndcg)].mean() for ndcg in (self.x_ndcg, self.y_ndcg)]))
        if len(self.x_ranks) != len(self.y_ranks):
            raise InputError(f"NDCG@{k} of items with several relevant rows is not available, NDCG@{TOP} is")
        return float(np.mean([discounted_gain(ranks, k).mean() for ranks in self._query_ranks()]))

    def restricted_recall(self) -> float:
        """Return R@1 of a search restricted to the modality of the target, the mean over both query modalities.

        Returns
        -------
        float
            Share in [0, 1].
        """
        return float(np.mean(self._restricted_hits))

    def exchange(self) -> float:
        """Return the exchange score, the mean over both query modalities.

        Returns
        -------
        float
            Mean of mixed and exchanged hits, between R/2 and R with R = `restricted_recall()`.
        """
        return float(np.mean(self.exchange_hits))

    def fairness(self) -> float:
        """Return the share of restricted hits that are both mixed and exchanged hits.

        Returns
        -------
        float
            Share in [0, 1]: 0 for a score that always prefers one modality, or one for each query. It is 0 too if
            there is no restricted hit.
        """
        return float(
            np.mean(self.ratio_per_item(2 * self.exchange_hits - self._restricted_hits, self._restricted_hits))
        )

    def _query_ranks(self) -> list[np.ndarray]:
        """Return the ranks of the x queries and of the y queries."""
        return [ranks[ranks > 0] for ranks in (self.x_ranks, self.y_ranks)]

    @property
    def hits(self) -> np.ndarray:
        """Return the contribution of each item to R@1, of shape (n_x,)."""
        return self.per_item(self.x_ranks == 1, self.y_ranks == 1)

    @property
    def exchange_hits(self) -> np.ndarray:
        """Return the contribution of each item to the exchange score, of shape (n_x,)."""
        return (self.hits + self.per_item(self.x_exchanged, self.y_exchanged)) / 2

    @property
    def _restricted_hits(self) -> np.ndarray:
        """Return the contribution of each item to the recall of the restricted search."""
        return self.per_item(self.x_restricted, self.y_restricted)

    def per_item(self, x_values: np.ndarray, y_values: np.ndarray, /) -> np.ndarray:
        """Return the contribution of each item to the mean of values over both query modalities.

        Parameters
        ----------
        x_values, y_values : np.ndarray of shape (n_x,) and (n_y,)
            A value for each row. Rows that are not queries are ignored.

        Returns
        -------
        np.ndarray of shape (n_x,)
            Contributions.
        """
        n, contributions = len(self.x_ranks), []
        for values, ranks, owner in ((x_values, self.x_ranks, np.arange(n)), (y_values, self.y_ranks, self.owner)):
            is_query = ranks > 0
            if is_query.any():
                contributions.append(mean_per_item(values[is_query].astype(float), owner[is_query], n))
        return np.mean(contributions, axis=0)

    def ratio_per_item(self, numerator: np.ndarray, denominator: np.ndarray, /) -> np.ndarray:
        """Return contributions of items to a ratio of two means over items, linearised.

        Parameters
        ----------
        numerator, denominator : np.ndarray of shape (n_x,)
            Contributions to both means.

        Returns
        -------
        np.ndarray of shape (n_x,)
            Contributions, whose mean is the ratio. 0 if the mean of the denominator is 0.
        """
        mean = float(denominator.mean())
        if mean == 0:
            return np.zeros(len(numerator))
        ratio = float(numerator.mean()) / mean
        return ratio * self.item_weights + (numerator - ratio * denominator) / mean


@task(
    "mixed_search",
    scores={
        "exchange_R@1": Score(
            "higher",
            "exchange score, the mean of two shares of queries whose match ranks first in a corpus of both modalities. "
            "The match is stored in the other modality (mixed_R@1), or in the modality of the query. Preferring one "
            "modality does not raise it",
        ),
        "mixed_R@1": Score(
            "higher",
            "share of queries whose match, in the other modality, ranks first in a corpus of both modalities",
            is_shown=True,
        ),
        "mixed_R@10": Score("higher", "share of queries that find their item among the first 10, mean of both"),
        "mixed_MRR": Score("higher", "mean of 1 / rank of the item, mean of both query modalities"),
        "mixed_NDCG@10": Score("higher", "NDCG of the first 10, mean of both query modalities"),
        "same_modality_share": Score(
            "neither",
            "share of the top 10, without the target, in the modality of the query; .5 is expected",
            counts_neighbours=True,
        ),
        "same_modality_ratio": Score(
            "neither",
            "same_modality_share over its expected value; 1 is fair",
            (0, np.inf),
            counts_neighbours=True,
            is_ratio=True,
        ),
        "restricted_R@1": Score(
            "higher", "share of queries that find their item first among the rows of its modality, mean of both"
        ),
        "mixed_share_of_restricted": Score("higher", "mixed_R@1 over restricted_R@1", is_ratio=True),
        "fairness": Score(
            "higher", "share of the hits of restricted_R@1 that stay first wherever the target is stored", is_ratio=True
        ),
    },
    source="Li et al. 2025 (GR-CLIP, MixBench), arXiv 2507.19054",
)
def mixed_search(data: TaskData) -> TaskScores:
    """Search a corpus that holds the x rows of half of the items and the y rows of the others, with all other rows.

    A second corpus with the halves exchanged makes every row a query once.
    """
    joint = joint_results(data)
    if joint is not None:
        search = MixedSearch.of_results(joint.mixed, data.matches.items_to_search[0], data.matches.y_items)
    else:
        search = MixedSearch.of(
            data.x, data.y, index=data.owner, y_groups=data.y_groups, rng=data.seed, correction=data.correction
        )
    with np.errstate(divide="ignore"):
        reciprocal_ranks = [1 / np.where(ranks > 0, ranks, np.inf) for ranks in (search.x_ranks, search.y_ranks)]
    restricted = search.per_item(search.x_restricted, search.y_restricted)
    same_modality = search.per_item(search.x_same_modality, search.y_same_modality)
    expected = search.per_item(search.x_expected_share, search.y_expected_share)
    return TaskScores(
        {
            "mixed_R@1": search.hits,
            "exchange_R@1": search.exchange_hits,
            "mixed_R@10": search.per_item(search.x_ranks <= 10, search.y_ranks <= 10),
            "mixed_MRR": search.per_item(*reciprocal_ranks),
            "mixed_NDCG@10": search.per_item(search.x_ndcg, search.y_ndcg),
            "same_modality_share": same_modality,
            "same_modality_ratio": search.ratio_per_item(same_modality, expected),
            "restricted_R@1": restricted,
            "mixed_share_of_restricted": search.ratio_per_item(search.hits, restricted),
            "fairness": search.ratio_per_item(2 * search.exchange_hits - restricted, restricted),
        }
    )
