"""Sums over all distances between rows, in blocks: one pass for energy distance, MMD, uniformity and margins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from isthmus.compute.score_matrix import BLOCK_SCORES
from isthmus.metrics._context import MetricContext
from isthmus.metrics._paired_rows import PairedRows

#: Items whose distances give the width of the RBF kernels: 2 million distances.
PILOT = 1_000
#: Bandwidths of the RBF kernels in units of the median distance.
WIDTHS = (0.5, 1.0, 2.0)
#: Exponent t of the uniformity exp(-t d^2).
EXPONENT = 2.0
#: Share of the negatives that trimmed margins leave out, and the share that is kept at hand to find them exactly.
TRIM = 0.05
_KEPT = 0.06

Sums = dict[str, np.ndarray]


@dataclass(frozen=True)
class PairwiseSums:
    """For each item the sums of functions of its distances d to all other items, j != i.

    `xx[f][i]` = sum_j f(|x_i - x_j|), `yy` likewise, `xy[f][i]` = sum_j f(|x_i - y_j|),
    `yx[f][i]` = sum_j f(|x_j - y_i|). The functions f: 'distance' d; 'uniform' exp(-2 d^2); 'rbf_0.5', 'rbf_1',
    'rbf_2' exp(-d^2 / (2 (m s)^2)) with s the `median`; for xy and yx also 'centred_distance', 'centred_inverse'
    (1/d) and 'centred_rbf_1', of the distances |x_i - y_j - gap| after the means are aligned.
    """

    xx: Sums
    xy: Sums
    yx: Sums
    yy: Sums
    median: float
    gap: np.ndarray  # mean x - mean y
    high_negatives: np.ndarray  # the largest x_i . y_j, i != j, at least 5 % of them, in no order

    @classmethod
    def of(cls, rows: PairedRows, /) -> PairwiseSums:
        """One pass over all distances between the rows of both sides."""
        x, y = rows.x, rows.y
        pilot = rows.random_order[:PILOT]
        median = _median_distance(np.concatenate([x[pilot], y[pilot]]))
        within = _Functions(median)
        gap = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
        across = _Functions(median, gap)
        xy, yx, high = _across(x, y, across, _kept_from(x[pilot], y[pilot]))
        if high is None:  # the pilot's threshold was too high
            xy, yx, high = _across(x, y, across, -math.inf)
        assert high is not None
        return cls(_within(x, within), xy, yx, _within(y, within), median, gap, high)

    @classmethod
    def from_context(cls, context: MetricContext, /) -> PairwiseSums:
        """Return the sums of the sampled items."""
        return cls.of(context.shared(PairedRows))

    def swapped(self) -> PairwiseSums:
        """The sums of (y, x)."""
        return replace(self, xx=self.yy, xy=self.yx, yx=self.xy, yy=self.xx, gap=-self.gap)


class _Functions:
    """Functions of a block of squared distances, one at a time in one buffer."""

    def __init__(self, median: float, gap: np.ndarray | None = None):
        self.median = median
        self.gap = gap

    def __call__(self, squares: np.ndarray, shift: np.ndarray | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (name, values); the values are overwritten by the next one. `shift` turns d^2 into the centred d^2."""
        work = np.empty_like(squares)
        yield "distance", np.sqrt(squares, out=work)
        yield "uniform", np.exp(np.multiply(squares, -EXPONENT, out=work), out=work)
        # exp(-d^2/8s^2) once; its powers 4 and 16 are the narrower kernels.
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
    """Inner products of a block and the squared distances, |a|^2 + |b|^2 - 2 a.b."""
    scores = a @ b.T
    squares = scores * -2
    squares += a2[:, None]
    squares += b2
    return scores, np.maximum(squares, 0, out=squares)


def _norms(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows)


def _within(rows: np.ndarray, functions: _Functions) -> Sums:
    """Sums over the other rows of one side; each distance is computed once."""
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
    """Sums over the rows of the other items on the other side, and the scores of at least `keep_from`.

    None instead of the scores when they are fewer than the trimmed margin must leave out.
    """
    n = len(x)
    assert functions.gap is not None
    gap = functions.gap.astype(x.dtype)
    norms_x, norms_y = _norms(x), _norms(y)
    # |x - y - g|^2 = |x - y|^2 - 2 (x - y).g + |g|^2
    shift_x, shift_y = gap @ gap - 2 * (x @ gap), 2 * (y @ gap)
    xy: Sums = {}
    yx: Sums = {}
    high = []
    step = max(1, min(BLOCK_SCORES // n, n))
    for start in range(0, n, step):
        stop = min(start + step, n)
        block, own = np.arange(stop - start), np.arange(start, stop)
        scores, squares = _squares(x[start:stop], y, norms_x[start:stop], norms_y)
        scores[block, own] = np.nan  # partners are no negatives; NaN is not above anything
        high.append(scores[scores >= keep_from])
        shift = shift_x[start:stop, None] + shift_y
        for name, values in functions(squares, shift):
            values[block, own] = 0
            xy.setdefault(name, np.zeros(n))[start:stop] = values.sum(axis=1)
            yx.setdefault(name, np.zeros(n))[:] += values.sum(axis=0)
    negatives = np.concatenate(high)
    return xy, yx, negatives if len(negatives) > trimmed(n * (n - 1)) else None


def trimmed(count: int) -> int:
    """How many of `count` values a trimmed margin leaves out on one side."""
    return math.floor(TRIM * count)


def _kept_from(x: np.ndarray, y: np.ndarray) -> float:
    """A score that a little more than 5 % of the negatives of these items exceed."""
    scores = x @ y.T
    negatives = scores[~np.eye(len(x), dtype=bool)]
    return float(np.quantile(negatives, 1 - _KEPT)) if len(x) >= 50 else -math.inf


def _median_distance(rows: np.ndarray) -> float:
    """The median distance between two different rows."""
    norms = _norms(rows)
    _, squares = _squares(rows, rows, norms, norms)
    return math.sqrt(float(np.median(squares[np.triu_indices(len(rows), 1)])))
