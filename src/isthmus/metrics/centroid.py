"""First-order gap: angle and distance between the two means, and the length of each mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from isthmus.metrics._conditions import ONE_ITEM, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.freedom import widened_variance
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_angle import noise_angle_interval
from isthmus.statistics.mean_intervals import (
    MEAN_TEST_LEVEL,
    debiased_gap_squared,
    debiased_mean_cosine,
    debiased_mean_products,
    gap_interval,
    mean_covariance,
    mean_length_interval,
    mean_p_value,
)
from isthmus.statistics.mean_variance import mean_freedom
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import NAN, Estimate

#: The angle is undefined unless both means differ from zero at `MEAN_TEST_LEVEL`, and its cosine has at most this
#: standard error.
MAX_COSINE_ERROR = 0.1
#: Items below which an interval needs a smaller error. Few items with a small error are those with too small an angle.
MANY_ITEMS, MAX_ERROR_OF_FEW = 30, 0.05
#: Words between the two means if neither is distinguishable from zero.
ALSO = ", nor is that of"
#: Difference of two cosines that is rounding.
ROUNDING = 1e-13


def _orthogonal_means() -> tuple[Any, Any, float]:
    x = np.tile([1.0, 0.0, 0.0], (50, 1))
    y = np.tile([0.0, 1.0, 0.0], (50, 1))
    return x, y, 90.0


@metric(
    "centroid_angle",
    needs_pairs=False,
    conditions=(
        "a mean is not distinguishable from zero",
        "the standard error of the cosine between the means is above .1",
    ),
    family="first order",
    unit="degrees",
    range=(0, 180),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Yi, Douady and Chen 2025, arXiv 2510.03268",
    reference_case=_orthogonal_means,
)
def centroid_angle(context: MetricContext) -> Estimate:
    """Angle between the two mean directions, arccos(c_x . c_y) with c = mean / |mean|.

    The value and its interval leave out the terms of an item with itself. The plug-in, the published form, includes
    them. The standard error is the jackknife's. An angle that may be 0 or 180 degrees has the interval of a squared
    length near zero. The angle is undefined unless both means differ from zero at p < .01 and the standard error of the
    cosine is at most .1. With fewer than 30 items, the interval needs one of at most .05. The null is the angle that is
    left if random pairs swap their modalities.
    """
    return gap_angle(context)


def gap_angle(context: MetricContext, *, inflation: float = 1.0, with_null: bool = True) -> Estimate:
    """Return `centroid_angle`, also for rows that were centred on the means of other rows.

    Parameters
    ----------
    context : MetricContext
        The data.
    inflation : float
        Factor of the variance of the means: 1 + n / n_fit if the rows were centred on n_fit other rows.
    with_null : bool
        Whether the null is computed, which passes over the covariances several times.

    Returns
    -------
    Estimate
        The angle in degrees.
    """
    m = context.moments
    lengths = [float(np.linalg.norm(mean)) for mean in (m.mean_x, m.mean_y)]
    p_values = (mean_p_value(m, inflation=inflation), mean_p_value(m.swapped(), inflation=inflation))
    if max(p_values) >= MEAN_TEST_LEVEL:
        shorter = int(np.argmax(p_values))
        reason = (
            f"the mean of {context.names[shorter]} is not distinguishable from zero at p < {MEAN_TEST_LEVEL:g} "
            f"(length {lengths[shorter]:.3g}, p = {p_values[shorter]:.2g})"
        )
        longer = 1 - shorter
        if p_values[longer] >= MEAN_TEST_LEVEL:
            reason += f"{ALSO} {context.names[longer]} (length {lengths[longer]:.3g}, p = {p_values[longer]:.2g})"
        return undefined(reason)
    cosine, var = debiased_mean_cosine(m)
    if math.isnan(var):
        return undefined("a mean has no length beyond its sampling noise")
    if math.sqrt(var) > MAX_COSINE_ERROR:
        # Rounded up, so that the number is above the limit that it exceeds.
        error = math.ceil(1000 * math.sqrt(var)) / 1000
        return undefined(
            f"the cosine between the means has a standard error of {error:g}, more than {MAX_COSINE_ERROR}"
        )
    plugin = _angle_between(m.mean_x, m.mean_y)
    # arccos magnifies rounding errors near 0 and 180 degrees.
    is_equal = abs(cosine - math.cos(math.radians(plugin))) < ROUNDING
    value = plugin if is_equal else _degrees(cosine)
    null = _angle_after_swaps(context) if with_null else NAN
    if m.by_item.n_items < MANY_ITEMS and math.sqrt(var) > MAX_ERROR_OF_FEW:
        note = (
            f"no interval: {MANY_ITEMS} items are needed, or a standard error of the cosine of at most "
            f"{MAX_ERROR_OF_FEW:g}"
        )
        return Estimate(value, null=null, plugin=plugin, note=note)
    interval = _angle_interval(context, cosine, var, inflation)
    return Estimate.debiased(value, interval, plugin=plugin, null=null)


def _angle_interval(context: MetricContext, cosine: float, variance: float, inflation: float) -> tuple[float, float]:
    """Return the interval of the angle in degrees from its cosine, or from the chord where it may be 0 or 180."""
    of_noise = noise_angle_interval(context.moments, inflation=inflation) if variance > 0 else None
    if of_noise is not None:
        return of_noise
    low, high = normal_interval(cosine, widened_variance(variance, mean_freedom(context.moments)))
    return _degrees(high), _degrees(low)


def both_means_vanish(gap: Estimate, /) -> bool:
    """Return whether an angle is undefined because neither mean is distinguishable from zero: there is no gap.

    >>> both_means_vanish(Estimate(NAN, undefined="the mean of image is not distinguishable from zero"))
    False
    """
    return ALSO in (gap.undefined or "")


def _angle_between(u: np.ndarray, v: np.ndarray) -> float:
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    # Kahan's form is accurate for every angle, unlike arccos near 0 and 180 degrees.
    return math.degrees(2 * math.atan2(float(np.linalg.norm(u - v)), float(np.linalg.norm(u + v))))


def _degrees(cosine: float) -> float:
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def _angle_after_swaps(context: MetricContext) -> float:
    """Return the angle between the means if each pair swaps its modalities with probability 1/2 (root mean square).

    Both means are then near (mean x + mean y) / 2. They differ by a random vector, of which only the component
    orthogonal to this midpoint changes the angle.
    """
    m = context.moments
    midpoint = (m.mean_x + m.mean_y) / 2
    length = float(np.linalg.norm(midpoint))
    if length < 1e-12:
        return NAN
    u = midpoint / length
    c = m.by_item
    differences = c.swap_scatter
    orthogonal = float(np.trace(differences) - u @ differences @ u) / m.n**2
    return math.degrees(2 * math.atan2(math.sqrt(max(orthogonal, 0.0)) / 2, length))


@metric(
    "centroid_distance",
    needs_pairs=False,
    family="first order",
    unit="distance",
    range=(0, 2),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Liang et al. 2022, arXiv 2203.02053",
    reference_case=lambda: (*_orthogonal_means()[:2], math.sqrt(2)),
)
def centroid_distance(context: MetricContext) -> Estimate:
    """Euclidean distance between the two means, |mean x - mean y|.

    The value and its interval are those of the square without its bias tr Cov(x - y) / n. The plug-in includes it. The
    null is the root mean square of the plug-in if each pair swaps its modalities with probability 1/2.
    """
    m = context.moments
    c = m.by_item
    null = math.sqrt(max(float(np.trace(c.swap_scatter)), 0.0)) / m.n
    interval = clip_interval(gap_interval(m), 0, _max_length(context, 2))
    plugin = float(np.linalg.norm(m.mean_x - m.mean_y))
    return Estimate.debiased(debiased_distance(m), interval, plugin=plugin, null=null)


@metric(
    "centroid_distance_debiased",
    needs_pairs=False,
    conditions=(ONE_ITEM,),
    family="first order",
    unit="distance",
    range=(0, 2),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="derived for this package from Liang et al. 2022, arXiv 2203.02053",
    reference_case=lambda: (*_orthogonal_means()[:2], math.sqrt(2)),
)
def centroid_distance_debiased(context: MetricContext) -> Estimate:
    """Distance between the two means without sampling noise, the root of the unbiased |mean x - mean y|^2.

    All terms of an item with itself are left out of the square. The distance is 0 where that square is negative. The
    null is the distance if each pair swaps its modalities with probability 1/2, which is 0 without sampling noise.
    """
    m = context.moments
    if m.by_item.n_items < 2:
        return undefined(ONE_ITEM)
    value = math.sqrt(max(debiased_gap_squared(m)[0], 0.0))
    interval = clip_interval(gap_interval(m), 0, _max_length(context, 2))
    return Estimate(min(max(value, interval[0]), interval[1]), *interval, 0.0)


@metric(
    "mean_resultant_length_{side}",
    needs_pairs=False,
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
    """Length of the mean of one modality's unit rows: 0 for an evenly spread cloud, 1 for a single direction.

    The value and its interval are those of the square without its bias, which the plug-in includes. The null is the
    plug-in for as many independent directions with the same scatter around a mean of zero.
    """
    m = context.moments
    null = math.sqrt(max(float(np.trace(mean_covariance(m))), 0.0))
    interval = clip_interval(mean_length_interval(m), 0, _max_length(context, 1))
    plugin = float(np.linalg.norm(m.mean_x))
    return Estimate.debiased(_debiased_length(debiased_mean_products(m)[1], plugin), interval, plugin=plugin, null=null)


def debiased_distance(moments: Moments, /) -> float:
    """Return the distance of the means without sampling noise, 0 if the debiased square is negative.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.

    Returns
    -------
    float
        Value of `centroid_distance`.

    Examples
    --------
    >>> from isthmus import Moments
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> round(debiased_distance(Moments.of(X + 9, X + 9.1, normalize=False)), 6)
    0.2
    """
    plugin = float(np.linalg.norm(moments.mean_x - moments.mean_y))
    return _debiased_length(debiased_gap_squared(moments)[0], plugin)


def _debiased_length(squared: float, plugin: float) -> float:
    """Return the root of a debiased square, or the plug-in if they differ by rounding alone."""
    return plugin if abs(squared - plugin**2) < ROUNDING else math.sqrt(max(squared, 0.0))


def _max_length(context: MetricContext, of_unit_rows: float) -> float:
    """Return the largest possible length, given that of unit rows."""
    return of_unit_rows if context.normalize else math.inf
