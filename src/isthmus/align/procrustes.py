"""Procrustes: rotate x so that matching rows come closest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centering_map
from isthmus.align._warnings import warn_few_pairs
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class Procrustes(Aligner):
    """Multiply x by the orthogonal matrix Q that minimises sum |x Q - y|^2 over the pairs.

    It needs pairs. Rows of y stay, apart from the centring. If the dimensions differ, the smaller one is padded with
    zeros. Q has d (d - 1) / 2 free numbers. With fewer than ten pairs per dimension it fits noise. It then looks nearly
    perfect on the fitted pairs, and worse than no map on others. `fit` warns of this.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    center : bool, default True
        Whether the mean of each modality is subtracted first.

    Notes
    -----
    Q = U V' with the singular value decomposition U S V' of X'Y.

    References
    ----------
    Schoenemann 1966. Maystre et al. 2025, arXiv 2510.13406.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])
    >>> bool(np.allclose(Procrustes().fit(X, X @ quarter).matrix_x, quarter))
    True
    """

    center: bool = True

    requires_pairing: ClassVar[bool] = True
    allows_different_dims: ClassVar[bool] = True
    source: ClassVar[str] = "Schoenemann 1966; Maystre et al. 2025, arXiv 2510.13406"

    @property
    def uses_means(self) -> bool:  # type: ignore[override]
        """Return whether means are subtracted, which is the option `center`."""
        return self.center

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the rotation for x and the padding for y."""
        d_x, d_y = moments.dim_x, moments.dim_y
        dim = max(d_x, d_y)
        warn_few_pairs(type(self).__name__, moments, dim)
        cross = moments.cov_xy if self.center else moments.xy / moments.n
        padded = np.zeros((dim, dim))
        padded[:d_x, :d_y] = cross
        left_vectors, _, right_vectors = np.linalg.svd(padded)
        rotation = (left_vectors @ right_vectors)[:d_x]
        padding = None if d_y == dim else np.eye(d_y, dim)
        if not self.center:
            return Affine(rotation), Affine(padding)
        return centering_map(moments.mean_x, rotation), centering_map(moments.mean_y, padding)
