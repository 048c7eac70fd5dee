"""Geometry of the clouds after a map: gap, distance of the means, mean cosine and the largest one of any pairing."""

from __future__ import annotations

import numpy as np

from isthmus.compute.arrays import row_dot
from isthmus.compute.rows import run_sums
from isthmus.data.cross_dim_pairs import with_rows
from isthmus.data.pairs import Pairs
from isthmus.linalg.psd import covariance_factor, factor_fidelity, row_fidelity
from isthmus.metrics._context import MetricContext
from isthmus.metrics.centroid import debiased_distance, gap_angle
from isthmus.statistics.item_moments import ItemMoments
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import NAN, Estimate

#: Rows that are converted to float64 at once.
BLOCK_ROWS = 1024


class MappedClouds:
    """The clouds of the test pairs after a map.

    Parameters
    ----------
    pairs : Pairs
        Test pairs, which tell the rows that match.
    x, y : (n, d) and (m, d) arrays
        Mapped rows.
    plain : MappedClouds, optional
        Clouds of the same pairs. A modality whose rows are the same array is not summed and factorised again.
    """

    def __init__(self, pairs: Pairs, x: np.ndarray, y: np.ndarray, *, plain: MappedClouds | None = None):
        self.pairs, self.rows = pairs, (x, y)
        plain_x = plain if plain is not None and plain.rows[0] is x else None
        plain_y = plain if plain is not None and plain.rows[1] is y else None
        if pairs.index is None and pairs.y_groups is None:
            xx = None if plain_x is None else plain_x.moments.xx
            yy = None if plain_y is None else plain_y.moments.yy
            self.moments: Moments = moments_along_means(x, y, xx=xx, yy=yy)
            has_few_rows = len(x) < x.shape[1]
        else:
            has_few_rows = False
            if pairs.dependence is not None:
                self.moments = Moments.of(with_rows(pairs, x, y), normalize=False, matmul_dtype="float64")
            else:
                self.moments = grouped_moments_along_means(
                    pairs,
                    x,
                    y,
                    **{name: clouds.moments for name, clouds in (("of_x", plain_x), ("of_y", plain_y)) if clouds},
                )
        #: Factors of both covariances, or none if the rows themselves are the smaller factors.
        self.factors: list[np.ndarray] = []
        if has_few_rows:
            best = row_fidelity(x, y)
        else:
            covs = self.moments.cov_x, self.moments.cov_y
            for number, (clouds, cov) in enumerate(zip((plain_x, plain_y), covs, strict=True)):
                self.factors.append(clouds.factors[number] if clouds and clouds.factors else covariance_factor(cov))
            best = factor_fidelity(*self.factors)
        #: No pairing has a higher mean cosine.
        self.ceiling = float(self.moments.mean_x @ self.moments.mean_y) + best

    def gap(self, *, inflation: float) -> Estimate:
        """Return the angle between the means. See `isthmus.metrics.centroid.gap_angle` for the inflation."""
        context = MetricContext(self.moments, names=self.pairs.names)
        return gap_angle(context, inflation=inflation, with_null=False)

    def scores(self) -> dict[str, float]:
        """Return the distance of the means without sampling noise, the mean cosine of pairs, and its largest value."""
        moments = self.moments
        return {
            "gap_distance": debiased_distance(moments),
            "paired_cosine": moments.mean_paired,
            "ceiling": self.ceiling,
            "ceiling_reached": moments.mean_paired / self.ceiling if self.ceiling > 0 else NAN,
        }


