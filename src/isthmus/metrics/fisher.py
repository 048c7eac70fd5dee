"""Distance of the means in units of the scatter of each modality."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._conditions import (
    EQUAL_ROWS_IN_BOTH,
    EQUAL_ROWS_IN_EACH,
    NOT_UNIT_ROWS,
    has_unit_rows,
    undefined,
)
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_intervals import debiased_gap_squared, debiased_mean_products
from isthmus.statistics.mean_variance import interval_variance
from isthmus.statistics.result import Estimate


@metric(
    "fisher_ratio",
    needs_pairs=False,
    undefined_if=("constant modalities",),
    family="separability",
    unit="ratio",
    range=(0, np.inf),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Fisher 1936, The use of multiple measurements in taxonomic problems",
    reference_case=lambda: (np.eye(2), -np.eye(2), 1.0),
)
def fisher_ratio(context: MetricContext) -> Estimate:
    """Scatter of the two means over the scatter of the rows around their own mean, tr S_B / tr S_W.

    For modalities of equal size it is |mean x - mean y|^2 / (2 (tr S_x + tr S_y)) with covariances (1/n). The value and
    its interval are without bias, which the plug-in includes. The null is the ratio if each pair swaps its modalities
    with probability 1/2.
    """
    m = context.moments
    squares = float(np.trace(m.xx) + np.trace(m.yy)) / m.n
    gap = m.mean_x - m.mean_y
    scatter = squares - float(m.mean_x @ m.mean_x + m.mean_y @ m.mean_y)
    if scatter <= 1e-12 * squares:
        return undefined(EQUAL_ROWS_IN_BOTH if float(gap @ gap) == 0 else EQUAL_ROWS_IN_EACH)
    value = float(gap @ gap) / (2 * scatter)
    c = m.by_item
    swapped_gap = float(np.trace(c.swap_scatter)) / m.n**2
    null = swapped_gap / (2 * scatter + float(gap @ gap) - swapped_gap)
    if not has_unit_rows(context):
        return Estimate(value, null=null, note="no interval: " + NOT_UNIT_ROWS)
    unbiased, noise = debiased_gap_squared(m)
    spread = squares - sum(debiased_mean_products(m)[1:])
    if spread <= 0:
        return Estimate(value, null=null, note="no interval: too few items")
    ratio = unbiased / (2 * spread)
    if noise:
        interval = noise[0] / (2 * spread), noise[1] / (2 * spread)
        return Estimate.debiased(ratio, interval, plugin=value, null=null)
    along_length = (1 + 2 * ratio) / (2 * spread)
    variance = interval_variance(m, xx=along_length, yy=along_length, xy=-1 / spread)
    low, high = normal_interval(ratio, variance)
    return Estimate.debiased(ratio, clip_interval((low, high), 0, np.inf), plugin=value, null=null)
