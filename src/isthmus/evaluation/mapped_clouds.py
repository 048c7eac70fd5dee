"""Geometry of the clouds after a map: gap, distance of the means, mean cosine and the largest one of any pairing."""

from __future__ import annotations

import numpy as np

from isthmus.compute.arrays import row_dot
from isthmus.data.cross_dim_pairs import with_rows
from isthmus.data.pairs import Pairs
from isthmus.linalg.psd import covariance_factor, factor_fidelity, row_fidelity
from isthmus.metrics._context import MetricContext
from isthmus.metrics.centroid import debiased_distance, gap_angle
from isthmus.statistics.moments import Moments
from isthmus.statistics.result import NAN, Estimate

#: Rows that are converted to float64 at once.
BLOCK_ROWS = 2048


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
            self.moments = Moments.of(with_rows(pairs, x, y), normalize=False, matmul_dtype="float64")
            has_few_rows = False
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
    sum_squares = xx is None, yy is None
    xx, yy = (np.zeros((d, d)) if squares is None else squares for squares in (xx, yy))
    along = np.zeros((2, 2))
    trace = cos_sq = 0.0
    cos_x, cos_y = np.zeros(d), np.zeros(d)
    for block in blocks:
        a, b = x[block].astype(np.float64), y[block].astype(np.float64)
        p = row_dot(a, b)
        if sum_squares[0]:
            xx += a.T @ a
        if sum_squares[1]:
            yy += b.T @ b
        along += (a @ basis).T @ (b @ basis)
        trace += float(p.sum())
        cos_sq += float(p @ p)
        cos_x += p @ a
        cos_y += p @ b
    xy = basis @ along @ basis.T
    if d > 2:
        xy += (trace - np.trace(along)) / (d - 2) * (np.eye(d) - basis @ basis.T)
    return Moments(
        n=n, sum_x=sum_x, sum_y=sum_y, xx=xx, yy=yy, xy=xy, cos_sq=cos_sq, cos_x=cos_x, cos_y=cos_y,
        item_moments=None, matmul_dtype="float64", normalize=False,
    )  # fmt: skip
