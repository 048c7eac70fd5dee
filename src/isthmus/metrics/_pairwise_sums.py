"""Sums over all distances between rows, in one pass for energy distance, MMD and uniformity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.compute.elementwise import add_outer_sum, scaled_exp, scipy_products
from isthmus.compute.score_sweep import fill_diagonal
from isthmus.compute.workspace import Workspace
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._score_sweep import sweep_rows, swept

#: Items whose 2 million distances give the median distance, the unit of the bandwidths.
PILOT_ITEMS = 1_000
#: Bandwidths of the RBF kernels in units of the median distance.
BANDWIDTHS = (0.5, 1.0, 2.0)
#: Exponent t of the uniformity exp(-t d^2).
EXPONENT = 2.0
#: Largest exponent of the factors that centre a kernel. Their product stays within the range of float32.
MAX_KERNEL_EXPONENT = 30.0
#: Buffers of a tile.
_BUFFERS = "halves", "values"

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
    """

    xx: Sums
    xy: Sums
    yx: Sums
    yy: Sums
    median: float
    gap: np.ndarray

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

    Half of the squared distance, (|x|^2 + |y|^2) / 2 - x . y, is computed once, and all functions from it.

    Parameters
    ----------
    rows : PairedRows
        Items.
    """

    kinds: tuple[str, ...] = ("xx", "yy", "xy")

    def __init__(self, rows: PairedRows):
        scipy_products()  # before threads compute the tiles
        x, y = rows.x, rows.y
        pilot = rows.random_order[:PILOT_ITEMS]
        self._rows = rows
        self._median = _median_distance(np.concatenate([x[pilot], y[pilot]]))
        self._gap = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
        self._halves = {"x": _norms(x) / 2, "y": _norms(y) / 2}
        self._is_unit = all(_are_ones(2 * halves) for halves in self._halves.values())
        gap = self._gap.astype(np.result_type(x, y))
        # |x - y - g|^2 = |x - y|^2 - 2 (x - y).g + |g|^2
        self._shift_x, self._shift_y = gap @ gap / 2 - x @ gap, y @ gap
        self._sums: dict[str, Sums] = {"xx": {}, "xy": {}, "yx": {}, "yy": {}}
        self._workspace = Workspace()

    def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> Any:
        """Return the sums over the rows and over the columns of a tile by function."""
        halves, work = (self._workspace.empty(name, scores.shape, scores.dtype) for name in _BUFFERS)
        if self._is_unit:
            np.subtract(1, scores, out=halves)
        else:
            np.negative(scores, out=halves)
            add_outer_sum(halves, self._halves[kind[0]][rows], self._halves[kind[1]][columns])
        fill_diagonal(halves, rows, columns, 0)
        _clip_negative(halves)
        ones = [np.ones(length, dtype=scores.dtype) for length in scores.shape]
        sums: dict[str, tuple[np.ndarray, np.ndarray]] = {}

        def add(name: str, values: np.ndarray, scale: float = 1, weights: Sequence[np.ndarray] = ones) -> None:
            """Store the sums of the values times the weights of their rows and columns, and times a number."""
            fill_diagonal(values, rows, columns, 0)  # an item has no distance to itself
            row_sums, column_sums = values @ weights[1], weights[0] @ values
            if weights is not ones:
                row_sums, column_sums = row_sums * weights[0], column_sums * weights[1]
            sums[name] = scale * row_sums, scale * column_sums

        add("distance", np.sqrt(halves, out=work), math.sqrt(2))
        add("uniform", scaled_exp(halves, -2 * EXPONENT, work))
        # One exponential of the widest kernel: its powers 4 and 16 are the narrower kernels.
        add("rbf_2", _rbf(halves, 2 * self._median, work))
        add("rbf_1", _fourth(work))
        if kind != "xy":
            add("rbf_0.5", _fourth(work))
            return sums
        kernel_factors = self._kernel_factors(rows, columns)
        if kernel_factors is not None:  # the kernel of the centred distance is that of the distance times two factors
            add("centred_rbf_1", work, weights=kernel_factors)
        add("rbf_0.5", _fourth(work))
        add_outer_sum(halves, self._shift_x[rows], self._shift_y[columns])
        lowest = _clip_negative(halves)
        if kernel_factors is None:
            add("centred_rbf_1", _rbf(halves, self._median, work))
        add("centred_distance", np.sqrt(halves, out=halves), math.sqrt(2))
        if lowest <= 0:
            halves[halves == 0] = np.inf  # equal rows add nothing
        elif rows == columns:
            np.fill_diagonal(halves, np.inf)
        add("centred_inverse", np.divide(1, halves, out=work), math.sqrt(0.5))
        return sums

    def _kernel_factors(self, rows: slice, columns: slice) -> list[np.ndarray] | None:
        """Return the factors of rows and columns that centre the kernel, or None if they could overflow."""
        shifts = self._shift_x[rows], self._shift_y[columns]
        scale = self._median**2
        if max(float(np.abs(shift).max()) for shift in shifts) >= MAX_KERNEL_EXPONENT * scale:
            return None
        # The same function as that of the kernel, so that its factor is rounded in the same way.
        return [scaled_exp(shift, -1 / scale, np.empty_like(shift)) for shift in shifts]

    def add(self, kind: str, partial: Any, rows: slice, columns: slice) -> None:
        """Add the sums of a tile."""
        n = self._rows.n
        for name, (row_sums, column_sums) in partial.items():
            self._sums[kind].setdefault(name, np.zeros(n))[rows] += row_sums
            if kind == "xy" or rows != columns:
                self._sums[kind if kind != "xy" else "yx"].setdefault(name, np.zeros(n))[columns] += column_sums

    def result(self) -> PairwiseSums:
        """Return the sums after all tiles."""
        sums = self._sums
        return PairwiseSums(sums["xx"], sums["xy"], sums["yx"], sums["yy"], self._median, self._gap)


def _are_ones(norms: np.ndarray) -> bool:
    """Return True if squared norms are 1 but for rounding."""
    return float(np.abs(norms - 1).max()) <= 16 * float(np.finfo(norms.dtype).eps)


def _clip_negative(halves: np.ndarray) -> float:
    """Set negative squares, which are rounding errors, to 0. Return the lowest one before."""
    lowest = float(halves.min())
    if lowest < 0:  # the search costs an eighth of the maximum
        np.maximum(halves, 0, out=halves)
    return lowest


def _rbf(halves: np.ndarray, width: float, out: np.ndarray) -> np.ndarray:
    """Return exp(-d^2 / (2 width^2)) of half of the squared distances."""
    if width == 0:  # more than half of all rows are equal
        return np.equal(halves, 0, out=out)
    return scaled_exp(halves, -1 / width**2, out)


def _fourth(values: np.ndarray) -> np.ndarray:
    np.multiply(values, values, out=values)
    return np.multiply(values, values, out=values)


def _norms(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)


def _median_distance(rows: np.ndarray) -> float:
    """Return the median distance between two different rows."""
    norms = _norms(rows)
    squares = np.maximum(norms[:, None] + norms - 2 * (rows @ rows.T), 0)
    return math.sqrt(float(np.median(squares[~np.tri(len(rows), dtype=bool)])))
