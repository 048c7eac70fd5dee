"""First-order gap: where the two means stand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_intervals import (
    debiased_gap_squared,
    debiased_mean_products,
    gap_interval,
    linear_variance,
    mean_covariance,
    mean_length_interval,
    mean_p_value,
)
from isthmus.statistics.result import NAN, Estimate

#: The angle is undefined unless both means pass the test at this level ...
LEVEL = 0.01
#: ... and the standard error of its cosine is at most this.
MOST_ERROR = 0.1


def _orthogonal() -> tuple[Any, Any, float]:
    x = np.tile([1.0, 0.0, 0.0], (50, 1))
    y = np.tile([0.0, 1.0, 0.0], (50, 1))
    return x, y, 90.0


@metric(
    "centroid_angle",
    family="first order",
    unit="degrees",
    range=(0, 180),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Yi, Douady and Chen 2025, arXiv 2510.03268",
    reference_case=_orthogonal,
)
def centroid_angle(context: MetricContext) -> Estimate:
    """Angle between the two mean directions, arccos(c_x . c_y) with c = mean / |mean|: the modality gap of the theory.

    The value is the plug-in; the interval is that of the cosine without the terms of an item with itself, with the
    infinitesimal jackknife's standard error. Undefined unless both means differ from zero at p < .01 and that
    standard error is at most .1. The null is the angle that swapping the sides of random pairs leaves.
    """
    return gap_angle(context)


def gap_angle(context: MetricContext, *, inflation: float = 1.0) -> Estimate:
    """`centroid_angle`; `inflation` is 1 + n / n_fit when the rows were centred on n_fit other rows."""
    m = context.moments
    sizes = [float(np.linalg.norm(v)) for v in (m.mean_x, m.mean_y)]
    p_values = (mean_p_value(m, inflation=inflation), mean_p_value(m.swapped(), inflation=inflation))
    if max(p_values) >= LEVEL:
        short = int(np.argmax(p_values))
        return Estimate(
            NAN,
            undefined=f"the mean of {context.names[short]} is not distinguishable from zero "
            f"(length {sizes[short]:.3g}, p = {p_values[short]:.2g})",
        )
    cosine, var = cosine_of_means(context)
    if not math.sqrt(var) <= MOST_ERROR:
        return Estimate(
            NAN,
            undefined=f"the cosine between the means has a standard error of {math.sqrt(var):.2g}, "
            f"more than {MOST_ERROR}",
        )
    value = _angle_between(m.mean_x, m.mean_y)
    low, high = normal_interval(cosine, var)
    return Estimate(value, _degrees(high), _degrees(low), _swap_null_angle(context))


def cosine_of_means(context: MetricContext) -> tuple[float, float]:
    """Debiased cosine between the means and its variance (infinitesimal jackknife)."""
    m = context.moments
    xy, xx, yy = debiased_mean_products(m)
    if xx <= 0 or yy <= 0:
        return NAN, NAN
    scale = math.sqrt(xx * yy)
    cosine = xy / scale
    along_x = m.mean_y / scale - cosine * m.mean_x / xx
    along_y = m.mean_x / scale - cosine * m.mean_y / yy
    return cosine, linear_variance(m, along_x, along_y)


def _angle_between(u: np.ndarray, v: np.ndarray) -> float:
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    # Kahan's form: accurate for every angle, unlike arccos near 0 and 180 degrees.
    return math.degrees(2 * math.atan2(float(np.linalg.norm(u - v)), float(np.linalg.norm(u + v))))


def _degrees(cosine: float) -> float:
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def _swap_null_angle(context: MetricContext) -> float:
    """The angle between the means when each pair swaps its sides with probability 1/2 (root mean square).

    Both means then lie at (mean x + mean y) / 2, apart by the part of a random vector that is orthogonal to it.
    """
    m = context.moments
    middle = (m.mean_x + m.mean_y) / 2
    length = float(np.linalg.norm(middle))
    if length < 1e-12:
        return NAN
    u = middle / length
    c = m.by_item
    differences = c.xx + c.yy - c.xy - c.xy.T
    orthogonal = float(np.trace(differences) - u @ differences @ u) / m.n**2
    return math.degrees(2 * math.atan2(math.sqrt(max(orthogonal, 0.0)) / 2, length))


@metric(
    "centroid_distance",
    family="first order",
    unit="distance",
    range=(0, 2),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Liang et al. 2022, arXiv 2203.02053",
    reference_case=lambda: (*_orthogonal()[:2], math.sqrt(2)),
)
def centroid_distance(context: MetricContext) -> Estimate:
    """Euclidean distance between the two means, |mean x - mean y|.

    The value is the plug-in; the interval is that of the square without its bias tr Cov(x - y) / n. The null is the
    root mean square distance when each pair swaps its sides with probability 1/2.
    """
    m = context.moments
    c = m.by_item
    null = math.sqrt(max(float(np.trace(c.xx) + np.trace(c.yy) - 2 * np.trace(c.xy)), 0.0)) / m.n
    return Estimate(
        float(np.linalg.norm(m.mean_x - m.mean_y)), *clip_interval(gap_interval(m), 0, _longest(context, 2)), null
    )


@metric(
    "centroid_distance_debiased",
    family="first order",
    unit="distance",
    range=(0, 2),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="derived for this package from Liang et al. 2022, arXiv 2203.02053",
    reference_case=lambda: (*_orthogonal()[:2], math.sqrt(2)),
)
def centroid_distance_debiased(context: MetricContext) -> Estimate:
    """Distance between the two means without sampling noise: the root of the unbiased |mean x - mean y|^2, or 0 where
    that is negative. All terms of an item with itself are left out of the square.

    The null is the distance when each pair swaps its sides with probability 1/2, which is 0 without that noise.
    """
    m = context.moments
    if m.by_item.n_items < 2:
        return Estimate(NAN, undefined="there is one item only")
    squared = debiased_gap_squared(m)[0]
    return Estimate(math.sqrt(max(squared, 0.0)), *clip_interval(gap_interval(m), 0, _longest(context, 2)), 0.0)


@metric(
    "mean_resultant_length_{side}",
    family="cone and uniformity",
    unit="length",
    range=(0, 1),
    direction="neither",
    interval="jackknife",
    null_model="zero mean",
    source="Mardia and Jupp 2000, Directional Statistics",
    reference_case=lambda: (np.array([[1.0, 0], [0, 1.0]]), np.array([[1.0, 0], [0, 1.0]]), math.sqrt(0.5)),
)
def mean_resultant_length(context: MetricContext) -> Estimate:
    """Length of the mean of one side's unit rows: 0 for a cloud spread evenly, 1 for a single direction (the cone).

    The value is the plug-in; the interval is that of the square without its bias. The null is what as many
    independent directions of the same scatter give around a mean of zero.
    """
    m = context.moments
    null = math.sqrt(max(float(np.trace(mean_covariance(m))), 0.0))
    return Estimate(
        float(np.linalg.norm(m.mean_x)), *clip_interval(mean_length_interval(m), 0, _longest(context, 1)), null
    )


def _longest(context: MetricContext, most: float) -> float:
    """The end of the range of a length that is at most `most` for unit rows."""
    return most if context.normalize else math.inf
