"""Neighbourhoods within each modality and in the union of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.compute.score_matrix import TopK
from isthmus.metrics._conditions import undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.dyads import dyadic_variance
from isthmus.statistics.intervals import clip_interval, positive_interval
from isthmus.statistics.jackknife import jackknife_variance
from isthmus.statistics.result import NAN, Estimate
from isthmus.statistics.shares import share_interval
from isthmus.utils.format import counted

#: Neighbours of the mutual k-NN.
K_MUTUAL = 10
#: Neighbours of the mixing rate.
K_MIXING = 20
#: Fewest matching rows behind another row for an interval of the mixed rank.
MIN_LATER_MATCHES = 5
#: Relative difference of two float32 cosines that are equal but for rounding.
TIE_TOLERANCE = 2e-7


def _orthogonal_circles() -> tuple[np.ndarray, np.ndarray]:
    """Return thirty items on a circle of x and, in the same order, on an orthogonal circle of y."""
    angle = 2 * np.pi * np.arange(30) / 30 + 0.001 * np.arange(30) ** 2  # no two distances are equal
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    return np.hstack([circle, np.zeros_like(circle)]), np.hstack([np.zeros_like(circle), circle])


def _matching_row_first() -> tuple[np.ndarray, np.ndarray]:
    """Return sixty items whose nearest row is the matching one, followed by all rows of the same modality."""
    e, axis = np.eye(61), 0.3 * np.eye(61)[60]
    return e[:60] + axis, e[:60] - axis


def _two_cones() -> tuple[np.ndarray, np.ndarray]:
    """Return twelve items whose matching row comes after the 11 other rows of the same modality and before the rest."""
    e, axis = np.eye(13), 3 * np.eye(13)[12]
    return e[:12] + axis, e[:12] - axis


@metric(
    "mutual_knn",
    min_items=K_MUTUAL + 2,
    undefined_if=("constant modality",),
    conditions=("for most rows of one modality the nearest rows are ties",),
    family="neighbours",
    unit="share",
    range=(0, 1),
    direction="higher",
    requires="rows",
    sweeps=(Neighbours,),
    invariances=("rotation", "row scale", "swap"),
    interval="wilson",
    null_model="pair shuffle",
    source="Huh et al. 2024, arXiv 2405.07987",
    reference_case=lambda: (*_orthogonal_circles(), 1.0),
)
def mutual_knn(context: MetricContext) -> Estimate:
    """Mean share of the 10 nearest rows of x_i within x that are also among the 10 nearest of y_i within y.

    Rows are compared by cosine, and a row is not its own neighbour. It is measured on at most 10,000 random items with
    one pair each. The interval is Wilson's for as many independent trials as have the same error, for this number of
    items. Its standard error is that of a mean over pairs of neighbours, which are dependent if they share an item.
    The null is a shuffled pairing, k / (n - 1).
    """
    n = context.shared(PairedRows).n
    k = K_MUTUAL
    neighbours = context.shared(Neighbours)
    if _are_ties(neighbours.xx, k) or _are_ties(neighbours.yy, k):
        return undefined("for most rows of one modality the nearest ones are ties")
    nearest_x, nearest_y = (nearest.index[:, :k] for nearest in (neighbours.xx, neighbours.yy))
    shares = np.count_nonzero(nearest_x[:, :, None] == nearest_y[:, None, :], axis=(1, 2)) / k
    value = float(shares.mean())
    interval = _interval_of_dependent(value, _mutual_variance(nearest_x, nearest_y, shares), n)
    return Estimate(value, *interval, null=k / (n - 1))


def _are_ties(nearest: TopK, k: int) -> bool:
    """Return whether the k-th and the next neighbour are equally near for more than half of the rows."""
    if nearest.scores.shape[1] <= k:
        return False
    is_tie = nearest.scores[:, k - 1] - nearest.scores[:, k] <= TIE_TOLERANCE * np.abs(nearest.scores[:, k])
    return bool(np.count_nonzero(is_tie) > len(is_tie) / 2)


def _interval_of_dependent(value: float, variance: float, n: int) -> tuple[float, float]:
    """Return the interval of a share, or none if its variance is NaN, or is zero between 0 and 1."""
    low, high = share_interval(value, variance, n)
    return (low, high) if high > low else (NAN, NAN)


def _mutual_variance(nearest_x: np.ndarray, nearest_y: np.ndarray, shares: np.ndarray) -> float:
    """Return the variance of the mean share of mutual neighbours, which is a sum over pairs of items.

    A mutual neighbour counts 1 / k. The neighbours within each modality are pairs with half of its expectation.

    Parameters
    ----------
    nearest_x, nearest_y : numpy.ndarray
        Neighbours of each item within each modality, (n, k).
    shares : numpy.ndarray
        Share of mutual neighbours of each item, (n,).

    Returns
    -------
    float
        Variance, see `dyadic_variance`.
    """
    n, k = nearest_x.shape
    is_mutual = (nearest_x[:, :, None] == nearest_y[:, None, :]).any(axis=2)
    expected = np.full(n * k, shares.mean() / 2)
    residuals = np.concatenate([is_mutual.ravel() - expected, -expected])
    items = np.tile(np.repeat(np.arange(n), k), 2)
    return dyadic_variance(items, np.concatenate([nearest_x.ravel(), nearest_y.ravel()]), residuals, n) / (n * k) ** 2


@metric(
    "mixing_rate",
    needs_pairs=False,
    min_items=K_MIXING // 2 + 1,
    undefined_if=("constant modalities",),
    family="neighbours",
    unit="share",
    range=(0, 1),
    direction="higher",
    requires="rows",
    sweeps=(Neighbours,),
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Yu et al. 2026 (ReAlign), arXiv 2602.07026",
    reference_case=lambda: (*_matching_row_first(), 1 / 20),
)
def mixing_rate(context: MetricContext) -> Estimate:
    """Share of the other modality among the 20 nearest rows of a row in the union of both, mean over all rows.

    Rows are compared by cosine, and a row is not its own neighbour. It is measured on at most 10,000 random items with
    one pair each. The standard error is the jackknife's over items, for this number of items. A left-out item leaves
    all lists with both its rows. The interval is Wilson's for as many independent trials as have this error. In a
    well-mixed union it is about twice too wide. The null is a well-mixed union, n / (2n - 1).
    """
    n = context.shared(PairedRows).n
    neighbours = context.shared(Neighbours)
    k = K_MIXING
    unions = [UnionNeighbours.of(neighbours.xx, neighbours.xy, k), UnionNeighbours.of(neighbours.yy, neighbours.yx, k)]
    counts = [union.is_across[:, :k].sum(axis=1) for union in unions]
    value = float(np.mean(counts)) / k
    variance = NAN
    if n > K_MIXING + 2:
        totals = sum(
            count.sum() - count + union.left_out_changes(k) for count, union in zip(counts, unions, strict=True)
        )
        variance = jackknife_variance(totals / (2 * (n - 1) * k), with_tails=True)
    return Estimate(value, *_interval_of_dependent(value, variance, n), null=n / (2 * n - 1))


@dataclass(frozen=True)
class UnionNeighbours:
    """The k + 2 nearest rows of the union of both modalities for each row of one modality, nearest first.

    Parameters
    ----------
    item : numpy.ndarray
        Their items, (n, k + 2), or fewer columns where there are no more rows.
    is_across : numpy.ndarray
        True for rows of the other modality, of the same shape.
    """

    item: np.ndarray
    is_across: np.ndarray

    @classmethod
    def of(cls, within: TopK, across: TopK, k: int) -> UnionNeighbours:
        """Merge the nearest rows of both modalities. Ties go to the modality of the query."""
        scores = np.concatenate([within.scores, across.scores], axis=1)
        nearest = np.argsort(-scores, axis=1, kind="stable")[:, : k + 2]
        items = np.concatenate([within.index, across.index], axis=1)
        return cls(np.take_along_axis(items, nearest, axis=1), nearest >= within.scores.shape[1])

    def left_out_changes(self, k: int) -> np.ndarray:
        """Return the change of the number of rows of the other modality in all lists of k without each item, (n,)."""
        n = len(self.item)
        listed, is_across = self.item[:, :k], self.is_across.astype(float)
        # If both rows of an item are in the list, two following rows move up, half for each.
        has_both = (listed[:, :, None] == listed[:, None, :]).sum(axis=2) > 1
        next_row, row_after = is_across[:, k, None], is_across[:, k + 1, None]
        next_leaves_too = listed == self.item[:, k, None]
        moves_up = np.where(has_both, (next_row + row_after) / 2, np.where(next_leaves_too, row_after, next_row))
        change = moves_up - is_across[:, :k]
        change[listed == np.arange(n)[:, None]] = 0  # the query itself leaves with its item
        return np.bincount(listed.ravel(), weights=change.ravel(), minlength=n)


@metric(
    "mixed_partner_rank_{side}",
    min_items=3,
    min_interval_items=12,
    undefined_if=("constant modality",),
    family="neighbours",
    unit="rank",
    range=(1, np.inf),
    direction="lower",
    requires="rows",
    sweeps=(Neighbours,),
    interval="jackknife",
    null_model="random retrieval",
    source="Role et al. 2025, arXiv 2505.03703",
    reference_case=lambda: (*_two_cones(), 12.0),
)
def mixed_partner_rank(context: MetricContext) -> Estimate:
    """Mean rank of the matching row among the 2n - 1 other rows of both modalities, for the rows of one modality.

    Rows are ranked by cosine, 1 is best, and ties count against the matching row. It is measured on at most 10,000
    random items with one pair each. The interval is the jackknife's over items, for this number of items, because
    (rank - 1) / (n - 1) is a mean over pairs. It is symmetric on the scale of log(rank - 1). Few large ranks may decide
    the mean, so that its upper end allows for one more of them. There is none if fewer than 5 matching rows have a rank
    above 1, or if no item matters more than another. The null is the mean of a random ranking, n.
    """
    n = context.shared(PairedRows).n
    neighbours = context.shared(Neighbours)
    ahead = neighbours.rank_x - 1.0
    mean, n_later = float(ahead.mean()), int(np.count_nonzero(ahead))
    if n_later < MIN_LATER_MATCHES:
        ranked = counted(n_later, "matching row")
        note = f"no interval: {ranked} of rank above 1, {MIN_LATER_MATCHES} are needed"
        return Estimate(1 + mean, null=float(n), note=note)
    left_out = (n - 1) * (ahead.sum() - ahead - neighbours.before_x) / ((n - 1) * (n - 2))
    if left_out.min() == left_out.max():
        return Estimate(1 + mean, null=float(n))
    largest = float(left_out.mean() - left_out.min()) * (n - 1) / n
    low, high = positive_interval(mean, jackknife_variance(left_out, with_tails=True), largest)
    return Estimate(1 + mean, *clip_interval((1 + low, 1 + high), 1, 2 * n - 1), null=float(n))
