"""Differences between the two clouds as distributions: energy distance and MMD, also after their means are aligned."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from isthmus.metrics._conditions import too_few_items
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import WIDTHS, PairwiseSums
from isthmus.statistics.intervals import normal_interval
from isthmus.statistics.jackknife import jackknife_interval, pair_mean
from isthmus.statistics.result import Estimate

#: Items and random swaps behind the bias of the centred distances.
BIAS_ITEMS = 500
BIAS_SWAPS = 16


def _pair_sums(p: PairwiseSums, name: str, centred: bool = False) -> np.ndarray:
    """Sum over j != i of f(x_i, y_j) + f(y_i, x_j) - f(x_i, x_j) - f(y_i, y_j), (n,)."""
    across = f"centred_{name}" if centred else name
    return p.xy[across] + p.yx[across] - p.xx[name] - p.yy[name]


def _apart() -> tuple[np.ndarray, np.ndarray]:
    return np.tile([1.0, 0.0, 0.0], (30, 1)), np.tile([0.0, 1.0, 0.0], (30, 1))


@metric(
    "energy_distance",
    family="distribution",
    unit="distance",
    range=(-4, 4),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Szekely and Rizzo 2013, J. Stat. Plan. Inference 143",
    reference_case=lambda: (*_apart(), 2 * math.sqrt(2)),
)
def energy_distance(context: MetricContext) -> Estimate:
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| as a U-statistic: means over different items i != j, so that
    it is unbiased and can be slightly negative; on at most 10,000 random items with one partner each. Swapping the
    sides of random pairs gives the null, exactly 0 in the mean.

    The interval is the jackknife's over items; near the null it is too wide.
    """
    if context.shared(PairedRows).n < 3:
        return too_few_items(context.shared(PairedRows).n, 3)
    value, left_out = pair_mean(_pair_sums(context.shared(PairwiseSums), "distance"))
    return Estimate(value, *jackknife_interval(value, left_out), null=0.0)


@metric(
    "centred_energy_distance",
    family="distribution",
    unit="distance",
    range=(-4, 4),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="modality swap",
    source="Szekely and Rizzo 2013, J. Stat. Plan. Inference 143; centring derived for this package",
    reference_case=lambda: (*_apart(), 0.0),
)
def centred_energy_distance(context: MetricContext) -> Estimate:
    """Energy distance (U-statistic over different items) that is left after the means of both sides are aligned, rows
    not divided by their norms again; minus the same after random centred pairs swapped their sides (negative, of order
    1/n, because the means are fitted to the same rows); on at most 10,000 random items with one partner each. Clouds
    of equal shape give the null, 0.

    The interval is normal, with the variance of the projection on items and the error of the means; where the shapes
    hardly differ it is too wide.
    """
    rows = context.shared(PairedRows)
    if rows.n < 3:
        return too_few_items(rows.n, 3)
    p, n = context.shared(PairwiseSums), rows.n
    sums = _pair_sums(p, "distance", centred=True)
    weights_x, weights_y = p.xy["centred_inverse"], p.yx["centred_inverse"]
    # d/dgap of 2 mean |x_i - y_j - gap|
    along_gap = _pull(rows, p.gap, weights_x, weights_y) * -2 / (n * (n - 1))
    return _projected(rows, sums, along_gap, _centred_bias(rows, np.sqrt))


def _pull(rows: PairedRows, gap: np.ndarray, weights_x: np.ndarray, weights_y: np.ndarray) -> np.ndarray:
    """sum_{i != j} w_ij (x_i - y_j - gap) from the row and column sums of w, (d,)."""
    x = weights_x @ rows.x.astype(np.float64)
    y = weights_y @ rows.y.astype(np.float64)
    return x - y - weights_x.sum() * gap


def _projected(rows: PairedRows, sums: np.ndarray, along_gap: np.ndarray, bias: float) -> Estimate:
    """Mean over pairs of items minus its `bias`, with the interval of its projection; `along_gap` is the derivative by
    the gap."""
    n = rows.n
    mean = float(sums.sum()) / (n * (n - 1))
    differences = (rows.x.astype(np.float64) - rows.y) @ along_gap
    scores = 2 * (sums / (n - 1) - mean) + differences - differences.mean()
    value = mean - bias
    return Estimate(value, *normal_interval(value, float(scores @ scores) / (n * (n - 1))), null=0.0)


