"""What is left of the differences of partners when the means agree: how much, and in how few directions."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._conditions import NOT_UNIT, is_unit, undefined
from isthmus.metrics._context import MetricContext, SecondMoment
from isthmus.metrics._metric import metric
from isthmus.metrics.spectrum import anisotropy_of
from isthmus.statistics.influence import InfluenceSample
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_intervals import debiased_gap_squared, debiased_mean_products, linear_variance
from isthmus.statistics.result import NAN, Estimate
from isthmus.statistics.spectral_errors import SpectralErrors


@metric(
    "residual_energy_share",
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
    """tr S_r / (|gap|^2 + tr S_r): share of the mean squared distance of partners that is left when the means agree.

    S_r is the covariance of x - y (1/n), gap the difference of the means; |gap|^2 + tr S_r = mean |x - y|^2. The
    interval is that of the value without its bias. The null is the share with strangers as partners.
    """
    m = context.moments
    squares = float(np.trace(m.xx) + np.trace(m.yy)) / m.n
    whole = squares - 2 * m.mean_paired
    if whole <= 1e-12 * squares:
        return undefined("partners are equal")
    gap = m.mean_x - m.mean_y
    value = 1 - float(gap @ gap) / whole
    unbiased, noise = debiased_gap_squared(m)
    strangers = squares - 2 * debiased_mean_products(m)[0]
    null = min(max(1 - unbiased / strangers, 0.0), 1.0) if strangers > 0 else NAN
    if not is_unit(context):
        return Estimate(value, null=null, note="no interval: " + NOT_UNIT)
    if noise:
        return Estimate(value, *clip_interval((1 - noise[1] / whole, 1 - noise[0] / whole), 0, 1), null)
    along = -2 * gap / whole
    var = linear_variance(m, along, -along, -2 * unbiased / whole**2)
    return Estimate(value, *clip_interval(normal_interval(1 - unbiased / whole, var), 0, 1), null)


def _pulled() -> tuple[np.ndarray, np.ndarray, float]:
    """Partners that differ along the first coordinate three times as often as along each of two others."""
    steps = np.repeat(np.concatenate([np.eye(3, 4), -np.eye(3, 4)]), [30, 10, 10] * 2, axis=0)
    return 0.6 * steps + [0.0, 0.0, 0.0, 0.8], -0.6 * steps + [0.0, 0.0, 0.0, 0.8], 4 * 30 / 50


@metric(
    "residual_anisotropy",
    family="distribution",
    unit="ratio",
    range=(1, np.inf),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="isotropic cloud",
    source="AnisoAlign 2026, arXiv 2605.07825",
    reference_case=_pulled,
)
def residual_anisotropy(context: MetricContext) -> Estimate:
    """Largest eigenvalue of the covariance S_r of x - y over their mean, lambda_1 / (tr S_r / d): how much of what
    is left between partners lies in one direction once the means agree.

    The interval is that of the value without its bias, where lambda_1 stands clear of lambda_2. The null is that of as
    many differences without any preferred direction, (1 + sqrt(d / n))^2.
    """
    m, s = context.moments, context.influence_sample
    gap = m.mean_x - m.mean_y
    values, directions = SecondMoment(m.xx + m.yy - m.xy - m.xy.T, gap, m.n).centred
    # Partners that are equal leave rounding of the products, in proportion to the rows and not to their differences.
    if values[0] <= 1e-12 * float(np.trace(m.xx) + np.trace(m.yy)) / m.n:
        return undefined("all partners differ by the same")
    rows = None if s is None else InfluenceSample(s.x - s.y, s.x - s.y, s.begins, scale=s.scale)
    return anisotropy_of(SpectralErrors(values, directions, rows, centre=gap), m.by_item.n_items)
