"""The gap in relation to how far the rows are apart anyway."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.intervals import clipped, debiased, gap_squared, normal_interval, variance
from isthmus.metrics._base import View, metric
from isthmus.metrics._conditions import EQUAL, NO_SPREAD, NOT_UNIT, is_unit, undefined
from isthmus.result import NAN, Estimate

#: Partners nearer than this count as this far apart (the official code's choice).
FLOOR = 1e-3


def _crossed() -> tuple[Any, Any]:
    return np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[-1.0, 0.0], [0.0, -1.0]])


@metric(
    "relative_modality_gap",
    unit="share",
    range=(0, 1),
    better="lower",
    invariant=("rotation", "row scale", "swap"),
    interval="jackknife",
    control="pair shuffle",
    source="Schrodi et al. 2025, arXiv 2404.07983",
    known=lambda: (*_crossed(), 1 / 1.5),
)
def relative_modality_gap(view: View) -> Estimate:
    """RMG = m / (m + (I + T) / 2): mean distance of partners against the mean distance within each side.

    With d(a, b) = (1 - a.b) / 2: m is the larger of the mean d(x_i, y_i) and 1e-3, I and T are the means of d over rows
    of different items of x and of y. The null is the same with strangers as partners.
    """
    if not is_unit(view):
        return undefined(NOT_UNIT)
    m = view.moments
    if m.by_item.count < 2:
        return undefined("there is one item only")
    strangers, xx, yy = debiased(m)
    within = (1 - (xx + yy) / 2) / 2
    apart, null = (max((1 - cosine) / 2, FLOOR) for cosine in (m.mean_paired, strangers))
    whole = apart + within
    value, null = apart / whole, null / (null + within)
    if apart == FLOOR:
        return Estimate(value, null=null, note="partners are nearer than the floor of 1e-3 that the definition sets")
    along = apart / (2 * whole**2)
    var = variance(m, along * m.mean_x, along * m.mean_y, -within / (2 * whole**2))
    return Estimate(value, *clipped(normal_interval(value, var), 0, 1), null)


@metric(
    "residual_energy_share",
    unit="share",
    range=(0, 1),
    invariant=("rotation", "row scale", "swap"),
    interval="jackknife",
    control="pair shuffle",
    source="AnisoAlign 2026, arXiv 2605.07825 (R_energy)",
    known=lambda: (*_crossed(), 0.5),
)
def residual_energy_share(view: View) -> Estimate:
    """tr S_r / (|gap|^2 + tr S_r): share of the mean squared distance of partners that is left when the means agree.

    S_r is the covariance of x - y (1/n), gap the difference of the means; |gap|^2 + tr S_r = mean |x - y|^2. The
    interval is that of the value without its bias. The null is the share with strangers as partners.
    """
    m = view.moments
    squares = float(np.trace(m.xx) + np.trace(m.yy)) / m.n
    whole = squares - 2 * m.mean_paired
    if whole <= 1e-12 * squares:
        return undefined("partners are equal")
    gap = m.mean_x - m.mean_y
    value = 1 - float(gap @ gap) / whole
    unbiased, noise = gap_squared(m)
    strangers = squares - 2 * debiased(m)[0]
    null = min(max(1 - unbiased / strangers, 0.0), 1.0) if strangers > 0 else NAN
    if not is_unit(view):
        return Estimate(value, null=null, note="no interval: " + NOT_UNIT)
    if noise:
        return Estimate(value, *clipped((1 - noise[1] / whole, 1 - noise[0] / whole), 0, 1), null)
    along = -2 * gap / whole
    var = variance(m, along, -along, -2 * unbiased / whole**2)
    return Estimate(value, *clipped(normal_interval(1 - unbiased / whole, var), 0, 1), null)


@metric(
    "fisher_ratio",
    unit="ratio",
    range=(0, np.inf),
    better="lower",
    invariant=("rotation", "row scale", "swap"),
    interval="jackknife",
    control="modality swap",
    source="Fisher 1936, The use of multiple measurements in taxonomic problems",
    known=lambda: (*_crossed(), 1.0),
)
def fisher_ratio(view: View) -> Estimate:
    """tr S_B / tr S_W: scatter of the two means over the scatter of the rows around their own mean.

    For two sides of one size it is |mean x - mean y|^2 / (2 (tr S_x + tr S_y)), covariances with 1/n. The interval is
    that of the value without its bias. The null is the ratio when each pair swaps its sides with probability 1/2.
    """
    m = view.moments
    squares = float(np.trace(m.xx) + np.trace(m.yy)) / m.n
    gap = m.mean_x - m.mean_y
    scatter = squares - float(m.mean_x @ m.mean_x + m.mean_y @ m.mean_y)
    if scatter <= 1e-12 * squares:
        return undefined(EQUAL if float(gap @ gap) == 0 else NO_SPREAD.replace("one side", "each side"))
    value = float(gap @ gap) / (2 * scatter)
    c = m.by_item
    swapped_gap = float(np.trace(c.xx) + np.trace(c.yy) - 2 * np.trace(c.xy)) / m.n**2
    null = swapped_gap / (2 * scatter + float(gap @ gap) - swapped_gap)
    if not is_unit(view):
        return Estimate(value, null=null, note="no interval: " + NOT_UNIT)
    unbiased, noise = gap_squared(m)
    spread = squares - sum(debiased(m)[1:])
    if spread <= 0:
        return Estimate(value, null=null, note="no interval: too few items")
    if noise:
        return Estimate(value, noise[0] / (2 * spread), noise[1] / (2 * spread), null)
    ratio = unbiased / (2 * spread)
    along_x = (gap + 2 * ratio * m.mean_x) / spread
    along_y = (-gap + 2 * ratio * m.mean_y) / spread
    low, high = normal_interval(ratio, variance(m, along_x, along_y))
    return Estimate(value, *clipped((low, high), 0, np.inf), null)