def _centred_bias(rows: PairedRows, function: Callable[[np.ndarray], np.ndarray]) -> float:
    """The mean of a centred distance when random pairs of centred rows swap their sides: what fitting the means takes.

    It falls as 1 / n, so that it is found on at most `BIAS_ITEMS` items and scaled.
    """
    chosen = rows.random_order[:BIAS_ITEMS]
    x, y = (side[chosen] - side[chosen].mean(axis=0, dtype=np.float64) for side in (rows.x, rows.y))
    n = len(chosen)
    rng, different = np.random.default_rng(0), ~np.eye(n, dtype=bool)
    found = []
    for _ in range(BIAS_SWAPS):
        swap = rng.random(n)[:, None] < 0.5
        a, b = np.where(swap, y, x), np.where(swap, x, y)
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        across, within_a, within_b = (function(_squares(u, v)[different]).mean() for u, v in ((a, b), (a, a), (b, b)))
        found.append(2 * across - within_a - within_b)
    return float(np.mean(found)) * n / rows.n


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    norms_a, norms_b = np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", b, b)
    return np.maximum(norms_a[:, None] + norms_b - 2 * (a @ b.T), 0)


def _register(width: float) -> None:
    def mmd(context: MetricContext) -> Estimate:
        if context.shared(PairedRows).n < 3:
            return too_few_items(context.shared(PairedRows).n, 3)
        value, left_out = pair_mean(-_pair_sums(context.shared(PairwiseSums), f"rbf_{width:g}"))
        return Estimate(value, *jackknife_interval(value, left_out), null=0.0)

    mmd.__doc__ = (
        f"MMD^2 with the kernel exp(-d^2 / (2 sigma^2)), sigma = {width:g} times the median distance in the union of "
        "both sides (of up to 1,000 items), as an unbiased U-statistic over different items i != j; on at most 10,000 "
        "random items with one partner each. Swapping the sides of random pairs gives the null, exactly 0 in the mean."
        "\n\nThe interval is the jackknife's over items for the sigma found."
    )
    # Of the 1,770 distances in two clusters of 30, 900 are sqrt(2), and so is the median.
    metric(
        f"mmd2_{width:g}",
        family="distribution",
        unit="squared distance",
        range=(-2, 2),
        direction="lower",
        requires="rows",
        invariances=("rotation", "row scale", "swap"),
        interval="jackknife",
        null_model="modality swap",
        source="Gretton et al. 2012, JMLR 13; bandwidths of Cai et al. 2026, arXiv 2601.19597",
        reference_case=lambda: (*_apart(), 2 - 2 * math.exp(-1 / (2 * width**2))),
    )(mmd)


for _width in WIDTHS:
    _register(_width)


@metric(
    "centred_mmd2_1",
    family="distribution",
    unit="squared distance",
    range=(-2, 2),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="modality swap",
    source="Gretton et al. 2012, JMLR 13; centring derived for this package",
    reference_case=lambda: (*_apart(), 0.0),
)
def centred_mmd2(context: MetricContext) -> Estimate:
    """The MMD^2 of `mmd2_1` (its sigma, the unbiased U-statistic) that is left after the means of both sides are
    aligned, rows not divided by their norms again; minus the same after random centred pairs swapped their sides
    (negative, of order 1/n); on at most 10,000 random items with one partner each. Clouds of equal shape give the
    null, 0.

    The interval is normal for the sigma found, with the variance of the projection on items and the error of the
    means; where the shapes hardly differ it is too wide.
    """
    rows = context.shared(PairedRows)
    if rows.n < 3:
        return too_few_items(rows.n, 3)
    p, n = context.shared(PairwiseSums), rows.n
    sums = -_pair_sums(p, "rbf_1", centred=True)
    # d/dgap of -2 mean exp(-|x_i - y_j - gap|^2 / (2 sigma^2))
    pull = _pull(rows, p.gap, p.xy["centred_rbf_1"], p.yx["centred_rbf_1"])
    along_gap = pull * -2 / (n * (n - 1) * p.median**2) if p.median > 0 else np.zeros_like(p.gap)
    width = p.median or 1.0
    return _projected(rows, sums, along_gap, _centred_bias(rows, lambda d2: -np.exp(d2 / (-2 * width**2))))
