"""Cross-modal retrieval: the rank of the partner among all items of the other modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.statistics.intervals import wilson_interval
from isthmus.statistics.result import Estimate
from isthmus.tasks._base import Score, TaskData, TaskScores, mean_per_item, task
from isthmus.tasks.ranks import partner_ranks


@dataclass(frozen=True)
class Retrieval:
    """Ranks of the best partner in both directions; 1 is best, ties count against the query.

    `x_to_y[i]` is the rank of the best of item i's own partners among the partners of other items, for the items
    that have one; `y_to_x[j]` the rank of row j's item among all items. `owner[j]` is the item of row j.

    >>> import numpy as np
    >>> ranks = Retrieval.of(np.eye(2), np.array([[0.8, 0.6], [1.0, 0.0], [0.6, 0.8]]), index=[0, 1, 1])
    >>> ranks.x_to_y.tolist(), ranks.y_to_x.tolist()
    ([2, 1], [1, 2, 1])
    """

    x_to_y: np.ndarray
    y_to_x: np.ndarray
    items: int
    rows: int
    owner: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, /, *, index: Any = None) -> Retrieval:
        """Ranks of the pairs (x, y) of unit rows, (n_x, d) and (n_y, d); `index[j]` is the item of row j of y."""
        owner = np.arange(len(y)) if index is None else np.asarray(index)
        forward, backward = partner_ranks(x, y, owner)
        return cls(forward[forward > 0], backward, items=len(x), rows=len(y), owner=owner)

    def recall(self, k: int) -> tuple[Estimate, Estimate]:
        """R@k from x to y and from y to x: the share of queries whose partner ranks among the first k.

        Intervals are Wilson's, of as many independent queries as there are: an item's captions count as far as they
        differ (design effect of the clusters).
        """
        per_item = self.rows / max(len(self.x_to_y), 1)
        return (
            _share(self.x_to_y <= k, _chance(k, self.rows, per_item)),
            _share(self.y_to_x <= k, _chance(k, self.items, 1.0), self.owner),
        )

    def mrr(self) -> tuple[float, float]:
        """Mean reciprocal rank from x to y and from y to x, in (0, 1] (Voorhees 1999)."""
        return float(np.mean(1 / self.x_to_y)), float(np.mean(1 / self.y_to_x))

    def median_rank(self) -> tuple[float, float]:
        """Median rank from x to y and from y to x; 1 is best."""
        return float(np.median(self.x_to_y)), float(np.median(self.y_to_x))


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
    """Search the rows of the other modality for the match of each row. If an item has several matches, the best one
    counts. Ties count against the query."""
    ranks_x, ranks_y = partner_ranks(data.x, data.y, data.owner)
    queries = np.flatnonzero(ranks_x)

    def mean_of_directions(gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        from_x = mean_per_item(gain(ranks_x[queries]), queries, data.n_items)
        return (from_x + mean_per_item(gain(ranks_y), data.owner, data.n_items)) / 2

    def hits_at(k: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda ranks: (ranks <= k).astype(float)

    per_item = {f"R@{k}": mean_of_directions(hits_at(k)) for k in (1, 5, 10)}
    per_item["MRR"] = mean_of_directions(lambda ranks: 1 / ranks)
    medians = (np.median(ranks_x[queries]), np.median(ranks_y))
    return TaskScores(per_item, {"median_rank": float(np.mean(medians))})


def _chance(k: int, corpus: int, own: float) -> float:
    """Probability that k random draws without replacement from `corpus` rows hold one of `own` rows."""
    from scipy.special import gammaln

    if corpus - own < k:
        return 1.0
    missed = gammaln(corpus - own + 1) - gammaln(corpus - own - k + 1) - gammaln(corpus + 1) + gammaln(corpus - k + 1)
    return float(-np.expm1(missed))


def _share(hits: np.ndarray, chance: float, owner: np.ndarray | None = None) -> Estimate:
    """The share of hits with Wilson's 95 % interval, against a fixed corpus."""
    found, n = int(np.count_nonzero(hits)), len(hits)
    effect = 1.0 if owner is None else max(1.0, _design_effect(hits, owner))
    return Estimate(found / n, *wilson_interval(found / effect, n / effect), chance, unit="share")


def _design_effect(hits: np.ndarray, owner: np.ndarray) -> float:
    """Variance of the share with the queries of an item together, relative to independent queries (Kish 1965)."""
    share, n = float(np.mean(hits)), len(hits)
    counts = np.bincount(owner)
    groups = int(np.count_nonzero(counts))
    if share in (0.0, 1.0) or groups < 2:  # no spread to see: as if an item's queries always agreed
        return float(np.sum(counts**2)) / n
    totals = np.bincount(owner, weights=hits - share)
    return float(totals @ totals) / (n * share * (1 - share)) * groups / (groups - 1)
