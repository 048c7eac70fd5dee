"""Who stands next to whom: neighbourhoods within each side, and in the union of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.score_matrix import TopK
from isthmus.metrics._conditions import too_few_items
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.intervals import normal_interval, wilson_interval
from isthmus.statistics.jackknife import jackknife_interval
from isthmus.statistics.result import NAN, Estimate

#: Neighbours of the mutual k-NN.
K_MUTUAL = 10
#: Neighbours of the mixing rate.
K_MIXING = 20


def _circles() -> tuple[np.ndarray, np.ndarray]:
    """Thirty items on a circle of x and, in the same order, on an orthogonal circle of y."""
    angle = 2 * np.pi * np.arange(30) / 30 + 0.001 * np.arange(30) ** 2  # no two distances alike
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.hstack([circle, np.zeros_like(circle)]), np.hstack([np.zeros_like(circle), circle])


def _partner_first() -> tuple[np.ndarray, np.ndarray]:
    """Sixty items: first comes the partner, then all of the own side, then the other side."""
    e, axis = np.eye(61), 0.3 * np.eye(61)[60]
    return e[:60] + axis, e[:60] - axis


def _two_cones() -> tuple[np.ndarray, np.ndarray]:
    """Twelve items: all of the own side (11 rows) comes before the partner, and nothing of the other side."""
    e, axis = np.eye(13), 3 * np.eye(13)[12]
    return e[:12] + axis, e[:12] - axis


@metric(
    "mutual_knn",
    family="neighbours",
    unit="share",
    range=(0, 1),
    direction="higher",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="pair shuffle",
    source="Huh et al. 2024, arXiv 2405.07987",
    reference_case=lambda: (*_circles(), 1.0),
)
def mutual_knn(context: MetricContext) -> Estimate:
    """Mean share of the 10 nearest rows of x_i within x (by cosine, itself left out) that are also among the 10
    nearest of y_i within y, on at most 10,000 random items with one partner each. The null is a shuffled pairing,
    k / (n - 1).

    The interval is normal, for this number of items. Shares of items that are neighbours (in either direction) on both
    sides count as dependent: taken as independent they give intervals that cover only 75 to 88 % of the time.
    """
    rows = context.shared(PairedRows)
    if rows.n < 3:
        return too_few_items(rows.n, 3)
    k = min(K_MUTUAL, rows.n - 1)
    neighbours = context.shared(Neighbours)
    near_x, near_y = (near.index[:, :k] for near in (neighbours.xx, neighbours.yy))
    shares = np.count_nonzero(near_x[:, :, None] == near_y[:, None, :], axis=(1, 2)) / k
    value = float(shares.mean())
    residuals = shares - value
    linked = _links(near_x).multiply(_links(near_y))
    variance = float(residuals @ residuals + residuals @ (linked @ residuals)) / rows.n**2
    interval = _share_interval(value, rows.n, normal_interval(value, max(variance, 0.0)))
    return Estimate(value, *interval, null=k / (rows.n - 1))


def _share_interval(value: float, n: int, found: tuple[float, float]) -> tuple[float, float]:
    """The interval `found` within [0, 1]; where nothing varies, Wilson's for a share of 0 or 1, else none."""
    if value in (0.0, 1.0):
        low, high = wilson_interval(round(value * n), n)
        return (0.0, high) if value == 0 else (low, 1.0)  # exactly: Wilson's own ends round
    low, high = found
    return (max(low, 0.0), min(high, 1.0)) if high > low else (NAN, NAN)


def _links(index: np.ndarray) -> Any:
    """Sparse (n, n) table with a one where an item is among the neighbours `index` of another, or the reverse."""
    from scipy.sparse import csr_array

    n, k = index.shape
    directed = csr_array((np.ones(n * k), index.ravel(), np.arange(n + 1) * k), shape=(n, n))
    return (directed + directed.T > 0).astype(np.float64)


