"""Differences of matching rows after the means are aligned: their size and their anisotropy."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._conditions import NOT_UNIT_ROWS, has_unit_rows, undefined
from isthmus.metrics._context import MetricContext, SecondMoment
from isthmus.metrics._metric import metric
from isthmus.metrics.spectrum import anisotropy_of
from isthmus.statistics.influence import InfluenceSample
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_intervals import debiased_gap_squared, debiased_mean_products
from isthmus.statistics.mean_variance import interval_variance
from isthmus.statistics.result import NAN, Estimate
from isthmus.statistics.spectral_errors import SpectralErrors


@metric(
    "residual_energy_share",
    undefined_if=("constant modalities", "equal pairs"),
    family="distribution",
    unit="share",
    range=(0, 1),
    direction="neither",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="pair shuffle",
    source="AnisoAlign 2026, arXiv 2605.07825 (R_energy)",
    reference_case=lambda: (np.eye(2), -np.eye(2), 0.5),
)
def residual_energy_share(context: MetricContext) -> Estimate:
    """Share of the mean squared distance of matching pairs that is left after the means are aligned.

    It is tr S_r / (|gap|^2 + tr S_r) with the covariance S_r of x - y (1/n) and the difference of the means, gap. The
    denominator equals mean |x - y|^2. The value and its interval are without bias, which the plug-in includes. The null
    is the share for non-matching pairs.
    """
    m = context.moments
    squares = float(np.trace(m.xx) + np.trace(m.yy)) / m.n
    total = squares - 2 * m.mean_paired
    if total <= 1e-12 * squares:
        return undefined("matching rows are equal")
    gap = m.mean_x - m.mean_y
    value = 1 - float(gap @ gap) / total
    unbiased, noise = debiased_gap_squared(m)
    unpaired_total = squares - 2 * debiased_mean_products(m)[0]
    null = min(max(1 - unbiased / unpaired_total, 0.0), 1.0) if unpaired_total > 0 else NAN
    if not has_unit_rows(context):
        return Estimate(value, null=null, note="no interval: " + NOT_UNIT_ROWS)
    if noise:
        interval = clip_interval((1 - noise[1] / total, 1 - noise[0] / total), 0, 1)
        return Estimate.debiased(1 - unbiased / total, interval, plugin=value, null=null)
    var = interval_variance(m, xx=-1 / total, yy=-1 / total, xy=2 / total, paired=-2 * unbiased / total**2)
    interval = clip_interval(normal_interval(1 - unbiased / total, var), 0, 1)
    return Estimate.debiased(1 - unbiased / total, interval, plugin=value, null=null)


def _differences_mostly_along_one_axis() -> tuple[np.ndarray, np.ndarray, float]:
    """Return matching rows that differ along the first axis three times as often as along each of two others."""
    steps = np.repeat(np.concatenate([np.eye(3, 4), -np.eye(3, 4)]), [30, 10, 10] * 2, axis=0)
    return 0.6 * steps + [0.0, 0.0, 0.0, 0.8], -0.6 * steps + [0.0, 0.0, 0.0, 0.8], 4 * 30 / 50


@metric(
    "residual_anisotropy",
    min_items=3,
    undefined_if=("constant modalities", "equal pairs"),
    conditions=("all matching rows differ by the same vector",),
    family="distribution",
    unit="ratio",
    range=(1, np.inf),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="isotropic cloud",
    source="AnisoAlign 2026, arXiv 2605.07825",
    reference_case=_differences_mostly_along_one_axis,
)
def residual_anisotropy(context: MetricContext) -> Estimate:
    """Largest over mean eigenvalue of the covariance S_r of x - y, lambda_1 / (tr S_r / d).

    It measures how much of the difference of matching rows lies in one direction after the means are aligned. The value
    and its interval are without bias, which the plug-in includes, as for `anisotropy_{side}`. The null is the value of
    as many isotropic differences, (1 + sqrt(d / n))^2.
    """
    m, sample = context.moments, context.influence_sample
    gap = m.mean_x - m.mean_y
    eigenvalues, directions = SecondMoment(m.xx + m.yy - m.xy - m.xy.T, gap, m.n).centred
    # The products of equal rows leave rounding errors in proportion to the rows, not to their differences.
    if eigenvalues[0] <= 1e-12 * float(np.trace(m.xx) + np.trace(m.yy)) / m.n:
        return undefined("all matching rows differ by the same vector")
    influence_sample = None
    if sample is not None:
        differences = sample.x - sample.y
        influence_sample = InfluenceSample(differences, differences, sample.begins, scale=sample.scale)
    return anisotropy_of(SpectralErrors(eigenvalues, directions, influence_sample, centre=gap), m.by_item.n_items)