def moments_along_means(
    x: np.ndarray, y: np.ndarray, /, *, xx: np.ndarray | None = None, yy: np.ndarray | None = None
) -> Moments:
    """Return moments of one-to-one pairs, with the cross moments along the two means only.

    The angle between the means and its error need no more of the cross moments than their trace and their values along
    the means. The product x'y of all dimensions would cost half of the pass. The interval of an angle that may be zero
    is approximate, because it spreads the other cross moments evenly.

    Parameters
    ----------
    x, y : (n, d) arrays with d of at least 2
        Rows, as they are.
    xx, yy : (d, d) array, optional
        X'X and Y'Y where they are known.

    Returns
    -------
    Moments
        Moments whose `xy` has the right trace, and the right products with vectors in the span of the means.

    Examples
    --------
    >>> rows = np.array([[0.6, 0.8, 0.0], [1.0, 0.0, 0.0]])
    >>> moments, full = moments_along_means(rows, rows[::-1]), Moments.of(rows, rows[::-1], normalize=False)
    >>> bool(np.allclose(moments.mean_x @ moments.xy @ moments.mean_y, full.mean_x @ full.xy @ full.mean_y))
    True
    """
    n, d = x.shape
    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, n, BLOCK_ROWS)]
    sum_x, sum_y = (rows.sum(axis=0, dtype=np.float64) for rows in (x, y))
    basis = np.linalg.qr(np.column_stack([sum_x, sum_y]))[0]
    squares_x, squares_y = xx, yy
    along = np.zeros((2, 2))
    trace = cos_sq = 0.0
    cos_x, cos_y = np.zeros(d), np.zeros(d)
    for block in blocks:
        a, b = x[block].astype(np.float64), y[block].astype(np.float64)
        p = row_dot(a, b)
        if xx is None:
            squares_x = _added(squares_x, a.T @ a)
        if yy is None:
            squares_y = _added(squares_y, b.T @ b)
        along += (a @ basis).T @ (b @ basis)
        trace += float(p.sum())
        cos_sq += float(p @ p)
        cos_x += p @ a
        cos_y += p @ b
    assert squares_x is not None  # there is at least one block
    assert squares_y is not None
    xy = _with_trace(basis, along, trace)
    return Moments(
        n=n, sum_x=sum_x, sum_y=sum_y, xx=squares_x, yy=squares_y, xy=xy, cos_sq=cos_sq, cos_x=cos_x, cos_y=cos_y,
        item_moments=None, matmul_dtype="float64", normalize=False,
    )  # fmt: skip


def _added(total: np.ndarray | None, product: np.ndarray) -> np.ndarray:
    """Return the sum, in the memory of the total. The first product is the total: new memory takes long."""
    return product if total is None else np.add(total, product, out=total)


def _with_trace(basis: np.ndarray, along: np.ndarray, trace: float) -> np.ndarray:
    """Return the matrix (d, d) with these products along a basis (d, 2), and the rest of its trace spread evenly."""
    d = len(basis)
    others = (trace - float(np.trace(along))) / (d - 2) if d > 2 else 0.0
    matrix: np.ndarray = basis @ (along - others * np.eye(2)) @ basis.T
    matrix[np.diag_indices(d)] += others
    return matrix


