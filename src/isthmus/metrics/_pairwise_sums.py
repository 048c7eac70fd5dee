"""Sums over all distances between rows, in one pass for energy distance, MMD, uniformity and margins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.compute.score_matrix import BLOCK_SCORES, block_slices
from isthmus.compute.score_sweep import Workspace, fill_diagonal
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._score_sweep import sweep_rows, swept

#: Items whose 2 million distances give the median distance, the unit of the bandwidths.
PILOT_ITEMS = 1_000
#: Fewest pilot items for the threshold of high negatives. Below, all negatives are kept.
MIN_PILOT_ITEMS = 50
#: Bandwidths of the RBF kernels in units of the median distance.
BANDWIDTHS = (0.5, 1.0, 2.0)
#: Exponent t of the uniformity exp(-t d^2).
EXPONENT = 2.0
#: Share of the positives and of the negatives that trimmed margins leave out.
TRIM_SHARE = 0.05
#: Share of the negatives that is kept to find the end of the trimmed ones exactly.
_KEPT_SHARE = 0.06
#: Largest exponent of the factors that centre a kernel. Their product stays within the range of float32.
MAX_KERNEL_EXPONENT = 30.0
#: Buffers of a tile.
_BUFFERS = "squares", "values", "centred"

Sums = dict[str, np.ndarray]


@dataclass(frozen=True)
class PairwiseSums:
    """For each item, sums of functions of its distances to all other items.

    The functions are 'distance' d, 'uniform' exp(-2 d^2), and 'rbf_0.5', 'rbf_1', 'rbf_2' with
    exp(-d^2 / (2 (width median)^2)). For xy and yx there are also 'centred_distance', 'centred_inverse' (1/d) and
    'centred_rbf_1' of the distances |x_i - y_j - gap|, after the means are aligned.

    Parameters
    ----------
    xx, yy : dict of str to numpy.ndarray
        `xx[f][i]` is the sum over j != i of f(|x_i - x_j|).
    xy, yx : dict of str to numpy.ndarray
        `xy[f][i]` is the sum over j != i of f(|x_i - y_j|), and `yx[f][i]` that of f(|x_j - y_i|).
    median : float
        Median distance in the union of both modalities.
    gap : numpy.ndarray
        Mean of x minus mean of y.
    high_negatives : numpy.ndarray
        The largest x_i . y_j with i != j, at least 5 % of them, in any order.
    """

    xx: Sums
    xy: Sums
    yx: Sums
    yy: Sums
    median: float
    gap: np.ndarray
    high_negatives: np.ndarray

    @classmethod
    def of(cls, rows: PairedRows, /) -> PairwiseSums:
        """Compute all distances between the rows in one pass."""
        sums: PairwiseSums = sweep_rows(rows, cls)[cls]
        return sums

    @classmethod
    def consumer(cls, rows: PairedRows, /) -> PairwiseTiles:
        """Return the consumer of scores that computes the sums."""
        return PairwiseTiles(rows)

    @classmethod
    def is_swept(cls, rows: PairedRows, /) -> bool:
        """Return True: no device computes the sums."""
        return True

    @classmethod
    def from_context(cls, context: MetricContext, /) -> PairwiseSums:
        """Return the sums of the sampled items."""
        sums: PairwiseSums = swept(context, cls)
        return sums

    def swapped(self) -> PairwiseSums:
        """Return the sums of (y, x)."""
        return replace(self, xx=self.yy, xy=self.yx, yx=self.xy, yy=self.xx, gap=-self.gap)


class PairwiseTiles:
    """Sum functions of the distances in tiles of scores.

    Parameters
    ----------
    rows : PairedRows
        Items.
    """

    kinds: tuple[str, ...] = ("xx", "yy", "xy")

    def __init__(self, rows: PairedRows):
        x, y = rows.x, rows.y
        dtype = np.result_type(x, y)
        pilot = rows.random_order[:PILOT_ITEMS]
        self._rows = rows
        self._median = _median_distance(np.concatenate([x[pilot], y[pilot]]))
        self._gap = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
        self._negatives_from = _negatives_threshold(x[pilot], y[pilot])
        self._norms = {"x": _norms(x), "y": _norms(y)}
        gap = self._gap.astype(dtype)
        # |x - y - g|^2 = |x - y|^2 - 2 (x - y).g + |g|^2
        self._shift_x, self._shift_y = gap @ gap - 2 * (x @ gap), 2 * (y @ gap)
        self._sums: dict[str, Sums] = {"xx": {}, "xy": {}, "yx": {}, "yy": {}}
        self._negatives: list[np.ndarray] = []
        self._workspace = Workspace()

    def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> Any:
        """Return the sums over the rows and over the columns of a tile by function, and its high negatives."""
        squares, work, centred = (self._workspace.empty(name, scores.shape, scores.dtype) for name in _BUFFERS)
        np.multiply(scores, -2, out=squares)
        squares += self._norms[kind[0]][rows, None]
        squares += self._norms[kind[1]][columns]
        _clip_negative(squares)
        fill_diagonal(squares, rows, columns, 0)
        ones = [np.ones(length, dtype=scores.dtype) for length in scores.shape]
        sums: dict[str, tuple[np.ndarray, np.ndarray]] = {}

        def add(name: str, values: np.ndarray, weights: Sequence[np.ndarray] = ones) -> None:
            """Store the sums of the values times the weights of their rows and columns."""
            fill_diagonal(values, rows, columns, 0)  # an item has no distance to itself
            is_weighted = weights is not ones
            sums[name] = tuple(
                total * weight if is_weighted else total
                for total, weight in zip((values @ weights[1], weights[0] @ values), weights, strict=True)
            )

        add("distance", np.sqrt(squares, out=work))
        add("uniform", np.exp(np.multiply(squares, -EXPONENT, out=work), out=work))
        # One exponential of the widest kernel: its powers 4 and 16 are the narrower kernels.
        add("rbf_2", _rbf(squares, 2 * self._median, work))
        add("rbf_1", _fourth(work))
        if kind != "xy":
            add("rbf_0.5", _fourth(work))
            return sums, None
        kernel_factors = self._kernel_factors(rows, columns)
        if kernel_factors is not None:  # the kernel of the centred distance is that of the distance times two factors
            add("centred_rbf_1", work, kernel_factors)
        add("rbf_0.5", _fourth(work))
        np.add(squares, self._shift_x[rows, None], out=centred)
        centred += self._shift_y[columns]
        _clip_negative(centred)
        if kernel_factors is None:
            add("centred_rbf_1", _rbf(centred, self._median, work))
        add("centred_distance", np.sqrt(centred, out=centred))
        if centred.min() == 0:
            centred[centred == 0] = np.inf  # equal rows add nothing
        add("centred_inverse", np.divide(1, centred, out=work))
        fill_diagonal(scores, rows, columns, -np.inf)  # matching pairs are no negatives
        return sums, scores[scores > max(self._negatives_from, -np.finfo(scores.dtype).max)]

    def _kernel_factors(self, rows: slice, columns: slice) -> list[np.ndarray] | None:
        """Return the factors of rows and columns that centre the kernel, or None if they could overflow."""
        shifts = self._shift_x[rows], self._shift_y[columns]
        scale = 2 * self._median**2
        if max(float(np.abs(shift).max()) for shift in shifts) >= MAX_KERNEL_EXPONENT * scale:
            return None
        return [np.exp(shift / -scale) for shift in shifts]

    def add(self, kind: str, partial: Any, rows: slice, columns: slice) -> None:
        """Add the sums of a tile."""
        sums, negatives = partial
        n = self._rows.n
        for name, (row_sums, column_sums) in sums.items():
            self._sums[kind].setdefault(name, np.zeros(n))[rows] += row_sums
            if kind == "xy" or rows != columns:
                self._sums[kind if kind != "xy" else "yx"].setdefault(name, np.zeros(n))[columns] += column_sums
        if negatives is not None:
            self._negatives.append(negatives)

    def result(self) -> PairwiseSums:
        """Return the sums after all tiles."""
        negatives = np.concatenate(self._negatives)
        n = self._rows.n
        if len(negatives) <= trimmed_count(n * (n - 1)):  # the threshold of the pilot items was too high
            negatives = _all_negatives(self._rows.x, self._rows.y)
        sums = self._sums
        return PairwiseSums(sums["xx"], sums["xy"], sums["yx"], sums["yy"], self._median, self._gap, negatives)


def _all_negatives(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the scores of all pairs of different items."""
    blocks = block_slices(len(y), 0, len(x), BLOCK_SCORES)
    is_other = (np.arange(rows.start, rows.stop)[:, None] != np.arange(len(y)) for rows in blocks)
    return np.concatenate([(x[rows] @ y.T)[mask] for rows, mask in zip(blocks, is_other, strict=True)])


