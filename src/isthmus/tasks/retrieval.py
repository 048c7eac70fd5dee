"""Cross-modal retrieval: the rank of the partner among all items of the other modality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.intervals import wilson_interval
from isthmus.result import Estimate

#: Elements of one block of scores: 64 MB of float32.
BLOCK_SCORES = 2**24


@dataclass(frozen=True)
class Retrieval:
    """Ranks of the best partner in both directions; 1 is best, ties count against the query.

    `x_to_y[i]` is the rank of the best of item i's own partners among the partners of other items, `y_to_x[j]`
    the rank of row j's item among all items. `owner[j]` is the item of row j.
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
        has_partner = np.bincount(owner, minlength=len(x)) > 0
        forward = _item_ranks(x[has_partner], y, (np.cumsum(has_partner) - 1)[owner])
        return cls(forward, _row_ranks(y, x, owner), items=len(x), rows=len(y), owner=owner)

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


def _row_ranks(queries: np.ndarray, corpus: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rank of corpus row target[i] for each query i, in blocks of queries."""
    ranks = np.empty(len(queries), dtype=np.int64)
    step = max(1, BLOCK_SCORES // len(corpus))
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        scores = queries[block] @ corpus.T
        own = np.take_along_axis(scores, target[block, None], axis=1)
        ranks[block] = np.count_nonzero(scores >= own, axis=1)  # the target itself counts: ranks begin at 1
    return ranks


def _item_ranks(items: np.ndarray, rows: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """For each item the rank of its best own row: 1 + the rows of other items that score at least as high."""
    if len(items) == len(rows) and np.array_equal(owner, np.arange(len(rows))):
        return _row_ranks(items, rows, owner)
    order = np.argsort(owner, kind="stable")
    begins = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(items)))])
    ranks = np.empty(len(items), dtype=np.int64)
    step = max(1, BLOCK_SCORES // len(rows))
    for start in range(0, len(items), step):
        stop = min(start + step, len(items))
        scores = items[start:stop] @ rows.T
        mine = order[begins[start] : begins[stop]]
        owners = owner[mine] - start
        own = scores[owners, mine]
        begin = begins[start:stop] - begins[start]
        best = np.maximum.reduceat(own, begin)
        as_high = np.count_nonzero(scores >= best[:, None], axis=1)
        own_as_high = np.add.reduceat((own >= best[owners]).astype(np.int64), begin)
        ranks[start:stop] = 1 + as_high - own_as_high
    return ranks


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
