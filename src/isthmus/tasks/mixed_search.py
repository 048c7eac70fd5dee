"""Mixed-modality search: one corpus that stores some items as x and the others as y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from isthmus.compute.topk import score_matrices
from isthmus.tasks._base import Score, TaskData, TaskScores, mean_per_item, task
from isthmus.tasks.ranks import TIE
from isthmus.utils.errors import InputError

#: Number of best rows that NDCG and the share of the same modality look at.
TOP = 10


@dataclass(frozen=True)
class MixedSearch:
    """Search in a corpus that stores every item as its x row or as its y rows. The other rows are the queries.

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
        The same share for a search that does not depend on the modality. It is .5 if each modality has half of the
        corpus.
    owner : np.ndarray of shape (n_y,)
        Item of each row of y.
    x_ndcg, y_ndcg : np.ndarray of shape (n_x,) and (n_y,)
        NDCG@10 of each query, NaN for a row that is not a query.
    x_same_modality, y_same_modality : np.ndarray of shape (n_x,) and (n_y,)
        Share of the top 10 in the modality of each query, NaN for a row that is not a query.

    References
    ----------
    Li et al. 2025 (GR-CLIP, MixBench), arXiv 2507.19054.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.eye(4)
    >>> search = MixedSearch.of(X, X)
    >>> search.recall(1), search.ndcg()
    (1.0, 1.0)
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

    @classmethod
    def of(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        /,
        *,
        index: Any = None,
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
        owner = np.arange(len(y)) if index is None else np.asarray(index)
        n = len(x)
        n_as_x = n // 2 if share == 0.5 else round(share * n)
        if n < 2 or not 0 < n_as_x < n:
            raise InputError(f"a share of {share:g} of {n:,} items leaves one modality of the corpus empty")
        as_x = np.random.default_rng(rng).permutation(n) < n_as_x
        without_y = np.bincount(owner, minlength=n) == 0
        results = {"x": _QueryResults.empty(n), "y": _QueryResults.empty(len(y))}
        expected_shares = []
        for stored_as_x in (as_x, ~as_x) if share == 0.5 else (as_x,):
            expected_shares.append(_search_corpus(x, y, owner, stored_as_x | without_y, results, correction))
        from_x, from_y = results["x"], results["y"]
        return cls(
            from_x.ranks.astype(np.int64),
            from_y.ranks.astype(np.int64),
            float(np.nanmean(np.concatenate([from_x.same_modality, from_y.same_modality]))),
            float(np.mean(expected_shares)),
            owner,
            from_x.ndcg,
            from_y.ndcg,
            from_x.same_modality,
            from_y.same_modality,
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
        return float(np.mean([_discounted_gain(ranks, k).mean() for ranks in self._query_ranks()]))

    def _query_ranks(self) -> list[np.ndarray]:
        """Return the ranks of the x queries and of the y queries."""
        return [ranks[ranks > 0] for ranks in (self.x_ranks, self.y_ranks)]

    @property
    def hits(self) -> np.ndarray:
        """Return the contribution of each item to R@1, of shape (n_x,)."""
        return self.per_item(self.x_ranks == 1, self.y_ranks == 1)

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


@task(
    "mixed_search",
    scores={
        "mixed_R@1": Score("higher", "share of queries that find their item first, mean of both query modalities"),
        "mixed_R@10": Score("higher", "share of queries that find their item among the first 10, mean of both"),
        "mixed_MRR": Score("higher", "mean of 1 / rank of the item, mean of both query modalities"),
        "mixed_NDCG@10": Score("higher", "NDCG of the first 10, mean of both query modalities"),
        "same_modality_share": Score(
            "neither", "share of the top 10, without the target, in the modality of the query; .5 is expected"
        ),
    },
    source="Li et al. 2025 (GR-CLIP, MixBench), arXiv 2507.19054",
)
def mixed_search(data: TaskData) -> TaskScores:
    """Search a corpus of both modalities, which stores each item in one of them, with its rows of the other.

    Half of the items are stored as x. A second corpus with the halves exchanged lets every row be a query once.
    """
    search = MixedSearch.of(data.x, data.y, index=data.owner, rng=data.seed, correction=data.correction)
    with np.errstate(divide="ignore"):
        reciprocal_ranks = [1 / np.where(ranks > 0, ranks, np.inf) for ranks in (search.x_ranks, search.y_ranks)]
    return TaskScores(
        {
            "mixed_R@1": search.hits,
            "mixed_R@10": search.per_item(search.x_ranks <= 10, search.y_ranks <= 10),
            "mixed_MRR": search.per_item(*reciprocal_ranks),
            "mixed_NDCG@10": search.per_item(search.x_ndcg, search.y_ndcg),
            "same_modality_share": search.per_item(search.x_same_modality, search.y_same_modality),
        }
    )


def share_sweep(
    x: np.ndarray,
    y: np.ndarray,
    /,
    *,
    shares: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9),
    index: Any = None,
    rng: int = 0,
) -> list[dict[str, float]]:
    """Search corpora with several shares of items stored as x.

    Parameters
    ----------
    x, y : np.ndarray of shape (n_x, d) and (n_y, d)
        Unit rows.
    shares : sequence of float, default (0.1, 0.25, 0.5, 0.75, 0.9)
        Shares of the items. The draws are nested: an item stored as x is stored as x at every larger share.
    index : array-like of shape (n_y,), optional
        Item of each row of y. Default: row j belongs to item j.
    rng : int, default 0
        Seed of the draw.

    Returns
    -------
    list of dict
        For each share the keys 'share', 'x_R@1', 'x_NDCG@10', 'y_R@1', 'y_NDCG@10' (by modality of the query),
        'same_modality_share' and 'expected_share'.

    Examples
    --------
    >>> import numpy as np
    >>> [row["x_R@1"] for row in share_sweep(np.eye(8), np.eye(8), shares=[0.25, 0.5])]
    [1.0, 1.0]
    """
    table = []
    for share in shares:
        search = MixedSearch.of(x, y, index=index, share=share, rng=rng)
        row = {"share": float(share)}
        for modality, ranks, ndcg in (("x", search.x_ranks, search.x_ndcg), ("y", search.y_ranks, search.y_ndcg)):
            is_query = ranks > 0
            row[f"{modality}_R@1"] = float(np.mean(ranks[is_query] == 1)) if is_query.any() else float("nan")
            row[f"{modality}_NDCG@10"] = float(np.mean(ndcg[is_query])) if is_query.any() else float("nan")
        row |= {"same_modality_share": search.same_modality_share, "expected_share": search.expected_share}
        table.append(row)
    return table


class _QueryResults(NamedTuple):
    """Results of the queries of one modality, filled corpus by corpus."""

    ranks: np.ndarray
    ndcg: np.ndarray
    same_modality: np.ndarray

    @classmethod
    def empty(cls, size: int) -> _QueryResults:
        """Return rank 0 and NaN for every row."""
        return cls(np.zeros(size), np.full(size, np.nan), np.full(size, np.nan))


def _search_corpus(
    x: np.ndarray,
    y: np.ndarray,
    owner: np.ndarray,
    stored_as_x: np.ndarray,
    results: dict[str, _QueryResults],
    correction: Any,
) -> float:
    """Search one corpus, write the results of its queries, and return the expected share of the same modality."""
    rows_in_y = np.flatnonzero(~stored_as_x[owner])
    stored = {"x": x[stored_as_x], "y": y[rows_in_y]}
    items = np.concatenate([np.flatnonzero(stored_as_x), owner[rows_in_y]])
    is_x = np.arange(len(items)) < len(stored["x"])
    order = np.argsort(items, kind="stable")
    items, is_x = items[order], is_x[order]
    query_rows = {"x": np.flatnonzero(~stored_as_x), "y": np.flatnonzero(stored_as_x[owner])}
    expected_shares = []
    for modality, rows in query_rows.items():
        if not len(rows):
            continue
        targets = rows if modality == "x" else owner[rows]
        same_modality = is_x if modality == "x" else ~is_x
        expected_shares.append((same_modality.mean(), len(rows)))
        queries, corpora = (x, y)[modality == "y"][rows], stored
        if correction is not None:  # the correction depends on the modality of the query
            queries = correction.query(queries)
            corpora = {name: correction.stored(block, query=modality, stored=name) for name, block in stored.items()}
        corpus = np.concatenate([corpora["x"], corpora["y"]])[order]
        values = _search(queries, targets, corpus, items, same_modality)
        for target_array, query_values in zip(results[modality], values, strict=True):
            target_array[rows] = query_values
    shares, counts = np.array(expected_shares).T
    return float(np.average(shares, weights=counts))


def _discounted_gain(ranks: np.ndarray, k: int) -> np.ndarray:
    """Return 1 / log2(1 + rank) for ranks from 1 to k, otherwise 0."""
    return np.where((ranks > 0) & (ranks <= k), 1 / np.log2(1 + np.maximum(ranks, 1)), 0.0)


def _search(
    queries: np.ndarray, targets: np.ndarray, corpus: np.ndarray, items: np.ndarray, same_modality: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the rank of the best row of the target item, NDCG@10, and the share of the top 10 of the same modality.

    `items` are the sorted items of the corpus rows. The rows of the target do not count in the share.
    """
    n = len(corpus)
    begins, ends = np.searchsorted(items, targets), np.searchsorted(items, targets, side="right")
    max_relevant = int(np.max(ends - begins))
    columns = begins[:, None] + np.arange(max_relevant)
    is_relevant = columns < ends[:, None]
    columns = np.minimum(columns, n - 1)
    best_ranks, ndcg, shares = (np.empty(len(queries)) for _ in range(3))
    slack = TIE * float(np.finfo(np.result_type(queries, corpus)).eps)
    n_nearest = min(TOP, n - max_relevant)
    ideal_gains = np.cumsum(1 / np.log2(2 + np.arange(TOP)))
    (matrix,) = score_matrices(queries, corpus)
    for block in matrix.blocks():
        scores = matrix.tile(block)
        relevant, above = matrix.rank_relevant(scores, block, columns, is_relevant, slack)
        ranks = np.where(np.isfinite(relevant), 1 + above + np.arange(max_relevant), 0)
        best_ranks[block] = ranks[:, 0]
        ideal = ideal_gains[np.minimum(is_relevant[block].sum(axis=1), TOP) - 1]
        ndcg[block] = _discounted_gain(ranks, TOP).sum(axis=1) / ideal
        shares[block] = same_modality[matrix.topk_set(scores, n_nearest)].mean(axis=1)
    return best_ranks, ndcg, shares
