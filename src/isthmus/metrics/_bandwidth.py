"""The bandwidth of the kernels of MMD, and how its sampling error moves MMD."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from isthmus.statistics.intervals import Z95

#: Of more values than that, a part tells between which ones the median is.
PILOT_VALUES = 20_000
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
        squares = _squared_distances(np.concatenate([x, y]))
        values = squares[~np.tri(len(squares), dtype=bool)]
        middle = _median(values)
        influence = _influence_on_median(squares, middle, values)
        return cls(math.sqrt(middle), influence, _slopes(squares, middle))

    def effects(self, n: int, sample: np.ndarray) -> dict[str, np.ndarray]:
        """Return the influence of n items, of which `sample` gave the median, on MMD^2 through the median, (n,)."""
        influence = np.zeros(n)
        influence[sample] = self.influence * (n / len(sample))
        return {name: slope * influence for name, slope in self.slopes.items()}


def _influence_on_median(squares: np.ndarray, middle: float, values: np.ndarray) -> np.ndarray:
    """Return the influence of each item on the median distance, (m,).

    The share of the distances below the median is a mean over pairs of items. Its error, divided by the density at the
    median, is that of the median. The density is the mean one within the error of the share (Woodruff 1952).
    """
    n_items = len(squares) // 2
    influence = np.zeros(n_items)
    if n_items < 3 or not middle > 0:
        return influence
    n_below = np.count_nonzero(squares <= middle, axis=1).reshape(2, n_items).sum(axis=0)
    # An item is in 4 (m - 1) of the distances to other items. Its projection counts twice.
    shares = (n_below - n_below.mean()) / (2 * (n_items - 1))
    step = min(Z95 * float(shares.std(ddof=1)) / math.sqrt(n_items), 0.5)
    if step == 0:
        return influence
    part = values[:: max(len(values) // PILOT_VALUES, 1)]
    low, high = np.sqrt(np.quantile(part, [0.5 - step, 0.5 + step]))
    return -shares * (float(high - low) / (2 * step))


def _slopes(squares: np.ndarray, middle: float) -> dict[str, float]:
    """Return the derivative of MMD^2 by the median distance for each bandwidth. Distances of one item are set to 0."""
    n_items = len(squares) // 2
    names = [f"rbf_{width:g}" for width in BANDWIDTHS]
    if n_items < 3 or not middle > 0:
        return dict.fromkeys(names, 0.0)
    items = np.arange(n_items)
    squares[items, items + n_items] = squares[items + n_items, items] = 0
    signs = np.repeat(np.array([1, -1], dtype=squares.dtype), n_items)
    kernel = np.exp(squares * (-1 / (2 * BANDWIDTHS[-1] ** 2 * middle)))
    slopes = {}
    for name, width in zip(reversed(names), reversed(BANDWIDTHS), strict=True):
        # d/dM exp(-d^2 / (2 w^2 M^2)) = exp(...) d^2 / (w^2 M^3)
        total = float(signs @ ((kernel * squares) @ signs))
        slopes[name] = total / (n_items * (n_items - 1) * width**2 * middle**1.5)
        fourth_power(kernel)
    return slopes


def fourth_power(values: np.ndarray) -> np.ndarray:
    """Replace values by their fourth powers."""
    np.multiply(values, values, out=values)
    return np.multiply(values, values, out=values)


def squared_norms(rows: np.ndarray) -> np.ndarray:
    """Return the squared norms of rows (n, d)."""
    norms: np.ndarray = np.einsum("ij,ij->i", rows, rows)
    return norms


def _squared_distances(rows: np.ndarray) -> np.ndarray:
    """Return the squared distances of rows (n, d) from each other, (n, n)."""
    norms = squared_norms(rows)
    squares = rows @ rows.T
    squares *= 2
    distances: np.ndarray = np.maximum(np.subtract(np.add.outer(norms, norms), squares, out=squares), 0, out=squares)
    return distances


def _median(values: np.ndarray) -> float:
    """Return the median of many values. It is selected from those between two quantiles of a part of the values."""
    middle, step = len(values) // 2, max(len(values) // PILOT_VALUES, 1)
    ordered = np.sort(values[::step])
    margin = 3 * math.isqrt(len(ordered)) + 1  # six standard errors of the rank of the median
    if 2 * margin < len(ordered):
        low, high = ordered[len(ordered) // 2 - margin], ordered[len(ordered) // 2 + margin]
        n_below = int(np.count_nonzero(values < low))
        between = values[np.flatnonzero((values >= low) & (values <= high))]
        rank = middle - n_below
        if 1 <= rank < len(between):
            between.partition((rank - 1, rank))
            return float(between[rank] if len(values) % 2 else np.mean(between[rank - 1 : rank + 1]))
    return float(np.median(values))
