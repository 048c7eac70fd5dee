"""Differences of the two clouds as distributions: energy distance and MMD, also after the means are aligned."""

from __future__ import annotations

import math

import numpy as np

from isthmus.compute.score_matrix import even_slices
from isthmus.metrics._bandwidth import BANDWIDTHS
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import ROUNDING, PairedRows
from isthmus.metrics._pairwise_sums import PairwiseSums
from isthmus.metrics._reference_clouds import same_centred_clouds, two_points
from isthmus.statistics.freedom import tail_factor
from isthmus.statistics.intervals import square_interval
from isthmus.statistics.jackknife import jackknife_variance, pair_mean
from isthmus.statistics.result import Estimate

#: Items and random swaps behind the bias of the centred distances.
BIAS_ITEMS = 500
BIAS_SWAPS = 16
#: Rows that are taken to float64 at a time.
BLOCK_ROWS = 512


def _item_sums(pairwise: PairwiseSums, name: str, centred: bool = False) -> np.ndarray:
    """Return the sum over j != i of f(x_i, y_j) + f(y_i, x_j) - f(x_i, x_j) - f(y_i, y_j), (n,)."""
    across = f"centred_{name}" if centred else name
    return pairwise.xy[across] + pairwise.yx[across] - pairwise.xx[name] - pairwise.yy[name]


@metric(
    "energy_distance",
    needs_pairs=False,
    min_items=3,
    family="distribution",
    unit="distance",
    range=(-4, 4),
    direction="lower",
    requires="rows",
    sweeps=(PairwiseSums,),
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Szekely and Rizzo 2013, J. Stat. Plan. Inference 143",
    reference_case=lambda: (*two_points(), 2 * math.sqrt(2)),
)
def energy_distance(context: MetricContext) -> Estimate:
    """Energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'| as a U-statistic.

    Means are taken over different items i != j, so that it is unbiased and can be slightly negative. It is measured on
    at most 10,000 random items with one pair each. The interval is the jackknife's over items, symmetric on the scale
    of the root except near zero. If random pairs swap their modalities, the mean is exactly 0, the null.
    """
    value, left_out = pair_mean(_item_sums(context.shared(PairwiseSums), "distance"))
    return Estimate(value, *square_interval(value, jackknife_variance(left_out, with_tails=True)), null=0.0)


@metric(
    "centred_energy_distance",
    needs_pairs=False,
    min_items=3,
    undefined_if=("constant modalities",),
    family="distribution",
    unit="distance",
    range=(-4, 4),
    direction="lower",
    requires="rows",
    sweeps=(PairwiseSums,),
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="modality swap",
    source="Szekely and Rizzo 2013, J. Stat. Plan. Inference 143; centring derived for this package",
    reference_case=lambda: (*same_centred_clouds(), 0.0),
)
def centred_energy_distance(context: MetricContext) -> Estimate:
    """Energy distance (U-statistic over different items) after the means of both modalities are aligned.

    Rows are not normalized again. The same distance after random centred pairs swap their modalities is subtracted. It
    is negative, of order 1/n, because the means are fitted to the same rows. It is measured on at most 10,000 random
    items with one pair each. Clouds of equal shape give the null, 0.

    The interval has the variance of the projection on items and the error of the means. It is symmetric on the scale of
    the root except near zero, and too wide if the shapes hardly differ.
    """
    rows = context.shared(PairedRows)
    pairwise, n = context.shared(PairwiseSums), rows.n
    sums = _item_sums(pairwise, "distance", centred=True)
    weighted = _weighted_differences(rows, pairwise.gap, pairwise.xy["centred_inverse"], pairwise.yx["centred_inverse"])
    gap_slope = weighted * -2 / (n * (n - 1))  # d/dgap of 2 mean |x_i - y_j - gap|
    return _centred_estimate(rows, sums, gap_slope, context.cached("centred biases", _centred_biases, tuple)[0])


def _weighted_differences(
    rows: PairedRows, gap: np.ndarray, weights_x: np.ndarray, weights_y: np.ndarray
) -> np.ndarray:
    """Return sum_{i != j} w_ij (x_i - y_j - gap) from the row and column sums of w, (d,)."""
    x, y = np.zeros_like(gap), np.zeros_like(gap)
    for block in even_slices(rows.n, BLOCK_ROWS):
        x += weights_x[block] @ rows.x[block].astype(np.float64)
        y += weights_y[block] @ rows.y[block].astype(np.float64)
    return x - y - weights_x.sum() * gap


def _centred_estimate(rows: PairedRows, sums: np.ndarray, gap_slope: np.ndarray, bias: float) -> Estimate:
    """Return the mean over pairs of items minus its bias, with the interval of its projection on items.

    `gap_slope` is the derivative of the mean by the gap.
    """
    n = rows.n
    mean = float(sums.sum()) / (n * (n - 1))
    blocks = even_slices(n, BLOCK_ROWS)
    differences = np.concatenate([(rows.x[block].astype(np.float64) - rows.y[block]) @ gap_slope for block in blocks])
    influence = 2 * (sums / (n - 1) - mean) + differences - differences.mean()
    value = mean - bias
    variance = float(influence @ influence) / (n * (n - 1)) * tail_factor(influence) ** 2
    return Estimate(value, *square_interval(value, variance), null=0.0)


