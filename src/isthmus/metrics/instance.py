"""Distances within matching pairs."""

from __future__ import annotations

import math

import numpy as np

from isthmus.metrics._conditions import has_unit_rows
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.intervals import clip_interval
from isthmus.statistics.jackknife import mean_interval
from isthmus.statistics.mean_intervals import debiased_mean_products
from isthmus.statistics.result import NAN, Estimate

#: Pairs whose distances are computed at a time.
BLOCK_PAIRS = 4096


def _two_distances() -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of which half are orthogonal and half opposite."""
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
    reference_case=lambda: (*_two_distances(), (math.sqrt(2) + 2) / 2),
)
def instance_gap(context: MetricContext) -> Estimate:
    """Mean Euclidean distance of matching pairs, mean |x_i - y_i|.

    It is measured on all pairs of at most 10,000 random items. The interval is normal over independent components. The
    null is the mean distance of non-matching pairs: 20 shuffles of the pairing, with one row of y per item.
    """
    distances, owner = pair_distances(context)
    return Estimate(*_mean_distance(context, distances, owner, 2.0), null=_non_matching_distance(context))


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
    reference_case=lambda: (*_two_distances(), 3.0),
)
def alignment(context: MetricContext) -> Estimate:
    """Mean squared distance of matching pairs, mean |x_i - y_i|^2 (alpha = 2).

    It is measured on all pairs of at most 10,000 random items. For unit rows it equals 2 - 2 mean x_i . y_i. The
    interval is normal over components. The null is the mean over pairs of different items, from the moments.
    """
    distances, owner = pair_distances(context)
    m = context.moments
    null = NAN
    if m.by_item.n_items > 1:
        null = float(np.trace(m.xx) + np.trace(m.yy)) / m.n - 2 * debiased_mean_products(m)[0]
    return Estimate(*_mean_distance(context, distances**2, owner, 4.0), null=null)


def pair_distances(context: MetricContext) -> tuple[np.ndarray, np.ndarray | None]:
    """Return |x - y| of every pair of the sampled items, (n,), and the component of each pair (None: one pair each)."""
    sample = context.sample
    x, y = context.sample_rows
    owner = sample.index
    distances = np.empty(len(y))
    for start in range(0, len(y), BLOCK_PAIRS):
        block = slice(start, start + BLOCK_PAIRS)
        x_block = x[block] if owner is None else x[owner[block]]
        distances[block] = np.linalg.norm(x_block.astype(np.float64) - y[block], axis=1)
    is_paired_once = owner is None and sample.y_groups is None
    return distances, None if is_paired_once else sample.components[sample.owner]


def _mean_distance(
    context: MetricContext, distances: np.ndarray, owner: np.ndarray | None, of_unit_rows: float
) -> tuple[float, float, float]:
    """Return the mean with its interval, which ends at 0 and at the largest possible distance, given for unit rows."""
    mean, low, high = mean_interval(distances, owner)
    largest = max(of_unit_rows, mean) if has_unit_rows(context) else math.inf
    return mean, *clip_interval((low, high), 0.0, largest)


def _non_matching_distance(context: MetricContext) -> float:
    rows = context.shared(PairedRows)
    if rows.n < 2:
        return NAN
    return float(np.mean(rows.non_matching_distances))
