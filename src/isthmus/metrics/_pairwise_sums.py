"""Sums over all distances between rows, in one pass for energy distance, MMD, uniformity and margins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from isthmus.compute.score_matrix import BLOCK_SCORES
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows

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
        x, y = rows.x, rows.y
        pilot = rows.random_order[:PILOT_ITEMS]
        median = _median_distance(np.concatenate([x[pilot], y[pilot]]))
        within_functions = _Functions(median)
        gap = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
        across_functions = _Functions(median, gap)
        xy, yx, high_negatives = _across(x, y, across_functions, _negatives_threshold(x[pilot], y[pilot]))
        if high_negatives is None:  # the threshold of the pilot items was too high
            xy, yx, high_negatives = _across(x, y, across_functions, -math.inf)
        assert high_negatives is not None
        return cls(_within(x, within_functions), xy, yx, _within(y, within_functions), median, gap, high_negatives)

    @classmethod
    def from_context(cls, context: MetricContext, /) -> PairwiseSums:
        """Return the sums of the sampled items."""
        return cls.of(context.shared(PairedRows))

    def swapped(self) -> PairwiseSums:
        """Return the sums of (y, x)."""
        return replace(self, xx=self.yy, xy=self.yx, yx=self.xy, yy=self.xx, gap=-self.gap)


class _Functions:
    """Functions of a block of squared distances, one at a time in one buffer."""

    def __init__(self, median: float, gap: np.ndarray | None = None):
        self.median = median
        self.gap = gap

    def __call__(self, squares: np.ndarray, shift: np.ndarray | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, values). The next function overwrites the values. `shift` turns d^2 into the centred d^2."""
        work = np.empty_like(squares)
        yield "distance", np.sqrt(squares, out=work)
        yield "uniform", np.exp(np.multiply(squares, -EXPONENT, out=work), out=work)
        # One exponential of the widest kernel: its powers 4 and 16 are the narrower kernels.
        yield "rbf_2", _rbf(squares, 2 * self.median, work)
        yield "rbf_1", _fourth(work)
        yield "rbf_0.5", _fourth(work)
        if shift is not None:
            centred = np.maximum(squares + shift, 0)
            yield "centred_rbf_1", _rbf(centred, self.median, work)
            yield "centred_distance", np.sqrt(centred, out=centred)
            work[...] = 0
            yield "centred_inverse", np.divide(1, centred, out=work, where=centred > 0)


def _rbf(squares: np.ndarray, width: float, out: np.ndarray) -> np.ndarray:
    if width == 0:  # more than half of all rows are equal
        return np.equal(squares, 0, out=out)
    return np.exp(np.multiply(squares, -1 / (2 * width**2), out=out), out=out)


def _fourth(values: np.ndarray) -> np.ndarray:
    np.multiply(values, values, out=values)
    return np.multiply(values, values, out=values)


def _squares(a: np.ndarray, b: np.ndarray, a2: np.ndarray, b2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inner products of a block and the squared distances, |a|^2 + |b|^2 - 2 a.b."""
    scores = a @ b.T
    squares = scores * -2
    squares += a2[:, None]
    squares += b2
    return scores, np.maximum(squares, 0, out=squares)


def _norms(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)


def _within(rows: np.ndarray, functions: _Functions) -> Sums:
    """Return the sums over the other rows of one modality. Each distance is computed once."""
    n = len(rows)
    norms = _norms(rows)
    sums: Sums = {}
    step = max(1, min(BLOCK_SCORES // n, n))
    for start in range(0, n, step):
        stop = min(start + step, n)
        size = stop - start
        _, squares = _squares(rows[start:stop], rows[start:], norms[start:stop], norms[start:])
        squares[np.arange(size), np.arange(size)] = 0
        for name, values in functions(squares):
            total = sums.setdefault(name, np.zeros(n))
            values[np.arange(size), np.arange(size)] = 0
            total[start:stop] += values.sum(axis=1)
            total[stop:] += values[:, size:].sum(axis=0)
    return sums


def _across(
    x: np.ndarray, y: np.ndarray, functions: _Functions, keep_from: float
) -> tuple[Sums, Sums, np.ndarray | None]:
    """Return the sums over the rows of other items in the other modality, and the negatives of at least `keep_from`.

    The negatives are None if they are fewer than a trimmed margin must leave out.
    """
    n = len(x)
    assert functions.gap is not None
    gap = functions.gap.astype(x.dtype)
    norms_x, norms_y = _norms(x), _norms(y)
    # |x - y - g|^2 = |x - y|^2 - 2 (x - y).g + |g|^2
    shift_x, shift_y = gap @ gap - 2 * (x @ gap), 2 * (y @ gap)
    xy: Sums = {}
    yx: Sums = {}
    high_scores = []
    step = max(1, min(BLOCK_SCORES // n, n))
    for start in range(0, n, step):
        stop = min(start + step, n)
        block, items = np.arange(stop - start), np.arange(start, stop)
        scores, squares = _squares(x[start:stop], y, norms_x[start:stop], norms_y)
        scores[block, items] = np.nan  # matching pairs are no negatives, and NaN is not above anything
        high_scores.append(scores[scores >= keep_from])
        shift = shift_x[start:stop, None] + shift_y
        for name, values in functions(squares, shift):
            values[block, items] = 0
            xy.setdefault(name, np.zeros(n))[start:stop] = values.sum(axis=1)
            yx.setdefault(name, np.zeros(n))[:] += values.sum(axis=0)
    negatives = np.concatenate(high_scores)
    return xy, yx, negatives if len(negatives) > trimmed_count(n * (n - 1)) else None


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
    _, squares = _squares(rows, rows, norms, norms)
    return math.sqrt(float(np.median(squares[np.triu_indices(len(rows), 1)])))