def _centred_biases(context: MetricContext) -> tuple[float, float]:
    """Return the means of the centred energy distance and MMD^2 after random pairs swap their modalities.

    Centred rows are swapped. This bias comes from fitting the means. It falls as 1 / n, so that it is computed on at
    most `BIAS_ITEMS` items and scaled. One product of all rows serves every swap.
    """
    rows, width = context.shared(PairedRows), context.shared(PairwiseSums).median or 1.0
    items = rows.random_order[:BIAS_ITEMS]
    x, y = (modality[items] - modality[items].mean(axis=0, dtype=np.float64) for modality in (rows.x, rows.y))
    n, union = len(items), np.concatenate([x, y])
    norms = np.einsum("ij,ij->i", union, union)
    lengths = norms[:, None] + norms
    squares = _without_rounding(lengths - 2 * (union @ union.T), lengths)
    within = _distance_and_kernel(squares, width)
    within[:, np.arange(2 * n), np.arange(2 * n)] = 0
    rng = np.random.default_rng(0)
    biases = []
    for _ in range(BIAS_SWAPS):
        offset = np.where(rng.random(n) < 0.5, n, 0)  # row i of x and row n + i of y are those of item i
        first, second = np.arange(n) + offset, np.arange(n) + n - offset
        gap = union[first].mean(axis=0) - union[second].mean(axis=0)
        along = union @ gap
        # |a - b - gap|^2 = |a - b|^2 - 2 (a - b).gap + |gap|^2. Distances within a cloud do not depend on its mean.
        pairs = np.ix_(first, second)
        shifted = squares[pairs] - 2 * (along[first, None] - along[second]) + gap @ gap
        across = _distance_and_kernel(_without_rounding(shifted, lengths[pairs]), width)
        across_sums = across.sum(axis=(1, 2)) - np.trace(across, axis1=1, axis2=2)
        is_first = np.zeros(2 * n)
        is_first[first] = 1
        within_sums = sum((within @ cloud) @ cloud for cloud in (is_first, 1 - is_first))
        biases.append((2 * across_sums - within_sums) / (n * (n - 1)))
    distance, kernel = np.mean(biases, axis=0) * n / rows.n
    return float(distance), -float(kernel)


def _distance_and_kernel(squares: np.ndarray, width: float) -> np.ndarray:
    """Return the distances and the values of the kernel, (2, n, m)."""
    return np.stack([np.sqrt(squares), np.exp(squares / (-2 * width**2))])


def _without_rounding(squares: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return squared distances, 0 where rounding alone separates rows with these sums of squared lengths."""
    return np.where(squares > ROUNDING * lengths, squares, 0)


def _register(width: float) -> None:
    def mmd(context: MetricContext) -> Estimate:
        pairwise, name = context.shared(PairwiseSums), f"rbf_{width:g}"
        value, left_out = pair_mean(-_item_sums(pairwise, name))
        left_out -= pairwise.by_median[name] / max(len(left_out) - 1, 1)
        return Estimate(value, *square_interval(value, jackknife_variance(left_out, with_tails=True)), null=0.0)

    mmd.__doc__ = f"""MMD^2 with the kernel exp(-d^2 / (2 sigma^2)) and sigma = {width:g} times the median distance.

    The median is that of the union of both modalities (of up to 1,000 items). The estimate is an unbiased U-statistic
    over different items i != j, on at most 10,000 random items with one pair each. The interval is the jackknife's over
    items, symmetric on the scale of the root except near zero. It includes the error of the median distance. If random
    pairs swap their modalities, the mean is exactly 0, the null.
    """
    # Of the 1,770 distances in two clusters of 30, 900 are sqrt(2), and so is the median.
    metric(
        f"mmd2_{width:g}",
        needs_pairs=False,
        min_items=3,
        family="distribution",
        unit="squared distance",
        range=(-2, 2),
        direction="lower",
        requires="rows",
        sweeps=(PairwiseSums,),
        invariances=("rotation", "row scale", "swap"),
        interval="jackknife",
        null_model="modality swap",
        source="Gretton et al. 2012, JMLR 13; bandwidths of Cai et al. 2026, arXiv 2601.19597",
        reference_case=lambda: (*two_points(), 2 - 2 * math.exp(-1 / (2 * width**2))),
    )(mmd)


for _width in BANDWIDTHS:
    _register(_width)


@metric(
    "centred_mmd2_1",
    needs_pairs=False,
    min_items=3,
    undefined_if=("constant modalities",),
    family="distribution",
    unit="squared distance",
    range=(-2, 2),
    direction="lower",
    requires="rows",
    sweeps=(PairwiseSums,),
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="modality swap",
    source="Gretton et al. 2012, JMLR 13; centring derived for this package",
    reference_case=lambda: (*same_centred_clouds(), 0.0),
)
def centred_mmd2(context: MetricContext) -> Estimate:
    """MMD^2 of `mmd2_1` (its sigma, the unbiased U-statistic) after the means of both modalities are aligned.

    Rows are not normalized again. The same distance after random centred pairs swap their modalities is subtracted: it
    is negative, of order 1/n. It is measured on at most 10,000 random items with one pair each. Clouds of equal shape
    give the null, 0.

    The interval is that of this sigma, with the variance of the projection on items and the error of the means. It is
    symmetric on the scale of the root except near zero, and too wide if the shapes hardly differ.
    """
    rows = context.shared(PairedRows)
    pairwise, n = context.shared(PairwiseSums), rows.n
    sums = -_item_sums(pairwise, "rbf_1", centred=True)
    weighted = _weighted_differences(rows, pairwise.gap, pairwise.xy["centred_rbf_1"], pairwise.yx["centred_rbf_1"])
    gap_slope = np.zeros_like(pairwise.gap)
    if pairwise.median > 0:  # d/dgap of -2 mean exp(-|x_i - y_j - gap|^2 / (2 sigma^2))
        gap_slope = weighted * -2 / (n * (n - 1) * pairwise.median**2)
    return _centred_estimate(rows, sums, gap_slope, context.cached("centred biases", _centred_biases, tuple)[1])
