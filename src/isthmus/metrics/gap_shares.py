"""Where the gap points: shares of |mean x - mean y|^2 by coordinate and by principal direction."""

from __future__ import annotations

import numpy as np

from isthmus.linalg.significance import ENERGY_SHARE, energy_rank
from isthmus.metrics._conditions import NO_GAP, few_items, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._gap_directions import gap_by_direction
from isthmus.metrics._metric import metric
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_intervals import linear_variance
from isthmus.statistics.result import Estimate

#: Leading principal directions of `gap_share_leading_8_{side}`.
LEADING = 8
#: Random directions that give the share of their largest coordinates.
DRAWS = 500


def _known(count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """A gap of 8 coordinates, the first two of twice the length of the others."""
    x = np.zeros((2, 20))
    x[:, :8] = [2.0] * 2 + [1.0] * 6
    return x, -x, 8 / 14 if count == 2 else 1.0


def _half_along() -> tuple[np.ndarray, np.ndarray]:
    """Rows along eight coordinates, and a gap half along the first of these and half along a ninth without variance."""
    counts = [40, 9, 9, 8, 8, 7, 7, 6, 20, 9, 9, 8, 8, 7, 7, 6]  # of +e_1 ... +e_8, -e_1 ... -e_8
    steps = np.repeat(np.concatenate([np.eye(8, 10), -np.eye(8, 10)]), counts, axis=0)
    apart = float(steps[:, 0].mean()) * np.eye(10)[8]
    return steps + apart, -steps - apart


def _register(count: int) -> None:
    def concentration(context: MetricContext) -> Estimate:
        m = context.moments
        gap = m.mean_x - m.mean_y
        total = float(gap @ gap)
        if total == 0:
            return undefined(NO_GAP)
        if count >= len(gap):
            return undefined(f"there are only {len(gap)} coordinates")
        chosen = np.argsort(gap**2)[::-1][:count]
        value = float(np.sum(gap[chosen] ** 2)) / total
        c, g = m.by_item, gap
        around = g * (c.count_x - c.count_y)
        # Variance of each coordinate of the gap.
        noise = (np.diag(c.xx) + np.diag(c.yy) - 2 * np.diag(c.xy) - 2 * around + c.count_sq * g**2) / m.n**2
        squares = g**2 - noise
        unbiased = float(squares.sum())
        null = _random_share(len(gap), count)
        which = "coordinates (counted from 0) " + ", ".join(map(str, chosen))
        if unbiased <= 0:
            return Estimate(value, null=null, note=f"no interval: the gap is not distinguishable from zero; {which}")
        share = float(squares[chosen].sum()) / unbiased
        along = -2 * share * g / unbiased
        along[chosen] += 2 * g[chosen] / unbiased
        # Where the gap is zero in all others its first-order error is zero, but not that of their squares.
        others = np.delete(noise, chosen)
        var = linear_variance(m, along, -along) + 2 * float(others @ others) / unbiased**2
        return Estimate(value, *clip_interval(normal_interval(share, var), 0, 1), null, note=which)

    concentration.__doc__ = (
        f"Share of the squared gap |mean x - mean y|^2 in its {count} largest coordinates (the axes of the model, no "
        "rotation of them). The interval is that of the share without its bias, for these coordinates. The null is the "
        "share of a random direction."
    )
    metric(
        f"gap_share_top_{count}",
        family="first order",
        unit="share",
        range=(0, 1),
        direction="neither",
        invariances=("row scale", "swap"),
        interval="jackknife",
        null_model="random direction",
        source="Schrodi et al. 2025, arXiv 2404.07983",
        reference_case=lambda: _known(count),
    )(concentration)


def _random_share(dim: int, count: int) -> float:
    """Mean share of the `count` largest squared coordinates of a random direction of R^dim."""
    squares = np.random.default_rng(0).standard_normal((DRAWS, dim)) ** 2
    top = np.partition(squares, dim - count, axis=1)[:, dim - count :]
    return float(np.mean(top.sum(axis=1) / squares.sum(axis=1)))


for _count in (2, 8):
    _register(_count)


@metric(
    "gap_share_leading_8_{side}",
    family="first order",
    unit="share",
    range=(0, 1),
    direction="neither",
    interval="none: the eight directions turn freely where the eigenvalues at the cut are nearly equal",
    null_model="random direction",
    source="Schrodi et al. 2025, arXiv 2404.07983, for coordinates; directions derived for this package",
    reference_case=lambda: (*_half_along(), 1 / 2),
)
def gap_share_leading(context: MetricContext) -> Estimate:
    """Share of the squared gap |mean x - mean y|^2 along the 8 leading principal directions (centred) of one side.

    All shares, direction by direction, are the curves `gap_share_per_direction_...` of a result. The null is the share
    of a random direction, 8 / d.
    """
    shares = gap_by_direction(context)
    if np.isnan(shares[0]):
        return undefined(NO_GAP)
    if len(shares) <= LEADING:
        return undefined(f"there are only {len(shares)} dimensions")
    if context.x.centred[0][LEADING - 1] <= 0:
        return undefined(f"fewer than {LEADING} directions have any variance")
    return Estimate(float(np.sum(shares[:LEADING])), null=LEADING / len(shares), note=few_items(context))


@metric(
    "gap_outside_span_{side}",
    family="first order",
    unit="share",
    range=(0, 1),
    direction="neither",
    interval="none: the span is cut where a whole number of directions reaches 99 %, which jumps with the data",
    null_model="random direction",
    source="Chowers et al. 2026, arXiv 2603.29080",
    reference_case=lambda: (
        np.array([[0.6, 0.8, 0.0], [-0.6, 0.8, 0.0]]),
        np.array([[0.6, 0.0, 0.8], [-0.6, 0.0, 0.8]]),
        1.0,
    ),
)
def gap_outside_span(context: MetricContext) -> Estimate:
    """Share of the squared gap |mean x - mean y|^2 orthogonal to the principal directions of one side that hold 99 %
    of its variance (centred): 1 when the gap is an offset that no row of this side varies along.

    The null is the share of a random direction, 1 - rank / d.
    """
    shares = gap_by_direction(context)
    if np.isnan(shares[0]):
        return undefined(NO_GAP)
    values = context.x.centred[0]
    rank = energy_rank(np.sqrt(values), ENERGY_SHARE) if values[0] > 0 else 0
    return Estimate(
        min(max(1 - float(np.sum(shares[:rank])), 0.0), 1.0), null=1 - rank / len(values), note=few_items(context)
    )
