"""Sums over all distances between rows, in one pass for energy distance, MMD and uniformity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.compute.elementwise import add_outer_sum, exp_scaled, exponent_scale, scaled_exp, scipy_products
from isthmus.compute.score_sweep import fill_diagonal
from isthmus.compute.workspace import Workspace
from isthmus.metrics._bandwidth import Bandwidth, fourth_power, squared_norms
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._score_sweep import sweep_rows, swept

#: Items whose 2 million distances give the median distance, the unit of the bandwidths.
PILOT_ITEMS = 1_000
#: Exponent t of the uniformity exp(-t d^2).
EXPONENT = 2.0
#: Largest exponent of the factors that centre a kernel. Their product stays within the range of float32.
MAX_KERNEL_EXPONENT = 30.0

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
    by_median : dict of str to numpy.ndarray
        `by_median["rbf_1"][i]` is what item i adds to n times the error of MMD^2 because it moves the median.
    gap : numpy.ndarray
        Mean of x minus mean of y.
    """

    xx: Sums
    xy: Sums
    yx: Sums
    yy: Sums
    median: float
    by_median: Sums
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


class _TileSums:
    """Sums over the rows and over the columns of a tile by function.

    Parameters
    ----------
    rows, columns : slice
        Rows and columns of the whole matrix that the tile covers.
    dtype : numpy.dtype
        Type of the values.
    """

    def __init__(self, rows: slice, columns: slice, dtype: np.dtype):
        self._rows, self._columns = rows, columns
        self._ones = [np.ones(lines.stop - lines.start, dtype=dtype) for lines in (rows, columns)]
        self.sums: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, name: str, values: np.ndarray, *, scale: float = 1, weights: Sequence[np.ndarray] = ()) -> bool:
        """Store the sums of the values times the weights of their rows and columns, and times a number.

        Return True if they are finite.
        """
        fill_diagonal(values, self._rows, self._columns, 0)  # an item has no distance to itself
        row_weights, column_weights = weights or self._ones
        row_sums = values @ column_weights
        column_sums = row_weights @ values
        are_finite = math.isfinite(row_sums @ row_weights)
        if weights:
            row_sums, column_sums = row_sums * row_weights, column_sums * column_weights
        self.sums[name] = (row_sums, column_sums) if scale == 1 else (scale * row_sums, scale * column_sums)
        return are_finite

    def add_roots(self, name: str, halves: np.ndarray, out: np.ndarray) -> None:
        """Store the sums of the distances, given half of their squares.

        Only rounding makes a square negative, so that its root is no number. This is rare, and a search for negative
        squares would cost a pass over every tile.
        """
        with np.errstate(invalid="ignore"):
            are_finite = self.add(name, np.sqrt(halves, out=out), scale=math.sqrt(2))
        if not are_finite:
            np.maximum(halves, 0, out=halves)
            self.add(name, np.sqrt(halves, out=out), scale=math.sqrt(2))


