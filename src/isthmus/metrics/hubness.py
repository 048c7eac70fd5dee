"""Hubness: corpus rows that are among the nearest of many queries."""

from __future__ import annotations

import math

import numpy as np

from isthmus.metrics._conditions import undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.concentration import gini
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.errors import InputError

#: Nearest rows of a query that count as occurrences.
K = 10
#: Fewest items for a split into two halves with class means.
MIN_SPLIT_ITEMS = 4


def _one_never_retrieved() -> tuple[np.ndarray, np.ndarray, float]:
    """Return eleven corpus rows of which eleven queries retrieve ten, and never the last."""
    x = np.column_stack([np.ones(11), np.arange(11) / 100])
    y = np.vstack([np.column_stack([np.ones(10), np.arange(1, 11) / 100]), [[-1.0, 0.0]]])
    counts = np.array([11.0] * 10 + [0.0])
    return x, y, skewness(counts)


def skewness(values: np.ndarray) -> float:
    """Return the third central moment over the cube of the standard deviation, both with 1/n. NaN if all are equal.

    `scipy.stats.skew` gives the same number and takes a second to import.

    >>> round(skewness(np.array([0.0, 0.0, 3.0])), 6) == round(2**-0.5, 6)
    True
    """
    centred = values - values.mean()
    variance = float(np.mean(centred**2))
    return float(np.mean(centred**3)) / variance**1.5 if variance > 0 else NAN


def _register(name: str, query: str, corpus: str, forward: bool) -> None:
    def hubness(context: MetricContext) -> Estimate:
        if not forward:
            context = context.swapped()
        n = context.shared(PairedRows).n
        counts = np.bincount(context.shared(Neighbours).xy.index[:, :K].ravel(), minlength=n).astype(float)
        value, p = skewness(counts), K / n
        null = (1 - 2 * p) / math.sqrt(n * p * (1 - p))
        if math.isnan(value):
            return Estimate(NAN, null=null, undefined="every corpus row is retrieved equally often")
        return Estimate(value, null=null)

    hubness.__doc__ = f"""Skewness of how often each row of {{{corpus}}} is among the 10 nearest of {{{query}}} queries.

    It is 0 without hubs. Rows are compared by cosine. It is measured on at most 10,000 random items with one pair each.
    The null is the skewness of a binomial count with n queries and the share k / n.
    """
    metric(
        name,
        needs_pairs=False,
        min_items=K + 1,
        undefined_if=("constant modality",),
        conditions=("every row is retrieved equally often",),
        family="neighbours",
        unit="skewness",
        range=(-np.inf, np.inf),
        direction="lower",
        requires="rows",
        sweeps=(Neighbours,),
        interval="none: a third moment depends on a few hubs",
        null_model="random retrieval",
        source="Radovanovic, Nanopoulos and Ivanovic 2010, JMLR 11",
        reference_case=_one_never_retrieved if forward else _one_never_retrieved_backward,
    )(hubness)


def _one_never_retrieved_backward() -> tuple[np.ndarray, np.ndarray, float]:
    x, y, expected = _one_never_retrieved()
    return y, x, expected


_register("{x}_to_{y}_hubness", "x", "y", True)
_register("{y}_to_{x}_hubness", "y", "x", False)


def _all_predicted_as_one_class() -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    x = np.tile([1.0, 0.0], (40, 1))
    y = np.vstack([np.tile([1.0, 0.0], (20, 1)), np.tile([0.0, 1.0], (20, 1))])
    return x, y, np.repeat([0, 1], 20), 0.5


@metric(
    "predicted_class_gini_{side}",
    min_items=MIN_SPLIT_ITEMS,
    conditions=("fewer than two classes have a mean with a direction",),
    family="neighbours",
    unit="gini",
    range=(0, 1),
    direction="lower",
    requires="labels",
    interval="none: it counts the classes of one split",
    null_model="true labels",
    source="Sato 2026, predicted-class Gini",
    reference_case=_all_predicted_as_one_class,
)
def predicted_class_gini(context: MetricContext) -> Estimate:
    """Gini coefficient of how often each class is predicted for the rows of one modality.

    The predicted class is that of the nearest (by cosine) class mean of the other modality. Class means are taken over
    a random half of the items, and rows of the other half are classified. Hub classes make the coefficient large, up
    to 1 - 1/C for C classes. It is measured only with labels, on at most 10,000 random items with one pair each. The
    null is the Gini coefficient of the true labels of the classified half.
    """
    rows = context.shared(PairedRows)
    if rows.labels is None:
        raise InputError("predicted_class_gini needs labels; give Pairs(..., labels=) one for each item")
    classes, labels = np.unique(rows.labels, return_inverse=True)
    fit, test = rows.random_order[: rows.n // 2], rows.random_order[rows.n // 2 :]
    sums = np.zeros((len(classes), rows.y.shape[1]))
    np.add.at(sums, labels[fit], rows.y[fit])
    lengths = np.linalg.norm(sums, axis=1)
    has_mean = lengths > 0
    if np.count_nonzero(has_mean) < 2:
        return undefined("fewer than two classes have a mean with a direction")
    means = np.where(has_mean[:, None], sums, 0) / np.where(has_mean, lengths, 1)[:, None]
    scores = rows.x[test] @ means.T
    scores[:, ~has_mean] = -np.inf
    predicted = np.bincount(np.argmax(scores, axis=1), minlength=len(classes))
    return Estimate(gini(predicted), null=gini(np.bincount(labels[test], minlength=len(classes))))
