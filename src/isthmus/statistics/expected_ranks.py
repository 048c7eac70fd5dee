"""The ranks that pairs would have in their right order, from how much the rows of each modality vary.

Rows of a class may hardly match although their order is right. Noise, or texts that say little, change how much the
rows of a modality vary in all directions and in the shared ones. This does not depend on the order of the rows: rows
out of order vary as much as matching rows do. The relation of the variances to the ranks is fitted to the rest of the
file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from isthmus.statistics.learned_ranks import MAX_OPERATIONS, cross_products
from isthmus.statistics.row_samples import BLOCK_ROWS, RowSample

#: Fewest rows outside a range that show the relation of variances and ranks.
MIN_OUTSIDE_ROWS = 160
#: Rows over which ranks and variances are averaged, and the distance of two averages of the fit.
_AVERAGED_ROWS, _STEP_ROWS = 32, 16
#: Shared directions.
_MAX_DIRECTIONS = 32
#: Weight of the squared coefficients of standardized variances, and steps of the fit.
_RIDGE, _STEPS = 0.02, 12
#: Standard deviations beyond the variances of the fit up to which a variance counts.
_MAX_BEYOND = 1.0
#: Limits of the logarithm of the argument of tanh.
_LINK_LIMITS = (-4.0, 1.2)


class RankModel:
    """Relation of the ranks of pairs to the variances of their rows.

    Parameters
    ----------
    sample : RowSample
        Centred rows.
    ranks : numpy.ndarray
        Ranks (k,) of their pairs.
    known : sequence of tuple of int
        Ranges of rows that do not match. No fit uses them. Default: ().

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> content = rng.normal(size=(640, 4)) @ rng.normal(size=(4, 64))
    >>> noise = np.where(np.arange(640) % 320 < 160, 1, 20)[:, None]
    >>> x, y = (content + noise * rng.normal(size=content.shape) for _ in range(2))
    >>> from isthmus.statistics.row_samples import local_ranks
    >>> sample = RowSample(x, y, np.arange(640))
    >>> levels, margin = RankModel(sample, local_ranks(sample)).fit(160, 320)
    >>> bool(levels[160:320].mean() < 0.5 < levels[:160].mean())
    True
    """

    def __init__(self, sample: RowSample, ranks: np.ndarray, /, known: Sequence[tuple[int, int]] = ()) -> None:
        self._sample, self._ranks, self._known = sample, ranks, known
        count, dim = sample.x.shape
        self._starts = np.arange(0, count - BLOCK_ROWS + 1, BLOCK_ROWS)
        # Wide rows of long samples are thinned out, which bounds the time.
        self._used = self._starts[:: max(-(-count * dim**2 // MAX_OPERATIONS), 1)]
        self._products = [cross_products(sample, self._used[half::2]) for half in (0, 1)]
        self._squares = [_averages(_squared_differences(table)) for table in (sample.x, sample.y)]

    def fit(self, start: int = 0, stop: int = 0, /) -> tuple[np.ndarray, float] | None:
        """Fit the relation to the rows outside a range.

        Parameters
        ----------
        start, stop : int
            First row of the range, and the row after the last one. Default: no row.

        Returns
        -------
        levels : numpy.ndarray
            Mean rank (k,) of rows with the variances of the rows around each of them, between 0 and 1.
        margin : float
            Standard error of the mean level in the range, plus the standard deviation of levels with equal variances.

        Both are missing, and the result is None, if there are too few rows outside the range.
        """
        reach = _AVERAGED_ROWS // 2
        positions = np.arange(0, len(self._ranks), _STEP_ROWS)
        for begin, end in [(start, stop), *self._known]:
            positions = positions[(positions < begin - reach) | (positions >= end + reach)]
        outside = positions  # of averages that hold no row of these ranges
        if len(outside) * _STEP_ROWS < MIN_OUTSIDE_ROWS:
            return None
        variances = np.log(np.column_stack([*self._squares, *self._shared_squares(start, stop)]) + 1e-12)
        variances = (variances - variances[outside].mean(axis=0)) / (variances[outside].std(axis=0) + 1e-6)
        fitted = variances[outside]
        variances = np.clip(variances, fitted.min(axis=0) - _MAX_BEYOND, fitted.max(axis=0) + _MAX_BEYOND)
        means, squares = _averages(np.column_stack([self._ranks, self._ranks**2]))[outside].T
        coefficients, covariance = _coefficients(fitted, means)
        levels, derivatives = _levels(variances, coefficients)
        # Averages near the ends of the range hold rows from outside.
        edge = reach if stop - start >= 4 * reach else 0
        gradient = derivatives[start + edge : stop - edge].mean(axis=0) if stop > start else np.zeros(len(covariance))
        sampling_variances = (squares - means**2) / (_AVERAGED_ROWS - 1)
        excess = float(np.mean((means - levels[outside]) ** 2 - sampling_variances))
        return levels, float(np.sqrt(gradient @ covariance @ gradient)) + math.sqrt(max(excess, 0.0))

    def _shared_squares(self, start: int, stop: int) -> list[np.ndarray]:
        """Return the squared differences of neighbouring rows in the directions that other rows share, for x and y.

        The directions of one half of the blocks are those of the other half.
        """
        products, rows = [], []
        for half in (0, 1):
            starts = self._used[half::2]
            is_inside = (starts + BLOCK_ROWS > start) & (starts < stop)
            total = self._products[half]
            products.append(total - cross_products(self._sample, starts[is_inside]) if is_inside.any() else total)
            rows.append((starts[~is_inside, None] + np.arange(BLOCK_ROWS)).ravel())
        squares = []
        for table, tables in ((self._sample.x, products), (self._sample.y, [table.T for table in products])):
            first, second = (_squared_differences(table @ _directions(shared)) for shared in tables)
            both = (first + second) / 2
            both[rows[0]], both[rows[1]] = second[rows[0]], first[rows[1]]
            squares.append(_averages(both))
        return squares


def _squared_differences(table: np.ndarray) -> np.ndarray:
    """Return half of the squared difference of each row to the rows next to it, which no change of class inflates."""
    squares = np.square(np.diff(table, axis=0)).sum(axis=1, dtype=np.float64) / 2
    return np.asarray(np.append(squares[:1], squares) + np.append(squares, squares[-1:]))[:, None] / 2


def _averages(values: np.ndarray) -> np.ndarray:
    """Return the means of the 32 rows around each row, (k, c)."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    rows = np.arange(len(values))
    first, last = np.maximum(rows - _AVERAGED_ROWS // 2, 0), np.minimum(rows + _AVERAGED_ROWS // 2, len(values))
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None])


