"""Direction of the gap: shares of |mean x - mean y|^2 by coordinate and by principal direction."""

from __future__ import annotations

import numpy as np

from isthmus.linalg.significance import energy_rank
from isthmus.metrics._conditions import EQUAL_MEANS, few_items_note, has_equal_means, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._gap_directions import gap_by_direction
from isthmus.metrics._metric import metric
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_variance import linear_variance
from isthmus.statistics.result import Estimate

#: Leading principal directions of `gap_share_leading_8_{side}`.
LEADING_DIRECTIONS = 8
#: Random directions behind the null of the largest coordinates.
RANDOM_DIRECTIONS = 500


def _eight_coordinates(count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return rows with a gap in eight coordinates, the first two of twice the length of the others."""
    x = np.zeros((2, 20))
    x[:, :8] = [2.0] * 2 + [1.0] * 6
    return x, -x, 8 / 14 if count == 2 else 1.0


def _half_along_variance() -> tuple[np.ndarray, np.ndarray]:
    """Return rows that vary along eight axes, with a gap half along the first and half along a ninth axis."""
    counts = [40, 9, 9, 8, 8, 7, 7, 6, 20, 9, 9, 8, 8, 7, 7, 6]  # of +e_1 ... +e_8, -e_1 ... -e_8
    steps = np.repeat(np.concatenate([np.eye(8, 10), -np.eye(8, 10)]), counts, axis=0)
    offset = float(steps[:, 0].mean()) * np.eye(10)[8]
    return steps + offset, -steps - offset


def _register(count: int) -> None:
    def concentration(context: MetricContext) -> Estimate:
        m = context.moments
        gap = m.mean_x - m.mean_y
        total = float(gap @ gap)
        if has_equal_means(context):
            return undefined(EQUAL_MEANS)
        if count >= len(gap):
            return undefined(f"there are only {len(gap)} coordinates")
        largest = np.argsort(gap**2)[::-1][:count]
        value = float(np.sum(gap[largest] ** 2)) / total
        c = m.by_item
        cross_term = gap * (c.count_x - c.count_y)
        # Variance of each coordinate of the gap.
        noise = (np.diag(c.xx) + np.diag(c.yy) - 2 * np.diag(c.xy) - 2 * cross_term + c.count_sq * gap**2) / m.n**2
        squares = gap**2 - noise
        unbiased = float(squares.sum())
        null = _random_share(len(gap), count)
        note = "coordinates (counted from 0) " + ", ".join(map(str, largest))
        if unbiased <= 0:
            return Estimate(value, null=null, note=f"no interval: the gap is not distinguishable from zero; {note}")
        share = float(squares[largest].sum()) / unbiased
        slope = -2 * share * gap / unbiased
        slope[largest] += 2 * gap[largest] / unbiased
        # If the gap is zero in all other coordinates, its first-order error is zero, but not that of their squares.
        noise_elsewhere = np.delete(noise, largest)
        var = linear_variance(m, slope, -slope) + 2 * float(noise_elsewhere @ noise_elsewhere) / unbiased**2
        interval = clip_interval(normal_interval(share, var), 0, 1)
        return Estimate.debiased(share, interval, plugin=value, null=null, note=note)

    concentration.__doc__ = f"""Share of the squared gap |mean x - mean y|^2 in its {count} largest coordinates.

    Coordinates are the axes of the model, without a rotation. The value and its interval are without bias, for these
    coordinates. The null is the share of a random direction.
    """
    metric(
        f"gap_share_top_{count}",
        needs_pairs=False,
        conditions=(EQUAL_MEANS, f"there are no more than {count} coordinates"),
        family="first order",
        unit="share",
        range=(0, 1),
        direction="neither",
        invariances=("row scale", "swap"),
        interval="jackknife",
        null_model="random direction",
        source="Schrodi et al. 2025, arXiv 2404.07983",
        reference_case=lambda: _eight_coordinates(count),
    )(concentration)


def _random_share(dim: int, count: int) -> float:
    """Return the mean share of the `count` largest squared coordinates of a random direction of R^dim."""
    squares = np.random.default_rng(0).standard_normal((RANDOM_DIRECTIONS, dim)) ** 2
    largest = np.partition(squares, dim - count, axis=1)[:, dim - count :]
    return float(np.mean(largest.sum(axis=1) / squares.sum(axis=1)))


for _count in (2, 8):
    _register(_count)


@metric(
    "gap_share_leading_8_{side}",
    needs_pairs=False,
    undefined_if=("constant side",),
    conditions=(EQUAL_MEANS, "there are no more than 8 dimensions", "fewer than 8 directions have any variance"),
    family="first order",
    unit="share",
    range=(0, 1),
    direction="neither",
    interval="none: the eight directions are arbitrary where the eigenvalues at the cut are nearly equal",
    null_model="random direction",
    source="Schrodi et al. 2025, arXiv 2404.07983, for coordinates; directions derived for this package",
    reference_case=lambda: (*_half_along_variance(), 1 / 2),
)
def gap_share_leading(context: MetricContext) -> Estimate:
    """Share of the squared gap |mean x - mean y|^2 along the 8 leading principal directions of one modality.

    Principal directions are centred. The curves `gap_share_per_direction_...` of a result hold the shares of all
    directions. The null is the share of a random direction, 8 / d.
    """
    shares = gap_by_direction(context)
    if np.isnan(shares[0]):
        return undefined(EQUAL_MEANS)
    if len(shares) <= LEADING_DIRECTIONS:
        return undefined(f"there are only {len(shares)} dimensions")
    if context.x.centred[0][LEADING_DIRECTIONS - 1] <= 0:
        return undefined(f"fewer than {LEADING_DIRECTIONS} directions have any variance")
    value = float(np.sum(shares[:LEADING_DIRECTIONS]))
    return Estimate(value, null=LEADING_DIRECTIONS / len(shares), note=few_items_note(context))


@metric(
    "gap_outside_span_{side}",
    needs_pairs=False,
    conditions=(EQUAL_MEANS,),
    undefined_if=("constant side",),
    family="first order",
    unit="share",
    range=(0, 1),
    direction="neither",
    interval="none: the number of directions that reach 99 % changes in whole steps",
    null_model="random direction",
    source="Chowers et al. 2026, arXiv 2603.29080",
    reference_case=lambda: (
        np.array([[0.6, 0.8, 0.0], [-0.6, 0.8, 0.0]]),
        np.array([[0.6, 0.0, 0.8], [-0.6, 0.0, 0.8]]),
        1.0,
    ),
)
def gap_outside_span(context: MetricContext) -> Estimate:
    """Share of the squared gap |mean x - mean y|^2 outside the span of one modality.

    The span holds 99 % of the modality's variance (centred). The share is 1 if the gap is an offset along which no row
    of this modality varies. The null is the share of a random direction, 1 - rank / d.
    """
    shares = gap_by_direction(context)
    if np.isnan(shares[0]):
        return undefined(EQUAL_MEANS)
    eigenvalues = context.x.centred[0]
    rank = energy_rank(np.sqrt(eigenvalues)) if eigenvalues[0] > 0 else 0
    value = max(1 - float(np.sum(shares[:rank])), 0.0)
    return Estimate(value, null=1 - rank / len(eigenvalues), note=few_items_note(context))
