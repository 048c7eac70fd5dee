"""Recall at k: does the partner come first?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import to_numpy
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
        x, y = (to_numpy(rows) for rows in context.sample.unit(normalize=context.normalize))
        return cls(Retrieval.of(x, y, index=context.sample.index))


def _known() -> tuple[np.ndarray, np.ndarray, float]:
    x = np.eye(12)
    return x, x, 1.0


def _register(direction: int, k: int) -> None:
    query, corpus = ("x", "y") if direction == 0 else ("y", "x")

    def recall(context: MetricContext) -> Estimate:
        return context.shared(SampledRetrieval).retrieval.recall(k)[direction]

    recall.__doc__ = (
        f"Share of {{{query}}} queries whose partner is among the {k} nearest {{{corpus}}} rows by cosine (any own "
        "partner counts, ties count against the query). Measured on 10,000 random items when there are more. The "
        "null is chance."
    )
    metric(
        f"{_DIRECTIONS[direction]}_R@{k}",
        family="retrieval",
        unit="share",
        range=(0, 1),
        direction="higher",
        requires="rows",
        interval="wilson",
        null_model="pair shuffle",
        source="Karpathy and Fei-Fei 2015, arXiv 1412.2306",
        reference_case=_known,
    )(recall)


for _direction in (0, 1):
    for _k in (1, 5, 10):
        _register(_direction, _k)
