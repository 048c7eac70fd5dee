"""The bandwidth of the kernels of MMD, and how its sampling error moves MMD."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from isthmus.compute.elementwise import scaled_exp
from isthmus.compute.masks import count_columns, count_rows, true_positions
from isthmus.compute.rows import cache_sized_slices
from isthmus.statistics.intervals import Z95

#: Of more values than that, a part tells between which ones the median is.
PILOT_VALUES = 20_000
#: Squared distances within x, within y, and of each x from each y.
Squares = tuple[np.ndarray, np.ndarray, np.ndarray]
#: Bandwidths of the RBF kernels in units of the median distance.
BANDWIDTHS = (0.5, 1.0, 2.0)


class Bandwidth(NamedTuple):
    """The median distance of a sample of items, the unit of the bandwidths.

    Attributes
    ----------
    median : float
        Median distance between two rows of the union of both modalities.
    influence : (m,) array
        Influence of each item on the median, whose standard error is their standard deviation / sqrt m.
    slopes : dict of str to float
        Derivative of MMD^2 by the median for each bandwidth.
    """

    median: float
    influence: np.ndarray
    slopes: dict[str, float]

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, /) -> Bandwidth:
        """Return the bandwidth of items with one row in each modality, (m, d)."""
        n_items = len(x)
        from_x, from_y = _squared_distances(x, np.concatenate([x, y])), _squared_distances(y, y)
        values = np.concatenate([table[~np.tri(n_items, table.shape[1], dtype=bool)] for table in (from_x, from_y)])
        squares = from_x[:, :n_items], from_y, from_x[:, n_items:]
        middle = _median(values)
        influence = _influence_on_median(squares, middle)
        return cls(math.sqrt(middle), influence, _slopes(squares, middle))

    def effects(self, n: int, sample: np.ndarray) -> dict[str, np.ndarray]:
        """Return the influence of n items, of which `sample` gave the median, on MMD^2 through the median, (n,)."""
        influence = np.zeros(n)
        influence[sample] = self.influence * (n / len(sample))
        return {name: slope * influence for name, slope in self.slopes.items()}


def _influence_on_median(squares: Squares, middle: float) -> np.ndarray:
    """Return the influence of each item on the median distance, (m,).

    The share of the distances below the median is a mean over pairs of items. Its error, divided by the density at the
    median, is that of the median. The density is the mean one within the error of the share (Woodruff 1952).
    """
    n_items = len(squares[0])
    influence = np.zeros(n_items)
    if n_items < 3 or not middle > 0:
        return influence
    within_x, within_y, between = (kind <= middle for kind in squares)
    n_below = count_rows(within_x) + count_rows(within_y) + count_rows(between) + count_columns(between)
    # An item is in 4 (m - 1) of the distances to other items. Its projection counts twice.
    shares = (n_below - n_below.mean()) / (2 * (n_items - 1))
    step = min(Z95 * float(shares.std(ddof=1)) / math.sqrt(n_items), 0.5)
    if step == 0:
        return influence
    low, high = np.sqrt(np.quantile(_some_squares(squares), [0.5 - step, 0.5 + step]))
    return -shares * (float(high - low) / (2 * step))


def _some_squares(squares: Squares) -> np.ndarray:
    """Return the squared distances of each item from some others, the same ones if x and y are exchanged."""
    within_x, within_y, between = squares
    items = np.arange(len(between))
    shifts = np.arange(1, min(max(PILOT_VALUES // (4 * len(items)), 1), len(items) - 1) + 1)
    partner_items = (items + shifts[:, None]) % len(items)
    return np.concatenate([table[items, partner_items].ravel() for table in (within_x, within_y, between, between.T)])


def _slopes(squares: Squares, middle: float) -> dict[str, float]:
    """Return the derivative of MMD^2 by the median distance for each bandwidth. Distances of one item are set to 0."""
    n_items = len(squares[0])
    names = [f"rbf_{width:g}" for width in BANDWIDTHS]
    if n_items < 3 or not middle > 0:
        return dict.fromkeys(names, 0.0)
    np.fill_diagonal(squares[2], 0)
    # d/dM exp(-d^2 / (2 w^2 M^2)) = exp(...) d^2 / (w^2 M^3)
    totals = np.zeros(len(BANDWIDTHS))
    for sign, kind in zip((1, 1, -2), squares, strict=True):
        for band in cache_sized_slices(kind, buffers=2):
            kernel = scaled_exp(kind[band], -1 / (2 * BANDWIDTHS[-1] ** 2 * middle), np.empty_like(kind[band]))
            for number in reversed(range(len(BANDWIDTHS))):
                totals[number] += sign * np.einsum("ij,ij->i", kernel, kind[band]).sum(dtype=np.float64)
                if number:
                    fourth_power(kernel)
    scales = n_items * (n_items - 1) * np.square(BANDWIDTHS) * middle**1.5
    return dict(zip(names, (totals / scales).tolist(), strict=True))


def fourth_power(values: np.ndarray) -> np.ndarray:
    """Replace values by their fourth powers."""
    np.multiply(values, values, out=values)
    return np.multiply(values, values, out=values)


def squared_norms(rows: np.ndarray) -> np.ndarray:
    """Return the squared norms of rows (n, d)."""
    norms: np.ndarray = np.einsum("ij,ij->i", rows, rows)
    return norms


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared distances of rows a (n, d) from rows b (m, d), (n, m)."""
    squares = a @ b.T
    norms_a, norms_b = squared_norms(a), squared_norms(b)
    for band in cache_sized_slices(squares):
        squares[band] *= -2
        squares[band] += np.add.outer(norms_a[band], norms_b)
        np.maximum(squares[band], 0, out=squares[band])
    return squares


def _median(values: np.ndarray) -> float:
    """Return the median of many values. It is selected from those between two quantiles of a part of the values."""
    middle, step = len(values) // 2, max(len(values) // PILOT_VALUES, 1)
    ordered = np.sort(values[::step])
    margin = 3 * math.isqrt(len(ordered)) + 1  # six standard errors of the rank of the median
    if 2 * margin < len(ordered):
        low, high = ordered[len(ordered) // 2 - margin], ordered[len(ordered) // 2 + margin]
        is_below = values < low
        n_below = int(np.count_nonzero(is_below))
        between = values[true_positions(is_below ^ (values <= high))]
        rank = middle - n_below
        if 1 <= rank < len(between):
            between.partition((rank - 1, rank))
            return float(between[rank] if len(values) % 2 else np.mean(between[rank - 1 : rank + 1]))
    return float(np.median(values))