def _directions(products: np.ndarray) -> np.ndarray:
    """Return the leading left singular vectors, times their singular values."""
    dim = len(products)
    vectors = np.random.default_rng(0).normal(size=(dim, min(_MAX_DIRECTIONS, dim))).astype(products.dtype)
    for _ in range(2):
        vectors = np.linalg.qr(products @ (products.T @ vectors))[0]
    return np.asarray(
        vectors * np.linalg.norm(products.T @ vectors, axis=0) / max(float(np.linalg.norm(products)), 1e-30)
    )


def _levels(variances: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return tanh(exp(b0 + v'b)) of each row, and its derivatives by the coefficients."""
    design = np.column_stack([np.ones(len(variances)), variances])
    argument = np.exp(np.clip(design @ coefficients, *_LINK_LIMITS))
    levels = np.tanh(argument)
    return levels, design * ((1 - levels**2) * argument)[:, None]


def _coefficients(variances: np.ndarray, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients with the least squared error of the ranks, shrunk towards 0, and their covariance."""
    count = variances.shape[1] + 1
    ridge = np.diag([1e-9, *np.full(count - 1, _RIDGE)])
    coefficients = np.zeros(count)
    coefficients[0] = np.log(np.arctanh(np.clip(ranks.mean(), 0.02, 0.98)))
    for _ in range(_STEPS):
        levels, derivatives = _levels(variances, coefficients)
        gradient = derivatives.T @ (ranks - levels) - ridge @ coefficients
        coefficients += np.clip(np.linalg.solve(derivatives.T @ derivatives + ridge, gradient), -1.0, 1.0)
    levels, derivatives = _levels(variances, coefficients)
    residual = float(np.mean((ranks - levels) ** 2))
    # Neighbouring averages share half of their rows.
    return coefficients, 2 * residual * np.linalg.inv(derivatives.T @ derivatives + ridge)
