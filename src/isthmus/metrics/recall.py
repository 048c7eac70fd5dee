"""Recall at k in both directions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.metrics._conditions import undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.result import Estimate
from isthmus.tasks.retrieval import Retrieval

_DIRECTIONS = ("{x}_to_{y}", "{y}_to_{x}")


@dataclass(frozen=True)
class SampledRetrieval:
    """Ranks of the matching rows in both directions, on a sample of large data."""

    retrieval: Retrieval

    @classmethod
    def from_context(cls, context: MetricContext, /) -> SampledRetrieval:
        """Rank the sampled items."""
        sample = context.sample
        x, y = (to_numpy(rows) for rows in sample.unit(normalize=context.normalize))
        return cls(Retrieval.of(x, y, index=sample.index, y_groups=sample.y_groups))


def _identical_rows() -> tuple[np.ndarray, np.ndarray, float]:
    x = np.eye(12)
    return x, x, 1.0


def _register(direction: int, k: int) -> None:
    query, corpus = ("x", "y") if direction == 0 else ("y", "x")

    def recall(context: MetricContext) -> Estimate:
        n_rows = (context.sample.n_pairs, context.sample.n_items)[direction]
        if n_rows <= k:
            return undefined(f"the recall at {k} of {n_rows} rows is always 1; more than {k} rows are needed")
        return context.shared(SampledRetrieval).retrieval.recall(k)[direction]

    recall.__doc__ = f"""Share of {{{query}}} queries with a matching row among the {k} nearest {{{corpus}}} rows.

    Rows are ranked by cosine. Equal rows are one query. Any matching row of the query counts, and ties count against
    the query. It is measured on 10,000 random items if there are more. The null is the share of a random ranking.
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
        interval="wilson",
        null_model="pair shuffle",
        source="Karpathy and Fei-Fei 2015, arXiv 1412.2306",
        reference_case=_identical_rows,
    )(recall)


for _direction in (0, 1):
    for _k in (1, 5, 10):
        _register(_direction, _k)
