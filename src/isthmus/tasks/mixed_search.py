"""Mixed-modality search: one corpus that holds some items as x and the others as y."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.tasks.retrieval import BLOCK_SCORES

TOP = 10


@dataclass(frozen=True)
class MixedSearch:
    """Every item is stored as its x or as its y row; the query is its other row. Both halves of the choice are run.

    `x_query[i]` is the rank of item i (stored as y) for its x row as the query, `y_query[i]` the other way round;
    ties count against the query. `bias` is the share of the top 10, the target left out, that has the query's own
    modality: .5 is fair, 1 means that the other modality is never seen.
    """

    x_query: np.ndarray
    y_query: np.ndarray
    bias: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, /, *, rng: int | np.random.Generator = 0) -> MixedSearch:
        """Search among n pairs of unit rows (n, d); a random half is stored as x, then the other half."""
        stored_as_x = np.random.default_rng(rng).permutation(len(x)) < len(x) // 2
        ranks = {True: np.empty(len(x), dtype=np.int64), False: np.empty(len(x), dtype=np.int64)}
        own = []
        for as_x in (stored_as_x, ~stored_as_x):
            corpus = np.where(as_x[:, None], x, y)
            queries = np.where(as_x[:, None], y, x)
            rank, same = _search(queries, corpus, as_x)
            ranks[True][~as_x], ranks[False][as_x] = rank[~as_x], rank[as_x]
            own.append(same.mean())
        return cls(ranks[True], ranks[False], float(np.mean(own)))

    def recall(self, k: int = 1) -> float:
        """R@k, the mean over both query modalities."""
        return float(np.mean([np.mean(self.x_query <= k), np.mean(self.y_query <= k)]))

    def ndcg(self, k: int = TOP) -> float:
        """NDCG@k with one relevant item: 1 / log2(1 + rank) if rank <= k, else 0; mean over both query modalities."""
        return float(np.mean([_gain(self.x_query, k).mean(), _gain(self.y_query, k).mean()]))

    @property
    def hits(self) -> np.ndarray:
        """R@1 of each item, the mean over its two queries, (n,)."""
        return ((self.x_query <= 1).astype(float) + (self.y_query <= 1)) / 2


def _gain(ranks: np.ndarray, k: int) -> np.ndarray:
    return np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0)


def _search(queries: np.ndarray, corpus: np.ndarray, stored_as_x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank of corpus row i for query i, and the share of its top 10 (target left out) in the query's own modality."""
    n = len(queries)
    top = min(TOP, n - 1)
    ranks, same = np.empty(n, dtype=np.int64), np.empty(n)
    step = max(1, BLOCK_SCORES // n)
    for start in range(0, n, step):
        stop = min(start + step, n)
        rows = np.arange(start, stop)
        scores = queries[start:stop] @ corpus.T
        own = scores[rows - start, rows]
        ranks[rows] = np.count_nonzero(scores >= own[:, None], axis=1)
        scores[rows - start, rows] = -np.inf
        nearest = np.argpartition(-scores, top - 1, axis=1)[:, :top]
        # The query is of the modality that its item is not stored in.
        same[rows] = (stored_as_x[nearest] != stored_as_x[rows, None]).mean(axis=1)
    return ranks, same