@metric(
    "mixing_rate",
    family="neighbours",
    unit="share",
    range=(0, 1),
    direction="higher",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Yu et al. 2026 (ReAlign), arXiv 2602.07026",
    reference_case=lambda: (*_partner_first(), 1 / 20),
)
def mixing_rate(context: MetricContext) -> Estimate:
    """Share of the other modality among the 20 nearest rows (by cosine, itself left out) of a row in the union of both
    sides, mean over all rows of at most 10,000 random items with one partner each. The null is a well-mixed union,
    n / (2n - 1).

    The interval is the jackknife's over items, for this number of items: an item that is left out leaves all lists
    with both its rows. It is never too narrow, and in a well-mixed union about twice too wide.
    """
    rows = context.shared(PairedRows)
    if rows.n < 2:
        return too_few_items(rows.n, 2)
    n, m = rows.n, context.shared(Neighbours)
    k = min(K_MIXING, 2 * n - 1)
    sides = [Union.of(m.xx, m.xy, k), Union.of(m.yy, m.yx, k)]
    counts = [side.other[:, :k].sum(axis=1) for side in sides]
    value = float(np.mean(counts)) / k
    found = (NAN, NAN)
    if n > K_MIXING + 2:
        total = sum(count.sum() - count + side.changes(k) for count, side in zip(counts, sides, strict=True))
        found = jackknife_interval(value, total / (2 * (n - 1) * k))
    return Estimate(value, *_share_interval(value, n, found), null=n / (2 * n - 1))


@dataclass(frozen=True)
class Union:
    """The k + 2 nearest rows of the union for each row of one side, nearest first: their items, and whether they are of
    the other side, (n, k + 2) each (fewer where there are no more)."""

    item: np.ndarray
    other: np.ndarray

    @classmethod
    def of(cls, within: TopK, across: TopK, k: int) -> Union:
        """Merge the nearest of the own side with those of the other; ties go to the own side."""
        scores = np.concatenate([within.scores, across.scores], axis=1)
        nearest = np.argsort(-scores, axis=1, kind="stable")[:, : k + 2]
        items = np.concatenate([within.index, across.index], axis=1)
        return cls(np.take_along_axis(items, nearest, axis=1), nearest >= within.scores.shape[1])

    def changes(self, k: int) -> np.ndarray:
        """By how much the number of other-side rows in the k nearest of all rows changes without each item, (n,)."""
        n = len(self.item)
        inside, other = self.item[:, :k], self.other.astype(float)
        same = inside[:, :, None] == inside[:, None, :]
        twice = same.sum(axis=2) > 1  # both rows of the item are in the list: two others move up, half for each
        last = other[:, k, None]
        after = other[:, k + 1, None]
        next_is_too = inside == self.item[:, k, None]
        moved_up = np.where(twice, (last + after) / 2, np.where(next_is_too, after, last))
        change = moved_up - other[:, :k]
        change[inside == np.arange(n)[:, None]] = 0  # the row goes with its own item
        return np.bincount(inside.ravel(), weights=change.ravel(), minlength=n)


@metric(
    "mixed_partner_rank_{side}",
    family="neighbours",
    unit="rank",
    range=(1, np.inf),
    direction="lower",
    requires="rows",
    interval="jackknife",
    null_model="random retrieval",
    source="Role et al. 2025, arXiv 2505.03703",
    reference_case=lambda: (*_two_cones(), 12.0),
)
def mixed_partner_rank(context: MetricContext) -> Estimate:
    """Mean rank (by cosine, 1 is best, ties count against it) of the partner of one side's row among the 2n - 1 other
    rows of both sides, on at most 10,000 random items with one partner each. The null is chance, n.

    The interval is the jackknife's over items, for this number of items: (rank - 1) / (n - 1) is a mean over pairs.
    """
    rows = context.shared(PairedRows)
    if rows.n < 3:
        return too_few_items(rows.n, 3)
    n, m = rows.n, context.shared(Neighbours)
    ahead = m.rank_x - 1.0
    low, high = jackknife_interval(
        float(ahead.mean()), (n - 1) * (ahead.sum() - ahead - m.before_x) / ((n - 1) * (n - 2))
    )
    return Estimate(1 + float(ahead.mean()), max(1 + low, 1.0), 1 + high, null=float(n))
