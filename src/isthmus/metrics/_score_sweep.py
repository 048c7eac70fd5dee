"""One pass over all scores of the sampled items, for all measures of a run that look at them."""

from __future__ import annotations

from typing import Any, Protocol

from isthmus.compute.score_sweep import ScoreConsumer, sweep_scores
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows


class ResultConsumer(ScoreConsumer, Protocol):
    """A consumer of scores with a result."""

    def result(self) -> Any:
        """Return the result after all tiles."""
        ...


class SweptWork(Protocol):
    """A class of intermediate results that are computed from all scores. A measure declares it in `Metric.sweeps`.

    A class may have an attribute `part_of`, another class of swept work whose consumer counts the same, and a class
    method `of_consumer(consumer)`. If both are swept together, then it has no consumer of its own.
    """

    @classmethod
    def consumer(cls, rows: PairedRows, /) -> ResultConsumer:
        """Return the consumer of the scores of these rows that computes the result."""
        ...

    @classmethod
    def is_swept(cls, rows: PairedRows, /) -> bool:
        """Return False if a device or a cluster computes the result without the pass."""
        ...


def swept(context: MetricContext, work: type[SweptWork], /) -> Any:
    """Return the result of one kind of work, computed together with all that the measures of the run declare."""
    results = planned_sweep(context)
    return results[work] if work in results else sweep_rows(context.shared(PairedRows), work)[work]


def planned_sweep(context: MetricContext, /) -> dict[type[SweptWork], Any]:
    """Return the results of all work that the measures of the run declare, computed on the first call."""
    results: dict[type[SweptWork], Any] = context.original.cached("score sweep", _sweep_planned)
    return results


def sweep_rows(rows: PairedRows, *works: type[SweptWork]) -> dict[type[SweptWork], Any]:
    """Return the result of each kind of work, from one pass over the scores."""
    own_work = [work for work in works if getattr(work, "part_of", None) not in works]
    consumers = {work: work.consumer(rows) for work in own_work}
    sweep_scores(rows.x, rows.y, list(consumers.values()))
    results = {work: consumer.result() for work, consumer in consumers.items()}
    contained: list[Any] = [work for work in works if work not in results]
    return results | {work: work.of_consumer(consumers[work.part_of]) for work in contained}


def _sweep_planned(context: MetricContext) -> dict[type[SweptWork], Any]:
    rows = context.shared(PairedRows)
    works = [work for work in context.planned_sweeps if work.is_swept(rows)]
    return sweep_rows(rows, *sorted(works, key=lambda work: work.__name__)) if works else {}