def _clip_negative(squares: np.ndarray) -> None:
    """Set negative squares, which are rounding errors, to 0."""
    if squares.min() < 0:  # the search costs an eighth of the maximum
        np.maximum(squares, 0, out=squares)


def _rbf(squares: np.ndarray, width: float, out: np.ndarray) -> np.ndarray:
    if width == 0:  # more than half of all rows are equal
        return np.equal(squares, 0, out=out)
    return np.exp(np.multiply(squares, -1 / (2 * width**2), out=out), out=out)


def _fourth(values: np.ndarray) -> np.ndarray:
    np.multiply(values, values, out=values)
    return np.multiply(values, values, out=values)


def _norms(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)


def trimmed_count(count: int) -> int:
    """Return how many of `count` values a trimmed margin leaves out."""
    return math.floor(TRIM_SHARE * count)


def _negatives_threshold(x: np.ndarray, y: np.ndarray) -> float:
    """Return a score that slightly more than 5 % of the negatives of these items exceed."""
    scores = x @ y.T
    negatives = scores[~np.eye(len(x), dtype=bool)]
    return float(np.quantile(negatives, 1 - _KEPT_SHARE)) if len(x) >= MIN_PILOT_ITEMS else -math.inf


def _median_distance(rows: np.ndarray) -> float:
    """Return the median distance between two different rows."""
    norms = _norms(rows)
    squares = np.maximum(norms[:, None] + norms - 2 * (rows @ rows.T), 0)
    return math.sqrt(float(np.median(squares[np.triu_indices(len(rows), 1)])))