class PairwiseTiles:
    """Sum functions of the distances in tiles of scores.

    Half of the squared distance, (|x|^2 + |y|^2) / 2 - x . y, is computed once, and all functions from it.

    Parameters
    ----------
    rows : PairedRows
        Items.
    """

    kinds: tuple[str, ...] = ("xx", "yy", "xy")
    overwrites = True

    def __init__(self, rows: PairedRows):
        scipy_products()  # before threads compute the tiles
        x, y = rows.x, rows.y
        pilot = rows.random_order[:PILOT_ITEMS]
        self._rows = rows
        bandwidth = Bandwidth.of(x[pilot], y[pilot])
        self._median = bandwidth.median
        self._by_median = bandwidth.effects(rows.n, pilot)
        self._gap = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
        self._halves = {"x": squared_norms(x) / 2, "y": squared_norms(y) / 2}
        self._is_unit = all(_are_ones(2 * halves) for halves in self._halves.values())
        gap = self._gap.astype(np.result_type(x, y))
        # |x - y - g|^2 = |x - y|^2 - 2 (x - y).g + |g|^2
        self._shift_x, self._shift_y = gap @ gap / 2 - x @ gap, y @ gap
        self._sums: dict[str, Sums] = {"xx": {}, "xy": {}, "yx": {}, "yy": {}}
        self._workspace = Workspace()

    def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> Any:
        """Return the sums over the rows and over the columns of a tile by function.

        What is computed in place takes half of the time of what is written elsewhere.
        """
        halves, work = scores, self._workspace.empty("values", scores.shape, scores.dtype)
        if self._is_unit:
            np.subtract(1, scores, out=halves)
        else:
            np.negative(scores, out=halves)
            add_outer_sum(halves, self._halves[kind[0]][rows], self._halves[kind[1]][columns])
        fill_diagonal(halves, rows, columns, 0)
        tile_sums = _TileSums(rows, columns, scores.dtype)
        tile_sums.add_roots("distance", halves, work)
        # Exponents replace the halves, so that each is the product of the one before it.
        exponents, scale = halves, exponent_scale(-2 * EXPONENT)
        tile_sums.add("uniform", exp_scaled(np.multiply(halves, scale, out=exponents), out=work))
        # One exponential of the widest kernel: its powers 4 and 16 are the narrower kernels.
        if self._median > 0:
            widest = exponent_scale(-1 / (2 * self._median) ** 2)
            np.multiply(exponents, widest / scale, out=exponents)
            scale = widest
            exp_scaled(exponents, out=work)
        else:  # more than half of all rows are equal
            np.equal(exponents, 0, out=work)
        tile_sums.add("rbf_2", work)
        tile_sums.add("rbf_1", fourth_power(work))
        if kind != "xy":
            tile_sums.add("rbf_0.5", fourth_power(work))
            return tile_sums.sums
        kernel_factors = self._kernel_factors(rows, columns)
        if kernel_factors is not None:  # the kernel of the centred distance is that of the distance times two factors
            tile_sums.add("centred_rbf_1", work, weights=kernel_factors)
        tile_sums.add("rbf_0.5", fourth_power(work))
        np.multiply(exponents, 1 / scale, out=halves)
        add_outer_sum(halves, self._shift_x[rows], self._shift_y[columns])
        tile_sums.add_roots("centred_distance", halves, work)
        fill_diagonal(work, rows, columns, np.inf)
        with np.errstate(divide="ignore"):
            are_finite = tile_sums.add("centred_inverse", np.divide(1, work, out=work), scale=math.sqrt(0.5))
        if not are_finite:  # equal rows add nothing
            work[work == np.inf] = 0
            tile_sums.add("centred_inverse", work, scale=math.sqrt(0.5))
        if kernel_factors is None:
            tile_sums.add("centred_rbf_1", _rbf(halves, self._median, work))
        return tile_sums.sums

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
        row_totals, column_totals = self._sums[kind], self._sums["yx" if kind == "xy" else kind]
        for name, (row_sums, column_sums) in partial.items():
            if name not in row_totals:
                row_totals[name] = np.zeros(n)
                column_totals.setdefault(name, np.zeros(n))
            row_totals[name][rows] += row_sums
            if kind == "xy" or rows != columns:
                column_totals[name][columns] += column_sums

    def result(self) -> PairwiseSums:
        """Return the sums after all tiles."""
        sums = self._sums
        return PairwiseSums(sums["xx"], sums["xy"], sums["yx"], sums["yy"], self._median, self._by_median, self._gap)


def _are_ones(norms: np.ndarray) -> bool:
    """Return True if squared norms are 1 but for rounding."""
    return float(np.abs(norms - 1).max()) <= 16 * float(np.finfo(norms.dtype).eps)


def _rbf(halves: np.ndarray, width: float, out: np.ndarray) -> np.ndarray:
    """Return exp(-d^2 / (2 width^2)) of half of the squared distances."""
    if width == 0:  # more than half of all rows are equal
        return np.equal(halves, 0, out=out)
    return scaled_exp(halves, -1 / width**2, out)
