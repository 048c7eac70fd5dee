"""Recall at k in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.compute.resources import current
from isthmus.metrics._conditions import undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._neighbours import Neighbours, NeighbourTiles
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._score_sweep import swept
from isthmus.statistics.result import Estimate
from isthmus.tasks.matches import Matches
from isthmus.tasks.retrieval import RECALL_RANKS, Retrieval
from isthmus.utils.format import counted

_DIRECTIONS = ("{x}_to_{y}", "{y}_to_{x}")

#: Nearest rows that tell what the rows of the corpus do to a recall: one more than the largest rank.
_LISTED = max(RECALL_RANKS) + 1


@dataclass(frozen=True)
class SampledRetrieval:
    """Ranks of the matching rows in both directions, on a sample of large data.

    Parameters
    ----------
    retrieval : Retrieval
        The ranks.
    nearest : tuple of two (n, k) arrays, optional
        Numbers of the nearest rows of y for each row of x, and of x for each row of y.
    """

    retrieval: Retrieval
    nearest: tuple[np.ndarray, np.ndarray] | None = None
    part_of: ClassVar[type] = Neighbours

    @classmethod
    def of_consumer(cls, tiles: NeighbourTiles, /) -> SampledRetrieval:
        """Return the ranks and the nearest rows that the search of the neighbours finds."""
        x_to_y, y_to_x = (1 + tiles.ahead_across[modality] for modality in "xy")
        n = len(x_to_y)
        ranks = Retrieval(x_to_y, y_to_x, items=n, rows=n, owner=np.arange(n))
        return cls(ranks, (tiles.lists["xy"].index, tiles.lists["yx"].index))

    @classmethod
    def from_context(cls, context: MetricContext, /) -> SampledRetrieval:
        """Rank the sampled items."""
        sample = context.sample
        if cls.is_swept(context.shared(PairedRows)):
            found: SampledRetrieval = swept(context, cls)
            assert found.nearest is not None
            nearest_y, nearest_x = found.nearest
            ranks, matches = found.retrieval, Matches.of(found.retrieval.items, found.retrieval.items)
            return cls(
                ranks.with_corpus_effects(
                    matches, ranks.x_to_y, lambda q, k: nearest_y[q, :k], lambda q, k: nearest_x[q, :k]
                )
            )
        x, y = context.sample_rows
        return cls(Retrieval.of(x, y, index=sample.index, y_groups=sample.y_groups))

    @classmethod
    def consumer(cls, rows: PairedRows, /) -> RankTiles:
        """Return the consumer of scores that ranks one match for each row."""
        return RankTiles(rows.x, rows.y, _LISTED)

    @classmethod
    def is_swept(cls, rows: PairedRows, /) -> bool:
        """Return False if a device computes the ranks."""
        return rows.is_one_to_one and not current().devices


class RankTiles(NeighbourTiles):
    """Rank the matching rows, and find the nearest rows of the other modality."""

    kinds: tuple[str, ...] = ("xy",)

    def result(self) -> SampledRetrieval:
        """Return the ranks after all tiles."""
        return SampledRetrieval.of_consumer(self)


def _identical_rows() -> tuple[np.ndarray, np.ndarray, float]:
    x = np.eye(12)
    return x, x, 1.0


def _register(direction: int, k: int) -> None:
    query, corpus = ("x", "y") if direction == 0 else ("y", "x")

    def recall(context: MetricContext) -> Estimate:
        n_rows = context.sample.n_distinct[1 - direction]
        if n_rows <= k:
            return undefined(f"the recall at {k} of {counted(n_rows, 'row')} is always 1; {k + 1} or more are needed")
        return context.shared(SampledRetrieval).retrieval.recall(k)[direction]

    condition = f"whose nearest {{{corpus}}} row matches"
    if k > 1:
        condition = f"with a matching row among the {k} nearest {{{corpus}}} rows"
    recall.__doc__ = f"""Share of {{{query}}} queries {condition}.

    Rows are ranked by cosine. Equal rows are one query. Any matching row of the query counts, and ties count against
    the query. It is measured on 10,000 random items if there are more. The interval is Wilson's for as many independent
    queries as have the same error. Queries of one item count as dependent, as do queries with the same rows before
    their matches. If few rows are nearest to most queries, it is wider, with the quantile of Student's t. The null is
    the share of a random ranking.
    """
    metric(
        f"{_DIRECTIONS[direction]}_R@{k}",
        undefined_if=("constant modality",),
        conditions=(f"there are at most {k} rows to retrieve" if k > 1 else "there is one row to retrieve",),
        family="retrieval",
        unit="share",
        range=(0, 1),
        direction="higher",
        requires="rows",
        sweeps=(SampledRetrieval,),
        interval="wilson",
        null_model="pair shuffle",
        source="Karpathy and Fei-Fei 2015, arXiv 1412.2306",
        reference_case=_identical_rows,
    )(recall)


for _direction in (0, 1):
    for _k in (1, 5, 10):
        _register(_direction, _k)
