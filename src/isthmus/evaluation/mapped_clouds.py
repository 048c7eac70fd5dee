"""Geometry of the clouds after a map: gap, distance of the means, mean cosine and the largest one of any pairing."""

from __future__ import annotations

import numpy as np

from isthmus.compute.arrays import row_dot
from isthmus.data.cross_dim_pairs import with_rows
from isthmus.data.pairs import Pairs
from isthmus.linalg.psd import covariance_fidelity, row_fidelity
from isthmus.metrics._context import MetricContext
from isthmus.metrics.centroid import gap_angle
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
    """

    def __init__(self, pairs: Pairs, x: np.ndarray, y: np.ndarray):
        self.pairs = pairs
        is_one_to_one = pairs.index is None and pairs.y_groups is None
        if is_one_to_one:
            self.moments = moments_along_means(x, y)
        else:
            self.moments = Moments.of(with_rows(pairs, x, y), normalize=False, matmul_dtype="float64")
        if is_one_to_one and len(x) < x.shape[1]:
            best = row_fidelity(x, y)
        else:
            best = covariance_fidelity(self.moments.cov_x, self.moments.cov_y)
        #: No pairing has a higher mean cosine.
        self.ceiling = float(self.moments.mean_x @ self.moments.mean_y) + best

    def gap(self, *, inflation: float) -> Estimate:
        """Return the angle between the means. See `isthmus.metrics.centroid.gap_angle` for the inflation."""
        context = MetricContext(self.moments, names=self.pairs.names)
        return gap_angle(context, inflation=inflation, with_null=False)

    def scores(self) -> dict[str, float]:
        """Return the distance of the means, the mean cosine of the pairs, and the largest one of any pairing."""
        moments = self.moments
        return {
            "gap_distance": float(np.linalg.norm(moments.mean_x - moments.mean_y)),
            "paired_cosine": moments.mean_paired,
            "ceiling": self.ceiling,
            "ceiling_reached": moments.mean_paired / self.ceiling if self.ceiling > 0 else NAN,
        }


def moments_along_means(x: np.ndarray, y: np.ndarray, /) -> Moments:
    """Return moments of one-to-one pairs, with the cross moments along the two means only.

    The angle between the means and its error need no more of the cross moments than their trace and their values along
    the means. The product x'y of all dimensions would cost half of the pass.

    Parameters
    ----------
    x, y : (n, d) arrays with d of at least 2
        Rows, as they are.

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
    xx, yy, along = np.zeros((d, d)), np.zeros((d, d)), np.zeros((2, 2))
    trace = cos_sq = 0.0
    cos_x, cos_y = np.zeros(d), np.zeros(d)
    for block in blocks:
        a, b = x[block].astype(np.float64), y[block].astype(np.float64)
        p = row_dot(a, b)
        xx += a.T @ a
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
