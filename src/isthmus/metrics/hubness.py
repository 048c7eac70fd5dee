"""Hubness: a few rows of the corpus that are near to everything."""

from __future__ import annotations

import math

import numpy as np

from isthmus.metrics._conditions import too_few_items
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.concentration import gini
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.errors import InputError

#: Neighbours that count as an occurrence.
K = 10


def _one_hub() -> tuple[np.ndarray, np.ndarray, float]:
    """Eleven corpus rows of which ten queries see ten and never the last: counts 10 x 11 and one 0."""
    x = np.tile([1.0, 0.0], (11, 1))
    y = np.vstack([np.column_stack([np.ones(10), np.arange(1, 11) / 100]), [[-1.0, 0.0]]])
    counts = np.array([11.0] * 10 + [0.0])
    return x, y, skewness(counts)


def skewness(values: np.ndarray) -> float:
    """Third central moment over the cube of the standard deviation, both with 1/n; NaN when all are equal.

    >>> round(skewness(np.array([0.0, 0.0, 3.0])), 6) == round(2**-0.5, 6)
    True
    """
    centred = values - values.mean()
    spread = float(np.mean(centred**2))
    return float(np.mean(centred**3)) / spread**1.5 if spread > 0 else NAN


def _register(name: str, query: str, corpus: str, forward: bool) -> None:
    def hubness(context: MetricContext) -> Estimate:
        if not forward:
            context = context.swapped()
        rows = context.shared(PairedRows)
        if rows.n < 3:
            return too_few_items(rows.n, 3)
        n = rows.n
        k = min(K, n - 1)
        counts = np.bincount(context.shared(Neighbours).xy.index[:, :k].ravel(), minlength=n).astype(float)
        value, p = skewness(counts), k / n
        chance = (1 - 2 * p) / math.sqrt(n * p * (1 - p))
        if math.isnan(value):
            return Estimate(NAN, null=chance, undefined="every corpus row is found equally often")
        return Estimate(value, null=chance)

    hubness.__doc__ = (
        f"Skewness of how often a {{{corpus}}} row is among the 10 nearest (by cosine) of all {{{query}}} queries, on "
        "at most 10,000 random items with one partner each: 0 without hubs. The null is the skewness of a binomial "
        "count with n queries and the share k / n."
    )
    metric(
        name,
        family="neighbours",
        unit="skewness",
        range=(-np.inf, np.inf),
        direction="lower",
        requires="rows",
        interval="none: a third moment rests on a few hubs",
        null_model="random retrieval",
        source="Radovanovic, Nanopoulos and Ivanovic 2010, JMLR 11",
        reference_case=_one_hub if forward else lambda: (_one_hub()[1], _one_hub()[0], _one_hub()[2]),
    )(hubness)


_register("{x}_to_{y}_hubness", "x", "y", True)
_register("{y}_to_{x}_hubness", "y", "x", False)


def _two_classes() -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    x = np.tile([1.0, 0.0], (40, 1))
    y = np.vstack([np.tile([1.0, 0.0], (20, 1)), np.tile([0.0, 1.0], (20, 1))])
    return x, y, np.repeat([0, 1], 20), 0.5


@metric(
    "predicted_class_gini_{side}",
    family="neighbours",
    unit="gini",
    range=(0, 1),
    direction="lower",
    requires="labels",
    interval="none: it counts the classes of one split",
    null_model="true labels",
    source="Sato 2026, predicted-class Gini",
    reference_case=_two_classes,
)
def predicted_class_gini(context: MetricContext) -> Estimate:
    """Gini coefficient of how often each class is predicted for one side's rows: the class of the nearest (by cosine)
    class mean of the other side. Class means are taken over a random half of the items and rows of the other half
    are classified; only with labels, on at most 10,000 random items with one partner each. The null is the Gini
    coefficient of the true labels of the classified half.

    The range ends at 1 - 1/C for C classes. Hub classes make it large.
    """
    rows = context.shared(PairedRows)
    if rows.labels is None:
        raise InputError("predicted_class_gini needs labels; give Pairs(..., labels=) one for each item")
    if rows.n < 4:
        return too_few_items(rows.n, 4)
    classes, labels = np.unique(rows.labels, return_inverse=True)
    fit, judged = rows.random_order[: rows.n // 2], rows.random_order[rows.n // 2 :]
    sums = np.zeros((len(classes), rows.y.shape[1]))
    np.add.at(sums, labels[fit], rows.y[fit])
    lengths = np.linalg.norm(sums, axis=1)
    seen = lengths > 0
    if np.count_nonzero(seen) < 2:
        return Estimate(NAN, undefined="fewer than two classes have a mean with a direction")
    means = np.where(seen[:, None], sums, 0) / np.where(seen, lengths, 1)[:, None]
    scores = rows.x[judged] @ means.T
    scores[:, ~seen] = -np.inf
    predicted = np.bincount(np.argmax(scores, axis=1), minlength=len(classes))
    return Estimate(gini(predicted), null=gini(np.bincount(labels[judged], minlength=len(classes))))
