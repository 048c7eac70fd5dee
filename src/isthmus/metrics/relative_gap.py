"""The gap in relation to how far the rows are apart anyway."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._conditions import NOT_UNIT, is_unit, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_intervals import debiased_mean_products, linear_variance
from isthmus.statistics.result import Estimate

#: Partners nearer than this count as this far apart (the official code's choice).
FLOOR = 1e-3


@metric(
    "relative_modality_gap",
    family="first order",
    unit="share",
    range=(0, 1),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="pair shuffle",
    source="Schrodi et al. 2025, arXiv 2404.07983",
    reference_case=lambda: (np.eye(2), -np.eye(2), 1 / 1.5),
)
def relative_modality_gap(context: MetricContext) -> Estimate:
    """RMG = m / (m + (I + T) / 2): mean distance of partners against the mean distance within each side.

    With d(a, b) = (1 - a.b) / 2: m is the larger of the mean d(x_i, y_i) and 1e-3, I and T are the means of d over rows
    of different items of x and of y. The null is the same with strangers as partners.
    """
    if not is_unit(context):
        return undefined(NOT_UNIT)
    m = context.moments
    if m.by_item.n_items < 2:
        return undefined("there is one item only")
    strangers, xx, yy = debiased_mean_products(m)
    within = (1 - (xx + yy) / 2) / 2
    apart, null = (max((1 - cosine) / 2, FLOOR) for cosine in (m.mean_paired, strangers))
    whole = apart + within
    value, null = apart / whole, null / (null + within)
    if apart == FLOOR:
        return Estimate(value, null=null, note="partners are nearer than the floor of 1e-3 that the definition sets")
    along = apart / (2 * whole**2)
    var = linear_variance(m, along * m.mean_x, along * m.mean_y, -within / (2 * whole**2))
    return Estimate(value, *clip_interval(normal_interval(value, var), 0, 1), null)
