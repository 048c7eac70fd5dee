"""Sums over all distances between rows, in one pass for energy distance, MMD and uniformity."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.compute.compiled import compiled_loops
from isthmus.compute.elementwise import add_outer_sum, exp_scaled, exponent_scale, scaled_exp
from isthmus.compute.rows import cache_sized_slices
from isthmus.compute.score_sweep import fill_diagonal
from isthmus.compute.workspace import Workspace
from isthmus.data.hashing import hash_rows
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

#: Rounding errors of a squared distance, relative to the squared lengths, up to which repeated rows have the distance
#: 0, and steps of a coordinate by which repeated rows are found.
ROUNDINGS, ROUNDED_STEPS = 8, 2**16

#: Functions of the distances within a modality, and across modalities also those after the means are aligned.
WITHIN = ("distance", "uniform", "rbf_2", "rbf_1", "rbf_0.5")
ACROSS = (*WITHIN, "centred_distance", "centred_inverse", "centred_rbf_1")
DISTANCE, UNIFORM, RBF_2, RBF_1, RBF_05, CENTRED_DISTANCE, CENTRED_INVERSE, CENTRED_RBF_1 = range(len(ACROSS))

Sums = dict[str, np.ndarray]
#: Weights of the rows and of the columns.
Weights = tuple[np.ndarray, np.ndarray]


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


class _Band:
    """A band of the rows of a tile, and the sums of functions of its distances.

    Parameters
    ----------
    rows, columns : slice
        Rows and columns of the whole matrix that the band covers.
    row_sums, column_sums : numpy.ndarray
        Where the sums over the columns and over the rows are stored, (functions, rows) and (functions, columns).
    """

    def __init__(self, rows: slice, columns: slice, row_sums: np.ndarray, column_sums: np.ndarray):
        self.rows, self.columns = rows, columns
        self._row_sums, self._column_sums = row_sums, column_sums

    def fill_diagonal(self, values: np.ndarray, value: float) -> None:
        """Set the entries of an item with itself."""
        fill_diagonal(values, self.rows, self.columns, value)

    def add(self, function: int, values: np.ndarray, weights: Weights) -> np.ndarray:
        """Store the sums of the values times the weights of their columns, or rows. Return the sums of the rows."""
        row_weights, column_weights = weights
        np.dot(row_weights[self.rows], values, out=self._column_sums[function])
        return np.dot(values, column_weights[self.columns], out=self._row_sums[function])

    def add_roots(self, function: int, halves: np.ndarray, weights: Weights, out: np.ndarray) -> None:
        """Store the sums of the roots of half of the squared distances.

        Only rounding makes a square negative, so that its root is no number. This is rare, and a search for negative
        squares would cost a pass over every tile.
        """
        with np.errstate(invalid="ignore"):
            sums = self.add(function, np.sqrt(halves, out=out), weights)
        if not math.isfinite(sums.sum()):
            np.maximum(halves, 0, out=halves)
            self.add(function, np.sqrt(halves, out=out), weights)


class PairwiseTiles:
    """Sum functions of the distances in tiles of scores.

    Half of the squared distance, (|x|^2 + |y|^2) / 2 - x . y, is computed once, and all functions from it. Bands of
    rows stay in the cache of one core meanwhile, which halves the time of most functions.

    Parameters
    ----------
    rows : PairedRows
        Items.
    """

    kinds: tuple[str, ...] = ("xx", "yy", "xy")

    def __init__(self, rows: PairedRows):
        x, y = rows.x, rows.y
        pilot = rows.random_order[:PILOT_ITEMS]
        bandwidth = Bandwidth.of(x[pilot], y[pilot])
        self._median = bandwidth.median
        self._by_median = bandwidth.effects(rows.n, pilot)
        self._gap = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
        self._halves = {"x": squared_norms(x) / 2, "y": squared_norms(y) / 2}
        self._is_unit = all(_are_ones(2 * halves) for halves in self._halves.values())
        gap = self._gap.astype(np.result_type(x, y))
        # |x - y - g|^2 = |x - y|^2 - 2 (x - y).g + |g|^2, in terms that are exchanged with x and y
        self._shift_x, self._shift_y = gap @ gap / 4 - x @ gap, gap @ gap / 4 + y @ gap
        self._ones: Weights = (np.ones(rows.n, gap.dtype),) * 2
        self._centring = self._centring_factors()
        names = {"xx": WITHIN, "yy": WITHIN, "xy": ACROSS, "yx": ACROSS}
        self._sums = {kind: np.zeros((len(functions), rows.n)) for kind, functions in names.items()}
        self._workspace = Workspace()
        # The root of rounding is far larger than rounding: 1e-8 for float64.
        self._rounding = ROUNDINGS * float(np.finfo(gap.dtype).eps) if _have_equal_rows(x, y) else 0.0
        is_compiled = self._median > 0 and self._centring and not self._rounding
        self._loops: Any = compiled_loops(rows.n**2, gap.dtype) if is_compiled else None

    def _centring_factors(self) -> Weights | None:
        """Return the factors of rows and columns that centre the kernel, or None if they could overflow."""
        shifts, scale = (self._shift_x, self._shift_y), self._median**2
        if max(float(np.abs(shift).max()) for shift in shifts) >= MAX_KERNEL_EXPONENT * scale:
            return None
        # The same function as that of the kernel, so that its factor is rounded in the same way.
        x, y = (scaled_exp(shift, -1 / scale, np.empty_like(shift)) for shift in shifts)
        return x, y

    def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums over the rows and over the columns of a tile, (functions, rows) and (functions, columns).

        A tile on the diagonal of a symmetric matrix is computed from its diagonal on.
        """
        is_symmetric = kind != "xy" and rows == columns
        n_functions, (n_rows, n_columns) = len(self._sums[kind]), scores.shape
        if self._loops is not None:
            return self._compiled_sums(kind, scores, rows, columns)
        row_sums = np.empty((n_functions, n_rows), scores.dtype)
        column_sums = np.zeros((n_functions, n_columns), scores.dtype)
        for part in cache_sized_slices(scores, buffers=2):
            first, once = (part.start, part.stop - part.start) if is_symmetric else (0, 0)
            band_sums = np.empty((n_functions, n_columns - first), scores.dtype)
            covered = slice(rows.start + part.start, rows.start + part.stop), slice(columns.start + first, columns.stop)
            self._sum(kind, scores[part, first:], _Band(*covered, row_sums[:, part], band_sums))
            column_sums[:, first + once :] += band_sums[:, once:]  # pairs of two rows of the band are there twice
        return row_sums, column_sums

    def _compiled_sums(
        self, kind: str, scores: np.ndarray, rows: slice, columns: slice
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what `tile` returns, from compiled loops."""
        row_sums, column_sums = (np.zeros((len(self._sums[kind]), length)) for length in scores.shape)
        factors = (np.array([-2 * EXPONENT, -1 / (2 * self._median) ** 2]) / math.log(2)).astype(np.float32)
        halves = [
            np.full(covered.stop - covered.start, 0.5, scores.dtype)
            if self._is_unit
            else self._halves[modality][covered]
            for modality, covered in zip(kind, (rows, columns), strict=True)
        ]
        if kind != "xy":
            self._loops.sum_within(scores, *halves, factors, row_sums, column_sums, rows == columns)
        elif self._centring is not None:
            row_terms = np.stack([halves[0], self._shift_x[rows], self._centring[0][rows]])
            column_terms = np.stack([halves[1], self._shift_y[columns], self._centring[1][columns]])
            self._loops.sum_across(scores, row_terms, column_terms, factors, row_sums, column_sums, rows == columns)
        return row_sums, column_sums

    def _sum(self, kind: str, scores: np.ndarray, band: _Band) -> None:
        """Compute the sums of one band. What is computed in place takes less time than what is written elsewhere."""
        rows, columns, ones = band.rows, band.columns, self._ones
        halves, values = (self._workspace.empty(name, scores.shape, scores.dtype) for name in ("halves", "values"))
        if self._is_unit:
            np.subtract(1, scores, out=halves)
        else:
            np.negative(scores, out=halves)
            add_outer_sum(halves, self._halves[kind[0]][rows], self._halves[kind[1]][columns])
        band.fill_diagonal(halves, 0)
        if self._rounding:  # equal rows have the distance 0
            lengths = add_outer_sum(np.zeros_like(halves), self._halves[kind[0]][rows], self._halves[kind[1]][columns])
            halves[halves <= self._rounding * lengths] = 0
        band.add_roots(DISTANCE, halves, ones, values)
        band.fill_diagonal(halves, np.inf)  # the kernels of an item with itself are left out
        # Exponents replace the halves, so that each is the product of the one before it.
        exponents, scale = halves, exponent_scale(-2 * EXPONENT)
        np.multiply(halves, scale, out=exponents)
        band.add(UNIFORM, exp_scaled(exponents, out=values), ones)
        # One exponential of the widest kernel: its powers 4 and 16 are the narrower kernels.
        if self._median > 0:
            widest = exponent_scale(-1 / (2 * self._median) ** 2)
            np.multiply(exponents, widest / scale, out=exponents)
            scale = widest
            exp_scaled(exponents, out=values)
        else:  # more than half of all rows are equal
            np.equal(exponents, 0, out=values)
        band.add(RBF_2, values, ones)
        band.add(RBF_1, fourth_power(values), ones)
        if kind == "xy" and self._centring is not None:
            band.add(CENTRED_RBF_1, values, self._centring)
        band.add(RBF_05, fourth_power(values), ones)
        if kind != "xy":
            return
        np.multiply(exponents, 1 / scale, out=halves)
        add_outer_sum(halves, self._shift_x[rows], self._shift_y[columns])
        if self._centring is None:
            band.add(CENTRED_RBF_1, _rbf(halves, self._median, values), ones)
        band.fill_diagonal(halves, 0)
        if self._rounding:  # the products with scales round as well
            halves[halves <= 4 * self._rounding * lengths] = 0
        band.add_roots(CENTRED_DISTANCE, halves, ones, values)
        band.fill_diagonal(values, np.inf)
        with np.errstate(divide="ignore"):
            sums = band.add(CENTRED_INVERSE, np.divide(1, values, out=values), ones)
        if not math.isfinite(sums.sum()):  # equal rows add nothing
            values[values == np.inf] = 0
            band.add(CENTRED_INVERSE, values, ones)

    def add(self, kind: str, partial: tuple[np.ndarray, np.ndarray], rows: slice, columns: slice) -> None:
        """Add the sums of a tile."""
        self._sums[kind][:, rows] += partial[0]
        self._sums["yx" if kind == "xy" else kind][:, columns] += partial[1]

    def result(self) -> PairwiseSums:
        """Return the sums after all tiles."""
        sums = {
            kind: {name: totals.copy() for name, totals in zip(ACROSS, table, strict=False)}
            for kind, table in self._sums.items()
        }
        for by_name in sums.values():
            by_name["distance"] *= math.sqrt(2)
        for number, kind in enumerate(("xy", "yx")):
            sums[kind]["centred_distance"] *= math.sqrt(2)
            sums[kind]["centred_inverse"] *= math.sqrt(0.5)
            if self._centring is not None:  # the kernel of the centred distance is that of the distance times factors
                sums[kind]["centred_rbf_1"] *= self._centring[number]
        return PairwiseSums(sums["xx"], sums["xy"], sums["yx"], sums["yy"], self._median, self._by_median, self._gap)


def _have_equal_rows(x: np.ndarray, y: np.ndarray) -> bool:
    """Return whether rows of both modalities repeat, except for rounding."""
    largest = max(float(np.abs(rows).max()) for rows in (x, y)) or 1.0
    for step in (max(x.shape[1] // 16, 1), 1):  # a few coordinates tell most rows apart
        parts = (rows[:, ::step] * (ROUNDED_STEPS / largest) for rows in (x, y))
        hashes = [hash_rows(np.floor(part + 0.5).astype(np.int32)) for part in parts]
        if len(np.unique(np.concatenate(hashes))) == 2 * len(x):
            return False
    return True


def _are_ones(norms: np.ndarray) -> bool:
    """Return True if squared norms are 1 but for rounding."""
    return float(np.abs(norms - 1).max()) <= 16 * float(np.finfo(norms.dtype).eps)


def _rbf(halves: np.ndarray, width: float, out: np.ndarray) -> np.ndarray:
    """Return exp(-d^2 / (2 width^2)) of half of the squared distances."""
    if width == 0:  # more than half of all rows are equal
        return np.equal(halves, 0, out=out)
    return scaled_exp(halves, -1 / width**2, out)
