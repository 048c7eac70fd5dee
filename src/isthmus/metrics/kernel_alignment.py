"""Similarity of the two geometries: unbiased CKA and its local variant CKNNA."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.score_matrix import TopK, even_slices
from isthmus.metrics._conditions import NEARLY_EQUAL_ROWS, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.jackknife import jackknife_interval
from isthmus.statistics.result import NAN, Estimate

#: Neighbours of CKNNA.
K = 10
#: Rows whose products are added in float64 at a time.
BLOCK_ROWS = 1024
#: Fewest items of the unbiased HSIC with an interval.
MIN_HSIC_ITEMS = 5
#: A kernel that varies less than this, as a share of the squared length of the rows, is rounding noise of float32.
MIN_KERNEL_SPREAD = 1e-6


def _rotated_circle() -> tuple[np.ndarray, np.ndarray]:
    """Return a circle and the same circle after a rotation."""
    angle = 2 * np.pi * np.arange(30) / 30 + 0.001 * np.arange(30) ** 2
    x = np.column_stack([np.cos(angle), np.sin(angle), np.ones(30)])
    return x, x[:, [2, 0, 1]]


@metric(
    "unbiased_cka",
    min_items=MIN_HSIC_ITEMS,
    conditions=("the variance of one modality is not larger than chance gives",),
    undefined_if=("constant modality",),
    family="representation similarity",
    unit="share",
    range=(-1, 1),
    direction="higher",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="pair shuffle",
    source="Song et al. 2012, JMLR 13 (HSIC); Kornblith et al. 2019, arXiv 1905.00414 (CKA)",
    reference_case=lambda: (*_rotated_circle(), 1.0),
)
def unbiased_cka(context: MetricContext) -> Estimate:
    """Linear CKA with the unbiased HSIC of Song et al., HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)).

    It is measured on at most 10,000 random items with one pair each. The interval is the jackknife's over items. A
    shuffled pairing gives the null, whose mean is exactly 0. The null of the biased CKA grows with d / n.
    """
    rows = context.shared(PairedRows)
    # HSIC does not depend on the means. Without them, rows of a narrow cone keep all their digits.
    x, y = _centred(rows.x), _centred(rows.y)
    xy, xx, yy = Hsic.of(x, y), Hsic.of(x, x), Hsic.of(y, y)
    if xx.value <= 0 or yy.value <= 0:
        return Estimate(NAN, null=0.0, undefined="the variance of one modality is not larger than chance gives")
    value = xy.value / math.sqrt(xx.value * yy.value)
    squares = xx.left_out * yy.left_out
    low, high = NAN, NAN
    if np.all(xx.left_out > 0) and np.all(yy.left_out > 0):
        low, high = jackknife_interval(value, xy.left_out / np.sqrt(squares))
    return Estimate(min(value, 1.0), min(max(low, -1.0), 1.0), min(high, 1.0), 0.0)


@dataclass(frozen=True)
class Hsic:
    """Unbiased HSIC of two sets of rows with linear kernels, and its values without each item, (n,)."""

    value: float
    left_out: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, /) -> Hsic:
        """Return HSIC_1 of rows (n, d_x), (n, d_y) from products of d x d, without an n x n kernel.

        K and L are the kernels without their diagonals. Products have the precision of the rows, which are centred, and
        their sums that of float64. The value is
        `(tr KL + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 1'KL1 / (n - 2)) / (n (n - 3))`.

        >>> rows = np.random.default_rng(0).normal(size=(50, 4))
        >>> bool(Hsic.of(rows, rows).value > 0)
        True
        """
        n = len(x)
        diagonal_x, sums_x = _kernel_sums(x)
        diagonal_y, sums_y = (diagonal_x, sums_x) if y is x else _kernel_sums(y)
        products = _cross_products(x, y)
        row_traces = np.einsum("ij,ij->i", x @ products.astype(x.dtype), y, dtype=np.float64)
        row_traces -= diagonal_x * diagonal_y  # row sums of K * L
        k_of_l = _times(x, _weighted_sum(sums_y, x)) - diagonal_x * sums_y  # K L 1
        l_of_k = k_of_l if y is x else _times(y, _weighted_sum(sums_x, y)) - diagonal_y * sums_x
        trace, chain = float(np.vdot(products, products) - diagonal_x @ diagonal_y), float(sums_x @ sums_y)
        total_x, total_y = sums_x.sum(), sums_y.sum()
        left_out = _hsic(
            trace - 2 * row_traces,
            total_x - 2 * sums_x,
            total_y - 2 * sums_y,
            chain - sums_x * sums_y - l_of_k - k_of_l + row_traces,
            n - 1,
        )
        return cls(float(_hsic(trace, total_x, total_y, chain, n)), left_out)


def _kernel_sums(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the diagonal of the linear kernel of rows, (n,), and the sums of its rows without the diagonal, (n,)."""
    diagonal = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return diagonal, _times(rows, rows.sum(axis=0, dtype=np.float64)) - diagonal