def grouped_moments_along_means(
    pairs: Pairs, x: np.ndarray, y: np.ndarray, /, *, of_x: Moments | None = None, of_y: Moments | None = None
) -> Moments:
    """Return moments as `moments_along_means` does, for pairs whose rows have several matches.

    A row that is part of several pairs is multiplied once.

    Parameters
    ----------
    pairs : Pairs
        Pairs, which tell the rows that match.
    x, y : (n, d) and (m, d) arrays with d of at least 2
        Rows, as they are.
    of_x, of_y : Moments, optional
        Moments of the same pairs with the same rows of x, or of y.

    Returns
    -------
    Moments
        Moments by pair and by component.

    Examples
    --------
    >>> from isthmus import Pairs
    >>> rows, index = np.array([[0.6, 0.8, 0.0], [1.0, 0.0, 0.0]]), [0, 1, 1]
    >>> pairs = Pairs(image=rows, text=rows[index], index=index)
    >>> moments, full = grouped_moments_along_means(pairs, rows, rows[index]), Moments.of(pairs)
    >>> bool(np.allclose(moments.xx, full.xx)), bool(np.isclose(np.trace(moments.xy), np.trace(full.xy)))
    (True, True)
    """
    owner, d = pairs.owner, x.shape[1]
    rows_y, column = np.arange(len(y)), np.arange(len(y))
    if pairs.y_groups is not None:
        rows_y, column = np.unique(pairs.y_groups, return_index=True, return_inverse=True)[1:]
    weights_x, weights_y = np.bincount(owner, minlength=len(x)), np.bincount(column)
    distinct_y = y[rows_y]
    sum_x, sum_y = _weighted_sum(x, weights_x), _weighted_sum(distinct_y, weights_y)
    basis = np.linalg.qr(np.column_stack([sum_x, sum_y]))[0]
    xx_items = np.zeros((d, d)) if of_x is None else of_x.by_item.xx
    yy_items = np.zeros((d, d)) if of_y is None else of_y.by_item.yy
    component = pairs.components[owner]
    order = np.argsort(component, kind="stable")
    ordered = component[order]
    firsts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(firsts, append=len(order)).astype(np.float64)
    # Blocks hold whole components.
    starts = firsts[np.unique(np.searchsorted(firsts, np.arange(0, len(order), BLOCK_ROWS)).clip(max=len(firsts) - 1))]
    totals = dict.fromkeys(("trace", "cos_sq", "item_trace", "item_cos_sq", "count_cos"), 0.0)
    along, item_along = np.zeros((2, 2, 2))
    cos_x, cos_y, item_cos_x, item_cos_y, count_x, count_y = np.zeros((6, d))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        rows = order[start:stop]
        a, b = x[owner[rows]].astype(np.float64), y[rows].astype(np.float64)
        begin, end = np.searchsorted(firsts, (start, stop))
        begins, count = firsts[begin:end] - start, counts[begin:end]
        p = row_dot(a, b)
        a_item, b_item, p_item = (run_sums(values, begins) for values in (a, b, p))
        along += (a @ basis).T @ (b @ basis)
        item_along += (a_item @ basis).T @ (b_item @ basis)
        totals["trace"] += float(p.sum())
        totals["cos_sq"] += float(p @ p)
        totals["item_trace"] += float(row_dot(a_item, b_item).sum())
        totals["item_cos_sq"] += float(p_item @ p_item)
        totals["count_cos"] += float(count @ p_item)
        for total, weight, values in (
            (cos_x, p, a), (cos_y, p, b), (item_cos_x, p_item, a_item), (item_cos_y, p_item, b_item),
            (count_x, count, a_item), (count_y, count, b_item),
        ):  # fmt: skip
            np.add(total, weight @ values, out=total)
        if of_x is None:
            xx_items += a_item.T @ a_item
        if of_y is None:
            yy_items += b_item.T @ b_item
    by_item = ItemMoments(
        n_items=len(counts), count_sq=float(counts @ counts), count_x=count_x, count_y=count_y,
        count_cos=totals["count_cos"], xx=xx_items, yy=yy_items,
        xy=_with_trace(basis, item_along, totals["item_trace"]),
        cos_sq=totals["item_cos_sq"], cos_x=item_cos_x, cos_y=item_cos_y,
    )  # fmt: skip
    return Moments(
        n=len(y), sum_x=sum_x, sum_y=sum_y,
        xx=_weighted_squares(x, weights_x) if of_x is None else of_x.xx,
        yy=_weighted_squares(distinct_y, weights_y) if of_y is None else of_y.yy,
        xy=_with_trace(basis, along, totals["trace"]), cos_sq=totals["cos_sq"], cos_x=cos_x, cos_y=cos_y,
        item_moments=by_item, matmul_dtype="float64", normalize=False,
    )  # fmt: skip


def _weighted_sum(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of w r over rows r (n, d) with weights w (n,)."""
    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, len(rows), BLOCK_ROWS)]
    total: np.ndarray = np.sum([weights[block] @ rows[block].astype(np.float64) for block in blocks], axis=0)
    return total


def _weighted_squares(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the sum of w r r' over rows r (n, d) with weights w (n,)."""
    squares = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS] * np.sqrt(weights[start : start + BLOCK_ROWS, None])
        squares += block.T @ block
    return squares
