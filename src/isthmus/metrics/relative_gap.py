"""The gap relative to the distances within each modality."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._conditions import NOT_UNIT_ROWS, ONE_ITEM, has_unit_rows, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_intervals import debiased_mean_products
from isthmus.statistics.mean_variance import interval_variance
from isthmus.statistics.result import Estimate

#: Smallest mean distance of matching pairs that enters the ratio, as in the authors' code.
MIN_DISTANCE = 1e-3


@metric(
    "relative_modality_gap",
    conditions=("rows are not unit rows", ONE_ITEM),
    undefined_if=("one vector",),
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
    """Mean distance of matching pairs relative to the distances within each modality, RMG = m / (m + (I + T) / 2).

    The distance is d(a, b) = (1 - a.b) / 2. m is the larger of the mean d(x_i, y_i) and 1e-3. I and T are the means of
    d over rows of different items of x and of y. The null is the same ratio for non-matching pairs.
    """
    if not has_unit_rows(context):
        return undefined(NOT_UNIT_ROWS)
    m = context.moments
    if m.by_item.n_items < 2:
        return undefined(ONE_ITEM)
    unpaired, xx, yy = debiased_mean_products(m)
    within = (1 - (xx + yy) / 2) / 2
    across, null = (max((1 - cosine) / 2, MIN_DISTANCE) for cosine in (m.mean_paired, unpaired))
    total = across + within
    value, null = across / total, null / (null + within)
    if across == MIN_DISTANCE:
        note = f"matching pairs are nearer than {MIN_DISTANCE:g}, the smallest distance that the definition allows"
        return Estimate(value, null=null, note=note)
    slope = across / (2 * total**2)
    var = interval_variance(m, xx=slope / 2, yy=slope / 2, paired=-within / (2 * total**2))
    return Estimate(value, *clip_interval(normal_interval(value, var), 0, 1), null)
