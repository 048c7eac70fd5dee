"""Mixed-modality search: one corpus that holds some items as x and the others as y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.topk import score_matrices
from isthmus.tasks._base import Score, TaskData, TaskScores, mean_per_item, task
from isthmus.tasks.ranks import TIE
from isthmus.utils.errors import InputError

TOP = 10


@dataclass(frozen=True)
class MixedSearch:
    """Every item is stored as its x row or as its y rows; the queries are its other rows.

    With `share` .5 the choice of who is stored as x and its opposite are both run, so that every row asks once.

    `x_query[i]` is the rank of item i (stored as y) for its x row as the query, that of its best row when it has
    several; `y_query[j]` the rank of its item (stored as x) for row j of y. 0 stands for a row that did not ask. Ties
    count against the query. `x_gain`, `y_gain` are the NDCG@10 of each query. `same_modality_share` is the share of the
    top 10, the target left out, that has the query's own modality; `expected_share` is the share that a search blind
    to the modality would give (.5 when half of the corpus is of either).

    >>> import numpy as np
    >>> X = np.eye(4)
    >>> search = MixedSearch.of(X, X)
    >>> search.recall(1), search.ndcg()
    (1.0, 1.0)
    """

    x_query: np.ndarray
    y_query: np.ndarray
    same_modality_share: float
    expected_share: float
    owner: np.ndarray
    x_gain: np.ndarray
    y_gain: np.ndarray
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
        """Search among unit rows x (n_x, d) and y (n_y, d); row j of y belongs to item `index[j]` (default: j).

        The `share` of items, drawn at random, is stored as x; an item without a row of y always is. `correction` is a
        correction of scores such as `isthmus.align.ScoreStandardization`; without it scores are inner products.
        Errors: `InputError` when the share leaves one modality without an item, or there are fewer than 2 items.
        """
        owner = np.arange(len(y)) if index is None else np.asarray(index)
        n = len(x)
        count = n // 2 if share == 0.5 else round(share * n)
        if n < 2 or not 0 < count < n:
            raise InputError(f"a share of {share:g} of {n:,} items leaves one modality of the corpus empty")
        as_x = np.random.default_rng(rng).permutation(n) < count
        partnerless = np.bincount(owner, minlength=n) == 0
        found = {name: (np.zeros(size), np.full(size, np.nan), np.full(size, np.nan)) for name, size in
                 (("x", n), ("y", len(y)))}  # fmt: skip
        expected_shares = []
        for stored_as_x in (as_x, ~as_x) if share == 0.5 else (as_x,):
            expected_shares.append(_run(x, y, owner, stored_as_x | partnerless, found, correction))
        (x_rank, x_gain, x_same_modality), (y_rank, y_gain, y_same_modality) = found["x"], found["y"]
        own = np.concatenate([x_same_modality, y_same_modality])
        return cls(
            x_rank.astype(np.int64), y_rank.astype(np.int64), float(np.nanmean(own)),
            float(np.mean(expected_shares)), owner, x_gain, y_gain, x_same_modality, y_same_modality,
        )  # fmt: skip

    def recall(self, k: int = 1) -> float:
        """R@k, the mean over both query modalities."""
        return _mean_of_both([(asked <= k).mean() for asked in self._asked()])

    def mrr(self) -> float:
        """Mean reciprocal rank, the mean over both query modalities."""
        return _mean_of_both([(1 / asked).mean() for asked in self._asked()])

    def ndcg(self, k: int = TOP) -> float:
        """NDCG@k, the mean over both query modalities; with one relevant row 1 / log2(1 + rank) if rank <= k, else 0.

        With several relevant rows only k = 10 is kept.
        """
        if k == TOP:
            return _mean_of_both([gain[~np.isnan(gain)].mean() for gain in (self.x_gain, self.y_gain)])
        if len(self.x_query) != len(self.y_query):
            raise InputError(f"NDCG@{k} of items with several relevant rows is not kept, NDCG@{TOP} is")
        return _mean_of_both([_gain(asked, k).mean() for asked in self._asked()])

    def _asked(self) -> list[np.ndarray]:
        return [ranks[ranks > 0] for ranks in (self.x_query, self.y_query)]

    @property
    def hits(self) -> np.ndarray:
        """R@1 of each item, (n_x,): what it adds to the mean over both query modalities."""
        return self.by_item(self.x_query == 1, self.y_query == 1)

    def by_item(self, x_values: np.ndarray, y_values: np.ndarray) -> np.ndarray:
        """What each item adds to the mean over both query modalities of these values of the queries, (n_x,)."""
        n, parts = len(self.x_query), []
        for values, ranks, owner in ((x_values, self.x_query, np.arange(n)), (y_values, self.y_query, self.owner)):
            asked = ranks > 0
            if asked.any():
                parts.append(mean_per_item(values[asked].astype(float), owner[asked], n))
        return np.mean(parts, axis=0)


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
    """Search a corpus that stores one half of the items as x and the other half as y with the rows of the other
    modality. A second corpus with the halves exchanged lets every row be a query once."""
    search = MixedSearch.of(data.x, data.y, index=data.owner, rng=data.seed, correction=data.correction)
    with np.errstate(divide="ignore"):
        reciprocal_ranks = [1 / np.where(ranks > 0, ranks, np.inf) for ranks in (search.x_query, search.y_query)]
    return TaskScores(
        {
            "mixed_R@1": search.hits,
            "mixed_R@10": search.by_item(search.x_query <= 10, search.y_query <= 10),
            "mixed_MRR": search.by_item(*reciprocal_ranks),
            "mixed_NDCG@10": search.by_item(search.x_gain, search.y_gain),
            "same_modality_share": search.by_item(search.x_same_modality, search.y_same_modality),
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
    """Mixed search as the share of items stored as x goes through `shares`; one dictionary for each.

    Keys: 'share', 'x_R@1', 'x_NDCG@10', 'y_R@1', 'y_NDCG@10' (by modality of the query), 'same_modality_share',
    'expected_share'. The draws are nested: an item stored as x stays so at every larger share.
    """
    table = []
    for share in shares:
        found = MixedSearch.of(x, y, index=index, share=share, rng=rng)
        row = {"share": float(share)}
        for side, ranks, gains in (("x", found.x_query, found.x_gain), ("y", found.y_query, found.y_gain)):
            asked = ranks > 0
            row[f"{side}_R@1"] = float(np.mean(ranks[asked] == 1)) if asked.any() else float("nan")
            row[f"{side}_NDCG@10"] = float(np.mean(gains[asked])) if asked.any() else float("nan")
        table.append(row | {"same_modality_share": found.same_modality_share, "expected_share": found.expected_share})
    return table


def _run(
    x: np.ndarray, y: np.ndarray, owner: np.ndarray, stored_as_x: np.ndarray, found: dict[str, Any], correction: Any
) -> float:
    """Search one corpus and write ranks, gains and same-modality shares of its queries; return the expected share."""
    in_y = np.flatnonzero(~stored_as_x[owner])
    stored = {"x": x[stored_as_x], "y": y[in_y]}
    items = np.concatenate([np.flatnonzero(stored_as_x), owner[in_y]])
    is_x = np.arange(len(items)) < len(stored["x"])
    order = np.argsort(items, kind="stable")
    items, is_x = items[order], is_x[order]
    asking = {"x": np.flatnonzero(~stored_as_x), "y": np.flatnonzero(stored_as_x[owner])}
    expected_shares = []
    for side, rows in asking.items():
        if not len(rows):
            continue
        targets = rows if side == "x" else owner[rows]
        own_side = is_x if side == "x" else ~is_x
        expected_shares.append((own_side.mean(), len(rows)))
        queries, corpus = (x, y)[side == "y"][rows], stored
        if correction is not None:  # the correction depends on the modality that asks
            queries = correction.query(queries)
            corpus = {name: correction.stored(part, query=side, stored=name) for name, part in stored.items()}
        whole = np.concatenate([corpus["x"], corpus["y"]])[order]
        for name, values in zip((0, 1, 2), _search(queries, targets, whole, items, own_side), strict=True):
            found[side][name][rows] = values
    shares, counts = np.array(expected_shares).T
    return float(np.average(shares, weights=counts))


def _gain(ranks: np.ndarray, k: int) -> np.ndarray:
    return np.where((ranks > 0) & (ranks <= k), 1 / np.log2(1 + np.maximum(ranks, 1)), 0.0)


def _mean_of_both(values: list[Any]) -> float:
    return float(np.mean(values))


def _search(
    queries: np.ndarray, targets: np.ndarray, corpus: np.ndarray, items: np.ndarray, own_side: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each query the rank of the best row of its target item, its NDCG@10, and the share of its top 10 (target
    left out) that is of its own side. `items` (sorted) are the items of the corpus rows."""
    n = len(corpus)
    begins, ends = np.searchsorted(items, targets), np.searchsorted(items, targets, side="right")
    most = int(np.max(ends - begins))
    columns = begins[:, None] + np.arange(most)
    real = columns < ends[:, None]
    columns = np.minimum(columns, n - 1)
    ranks, gains, own = (np.empty(len(queries)) for _ in range(3))
    slack = TIE * float(np.finfo(np.result_type(queries, corpus)).eps)
    top = min(TOP, n - most)
    (matrix,) = score_matrices(queries, corpus)
    for block in matrix.blocks():
        scores = matrix.tile(block)
        relevant, above = matrix.rank_relevant(scores, block, columns, real, slack)
        all_ranks = np.where(np.isfinite(relevant), 1 + above + np.arange(most), 0)
        ranks[block] = all_ranks[:, 0]
        ideal = np.cumsum(1 / np.log2(2 + np.arange(TOP)))[np.minimum(real[block].sum(axis=1), TOP) - 1]
        gains[block] = _gain(all_ranks, TOP).sum(axis=1) / ideal
        own[block] = own_side[matrix.topk_set(scores, top)].mean(axis=1)
    return ranks, gains, own
