"""DimensionRemoval: drop the coordinates that hold the gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.align._spectra import eigen
from isthmus.align._spread import require_direction
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class DimensionRemoval(Aligner):
    """Drop the `k` coordinates with the largest |mean y_k - mean x_k| from both modalities.

    It needs no pairs. Rows keep d - k coordinates. `fit_info_["gap_share"]` is the fraction of |g|^2 that is dropped.
    The first use of the maps raises `InputError` unless 1 <= k <= d - 2.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    k : int, default 8
        Number of coordinates that are dropped.
    rotated : bool, default False
        If True, drop instead the `k` eigenvectors of cov x + cov y with the largest fraction of the gap. They do not
        depend on the basis, whereas coordinates are an accident of training.

    References
    ----------
    Schrodi et al. 2025, arXiv 2404.07983.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.eye(4), np.eye(4)[[0, 1, 3, 3]]
    >>> DimensionRemoval(k=2).fit(X, Y).transform_x(X[:2]).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """

    k: int = 8
    rotated: bool = False

    source: ClassVar[str] = "Schrodi et al. 2025, arXiv 2404.07983"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the same selection of directions for both modalities, or raise `InputError`."""
        gap, dim = moments.mean_y - moments.mean_x, moments.dim_x
        if dim < 3:
            raise InputError(
                f"DimensionRemoval leaves two or more dimensions, and the rows have only {dim}; use Centering"
            )
        if not 1 <= self.k <= dim - 2:
            raise InputError(f"k={self.k} of {dim} dimensions cannot be dropped, expected 1 to {dim - 2}")
        require_direction(gap, moments, "the two means are equal, so no dimension holds a gap to drop; use Identity")
        basis = eigen(moments.cov_x + moments.cov_y)[1] if self.rotated else np.eye(dim)
        squares = (gap @ basis) ** 2
        order = np.argsort(-squares, kind="stable")
        self.fit_info_ = {"gap_share": float(squares[order[: self.k]].sum() / max(squares.sum(), 1e-300))}
        if not self.rotated:
            self.fit_info_["dropped"] = [int(c) for c in np.sort(order[: self.k])]
        projection = Affine(basis[:, np.sort(order[self.k :])])
        return projection, projection
