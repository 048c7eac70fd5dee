"""How far partners are apart: distances within pairs."""

from __future__ import annotations

import math

import numpy as np

from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.jackknife import mean_interval
from isthmus.statistics.mean_intervals import debiased_mean_products
from isthmus.statistics.result import NAN, Estimate


def _known() -> tuple[np.ndarray, np.ndarray]:
    x = np.tile([1.0, 0.0, 0.0], (40, 1))
    y = np.where(np.arange(40)[:, None] % 2 == 0, [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0])
    return x, y


@metric(
    "instance_gap",
    family="first order",
    unit="distance",
    range=(0, 2),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="pair shuffle",
    source="Schrodi et al. 2025, arXiv 2404.07983",
    reference_case=lambda: (*_known(), (math.sqrt(2) + 2) / 2),
)
def instance_gap(context: MetricContext) -> Estimate:
    """Mean Euclidean distance between partners, mean |x_i - y_i|, over all pairs of at most 10,000 random items.

    The interval is normal over items. The null is the mean distance between strangers: 20 shuffles of the pairing,
    one partner for each item.
    """
    distances, owner = partner_distances(context)
    return Estimate(*mean_interval(distances, owner), null=_strangers(context))


@metric(
    "alignment",
    family="cone and uniformity",
    unit="squared distance",
    range=(0, 4),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="pair shuffle",
    source="Wang and Isola 2020, arXiv 2005.10242",
    reference_case=lambda: (*_known(), 3.0),
)
def alignment(context: MetricContext) -> Estimate:
    """Mean squared distance between partners, mean |x_i - y_i|^2 (alpha = 2), over all pairs of at most 10,000 random
    items; of unit rows it says the same as the paired cosine, 2 - 2 mean x_i . y_i.

    The interval is normal over items. The null is the mean over pairs of different items, from the moments.
    """
    distances, owner = partner_distances(context)
    m = context.moments
    null = (
        float(np.trace(m.xx) + np.trace(m.yy)) / m.n - 2 * debiased_mean_products(m)[0]
        if m.by_item.n_items > 1
        else NAN
    )
    return Estimate(*mean_interval(distances**2, owner), null=null)


def partner_distances(context: MetricContext) -> tuple[np.ndarray, np.ndarray | None]:
    """|x - y| of every pair of the sampled items, (n,), and the item of each (None: one pair each)."""
    from isthmus.compute.arrays import to_numpy

    x, y = (to_numpy(side) for side in context.sample.unit(normalize=context.normalize))
    owner = context.sample.index
    distances = np.empty(len(y))
    for start in range(0, len(y), 4096):
        part = slice(start, start + 4096)
        mine = x[part] if owner is None else x[owner[part]]
        distances[part] = np.linalg.norm(mine.astype(np.float64) - y[part], axis=1)
    return distances, owner


def _strangers(context: MetricContext) -> float:
    rows = context.shared(PairedRows)
    if rows.n < 2:
        return NAN
    return float(np.mean([np.mean(np.linalg.norm(rows.x[i] - rows.y[j], axis=1)) for i, j in rows.non_matching_rows()]))