def _centred(rows: np.ndarray) -> np.ndarray:
    """Return the rows minus their mean. The difference is taken in float64 and rounded to the precision of the rows."""
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = np.empty(rows.shape, dtype=np.result_type(rows, np.float32))
    for block in _blocks(len(rows)):
        centred[block] = rows[block] - mean
    return centred


def _blocks(n: int) -> list[slice]:
    return even_slices(n, BLOCK_ROWS)


def _cross_products(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return x' y, (d_x, d_y): sums in float64 of products of blocks in the precision of the rows."""
    total = np.zeros((x.shape[1], y.shape[1]))
    for block in _blocks(len(x)):
        total += x[block].T @ y[block]
    return total


def _times(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return rows @ vector in the precision of the rows as float64, (n,)."""
    return (rows @ vector.astype(rows.dtype)).astype(np.float64)


def _weighted_sum(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return weights @ rows, (d,): sums in float64 of products of blocks in the precision of the rows."""
    weights = weights.astype(rows.dtype)
    return np.stack([weights[block] @ rows[block] for block in _blocks(len(rows))]).sum(axis=0, dtype=np.float64)


def _hsic(trace: Any, total_x: Any, total_y: Any, chain: Any, n: int) -> Any:
    """Return the formula of `Hsic.of` from its sums, which are numbers or arrays with one value per left-out item."""
    return (trace + total_x * total_y / ((n - 1) * (n - 2)) - 2 * chain / (n - 2)) / (n * (n - 3))


@metric(
    "cknna",
    min_items=3,
    conditions=(NEARLY_EQUAL_ROWS,),
    undefined_if=("constant modality",),
    family="representation similarity",
    unit="share",
    range=(-1, 1),
    direction="higher",
    requires="rows",
    sweeps=(Neighbours,),
    invariances=("rotation", "row scale", "swap"),
    interval="none: leaving one item out changes the neighbours of others",
    null_model="pair shuffle",
    source="Huh et al. 2024, arXiv 2405.07987",
    reference_case=lambda: (*_rotated_circle(), 1.0),
)
def cknna(context: MetricContext) -> Estimate:
    """CKNNA, the kernel alignment over mutual nearest neighbours, A(x, y) / sqrt(A(x, x) A(y, y)) with k = 10.

    A(x, y) sums (x_i . x_j - x_i . mean x)(y_i . y_j - y_i . mean y) over pairs (i, j). There j is among the 10 nearest
    of i (by cosine) in both modalities. This is the formula of the paper. Its code uses an unbiased HSIC instead. It is
    measured on at most 10,000 random items with one pair each. The null is the mean over shuffled pairings.
    """
    rows = context.shared(PairedRows)
    n, k = rows.n, min(K, rows.n - 1)
    neighbours = context.shared(Neighbours)
    nearest_x, nearest_y = neighbours.xx, neighbours.yy
    kernel_x, kernel_y = _local_kernel(rows.x, nearest_x, k), _local_kernel(rows.y, nearest_y, k)
    scale = math.sqrt(float(np.sum(kernel_x**2) * np.sum(kernel_y**2)))
    if min(_spread(kernel_x, rows.x), _spread(kernel_y, rows.y)) < MIN_KERNEL_SPREAD:
        return undefined(NEARLY_EQUAL_ROWS)
    is_mutual = nearest_x.index[:, :k, None] == nearest_y.index[:, None, :k]
    value = float(np.einsum("ij,ijk,ik->", kernel_x, is_mutual, kernel_y)) / scale
    # A shuffle moves every pair (i, j) of y to every pair of different items equally often.
    null = float(kernel_x.sum() * kernel_y.sum()) / (n * (n - 1)) / scale
    return Estimate(value, null=null)


def _spread(kernel: np.ndarray, rows: np.ndarray) -> float:
    """Return the root mean square of the local kernel as a share of the mean squared length of the rows."""
    return math.sqrt(float(np.mean(kernel**2))) / float(np.mean(np.einsum("ij,ij->i", rows, rows)))


def _local_kernel(rows: np.ndarray, nearest: TopK, k: int) -> np.ndarray:
    """Return x_i . x_j - x_i . mean x for the k nearest j of each i, (n, k)."""
    mean = rows.mean(axis=0, dtype=np.float64)
    return nearest.scores[:, :k].astype(np.float64) - (rows @ mean)[:, None]
