"""Mean cosines of matching and of non-matching pairs."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._conditions import has_unit_rows
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.freedom import widened_variance
from isthmus.statistics.intervals import clip_interval, cosine_interval, normal_interval
from isthmus.statistics.mean_intervals import debiased_mean_products, mean_product_noise
from isthmus.statistics.mean_variance import interval_variance, mean_freedom, product_variance
from isthmus.statistics.result import Estimate

_X = np.array([[1.0, 0.0], [0.0, 1.0]])
_Y = np.array([[0.6, 0.8], [0.8, -0.6]])


@metric(
    "mean_paired_cosine",
    family="first order",
    unit="cosine",
    range=(-1, 1),
    direction="higher",
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="pair shuffle",
    source="Eslami and de Melo 2025 (AlignCLIP), arXiv 2406.17639",
    reference_case=lambda: (_X, _Y, 0.0),
)
def mean_paired_cosine(context: MetricContext) -> Estimate:
    """Mean of x_i . y_i over matching pairs.

    The null is the mean over pairs of different items (shuffled pairing).
    """
    m = context.moments
    value = m.mean_paired
    limit = max(1.0, abs(value)) if has_unit_rows(context) else np.inf  # a rounded mean may exceed 1
    interval = clip_interval(normal_interval(value, interval_variance(m, paired=1.0)), -limit, limit)
    return Estimate(value, *interval, null=debiased_mean_products(m)[0])


@metric(
    "mean_unpaired_cosine",
    needs_pairs=False,
    family="first order",
    unit="cosine",
    range=(-1, 1),
    direction="neither",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="zero mean",
    source="Wang and Isola 2020, arXiv 2005.10242",
    reference_case=lambda: (_X, _Y, 0.8),
)
def mean_unpaired_cosine(context: MetricContext) -> Estimate:
    """Mean of x_i . y_j over non-matching pairs, all i and j of different items.

    Near 1 and -1 the interval is asymmetric. The null is the value of directions whose means are zero, 0.
    """
    m = context.moments
    value = debiased_mean_products(m)[0]
    if is_unit := has_unit_rows(context):
        value = min(max(value, -1.0), 1.0)  # rounding may exceed the range
    noise = mean_product_noise(m)  # the first-order variance counts it twice if the means are short
    var = widened_variance(max(product_variance(m, xy=1.0) - noise, noise), mean_freedom(m))
    interval = cosine_interval(value, var) if is_unit else normal_interval(value, var)
    return Estimate(value, *interval, null=0.0)
