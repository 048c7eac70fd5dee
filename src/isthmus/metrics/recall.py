"""Recall at k in both directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from isthmus.compute.masks import at_least, count_columns, count_rows
from isthmus.compute.resources import current
from isthmus.compute.score_sweep import fill_diagonal
from isthmus.compute.workspace import Workspace
from isthmus.metrics._conditions import undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._neighbours import Neighbours, NeighbourTiles
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._score_sweep import planned_sweep, swept
from isthmus.statistics.result import Estimate
from isthmus.tasks.matches import Matches
from isthmus.tasks.ranks import match_thresholds
from isthmus.tasks.retrieval import NearestRows, Retrieval, nearest_rows
from isthmus.utils.format import counted

_DIRECTIONS = ("{x}_to_{y}", "{y}_to_{x}")


@dataclass(frozen=True)
class SampledRetrieval:
    """Ranks of the matching rows in both directions, on a sample of large data."""

    retrieval: Retrieval
    part_of: ClassVar[type] = Neighbours

    @classmethod
    def of_consumer(cls, tiles: NeighbourTiles, /) -> SampledRetrieval:
        """Return the ranks that the search of the neighbours counts."""
        return cls._of_ranks(*(1 + tiles.ahead_across[modality] for modality in "xy"))

    @classmethod
    def _of_ranks(cls, x_to_y: np.ndarray, y_to_x: np.ndarray) -> SampledRetrieval:
        n = len(x_to_y)
        return cls(Retrieval(x_to_y, y_to_x, items=n, rows=n, owner=np.arange(n)))

    @classmethod
    def from_context(cls, context: MetricContext, /) -> SampledRetrieval:
        """Rank the sampled items."""
        sample = context.sample
        if cls.is_swept(context.shared(PairedRows)):
            ranks = swept(context, cls).retrieval
            matches = Matches.of(ranks.items, ranks.items)
            return cls(ranks.with_corpus_effects(matches, ranks.x_to_y, *_nearest_rows(context)))
        x, y = context.sample_rows
        return cls(Retrieval.of(x, y, index=sample.index, y_groups=sample.y_groups))

    @classmethod
    def consumer(cls, rows: PairedRows, /) -> RankTiles:
        """Return the consumer of scores that ranks one match for each row."""
        return RankTiles(rows.x, rows.y)

    @classmethod
    def is_swept(cls, rows: PairedRows, /) -> bool:
        """Return False if a device computes the ranks."""
        return rows.is_one_to_one and not current().devices


class RankTiles:
    """Count the scores that reach that of the match, in tiles of scores.

    Parameters
    ----------
    x, y : numpy.ndarray
        Matching rows, (n, d).
    """

    kinds: tuple[str, ...] = ("xy",)

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self._thresholds = match_thresholds(x, y)
        self._ranks = np.ones((2, len(x)), dtype=np.int64)
        self._workspace = Workspace()

    def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> Any:
        """Return the counts of the rows and of the columns of a tile."""
        fill_diagonal(scores, rows, columns, -np.inf)
        mask = self._workspace.empty("mask", scores.shape, bool)
        counts = count_rows(at_least(scores, self._thresholds[rows], mask))
        return counts, count_columns(at_least(scores, self._thresholds[columns], mask, axis=1))

    def add(self, kind: str, partial: Any, rows: slice, columns: slice) -> None:
        """Add the counts of a tile."""
        self._ranks[0, rows] += partial[0]
        self._ranks[1, columns] += partial[1]

    def result(self) -> SampledRetrieval:
        """Return the ranks after all tiles."""
        return SampledRetrieval._of_ranks(*self._ranks)


def _nearest_rows(context: MetricContext) -> tuple[NearestRows, NearestRows]:
    """Return searches for the nearest rows, which take those that measures of neighbours have found."""
    if Neighbours in planned_sweep(context):
        neighbours = context.shared(Neighbours)
        return lambda q, k: neighbours.xy.index[q, :k], lambda q, k: neighbours.yx.index[q, :k]
    rows = context.shared(PairedRows)
    return lambda q, k: nearest_rows(rows.x, rows.y, q, k), lambda q, k: nearest_rows(rows.y, rows.x, q, k)


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
