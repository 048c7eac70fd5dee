"""RidgeCCA: regularised canonical correlation analysis, weighted by the correlations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centering_map
from isthmus.align._spectra import canonical_directions, canonical_form, canonical_maps
from isthmus.align._spread import require_spread
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class RidgeCCA(Aligner):
    """Project on regularised canonical directions, weighted by powers of their correlations.

    It needs pairs. Rows of x and y may have different dimensions. `fit_info_["correlations"]` holds the first ten
    canonical correlations. The first use of the maps raises `InputError` if `k` exceeds min(d_x, d_y).

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    lam : float, default 1.0
        Ridge relative to the mean variance of a coordinate, at least 0. 0 is classical CCA, which fits noise below
        about ten pairs per dimension.
    g : float, default 2.0
        Power of the correlations that weights the directions, at least 0.
    k : int, optional
        Number of directions that are kept, in descending order of their correlation. With None and equal dimensions,
        the result is rotated back to the basis of the rows, which changes no score.

    Notes
    -----
    The maps are `x -> (x - mean x) w_x U diag(rho^g)` and `y -> (y - mean y) w_y Z diag(rho^g)`. Here
    `w_x = (S_x + lam m_x I)^(-1/2)` with `m_x = tr S_x / d_x`, and w_y likewise. `U diag(rho) Z'` is the singular value
    decomposition of `w_x S_xy w_y`.

    References
    ----------
    Vinod 1976. Weights by powers of the correlations: Gong et al. 2014, arXiv 1212.4522.

    Examples
    --------
    >>> import numpy as np
    >>> U = np.random.default_rng(0).normal(size=(200, 2))
    >>> X, Y = U @ np.array([[1.0, 0.5], [0.0, 2.0]]), U @ np.array([[0.0, 1.0, 1.0], [3.0, 1.0, 0.0]])
    >>> cca = RidgeCCA(lam=0.0, normalize=False).fit(X, Y)
    >>> [round(rho, 6) for rho in cca.fit_info_["correlations"]]
    [1.0, 1.0]
    """

    lam: float = 1.0
    g: float = 2.0
    k: int | None = None

    requires_pairing: ClassVar[bool] = True
    uses_means: ClassVar[bool] = True
    allows_different_dims: ClassVar[bool] = True
    source: ClassVar[str] = "Vinod 1976; Gong et al. 2014, arXiv 1212.4522"

    def check_options(self) -> None:
        """Raise `InputError` if `lam` or `g` is negative, or `k` is below 1."""
        if self.lam < 0 or self.g < 0 or (self.k is not None and self.k < 1):
            raise InputError(f"lam={self.lam}, g={self.g}, k={self.k}: expected at least 0, 0 and 1")

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the weighted canonical directions of each modality, or raise `InputError`."""
        require_spread(self, moments, "RidgeCCA needs directions in which both vary")
        if self.k is None and moments.dim_x == moments.dim_y and self.g >= 1:
            rho = canonical_form(moments, self.lam)[1][::-1]
            matrix_x, matrix_y = canonical_maps(moments, self.lam, self.g)
        else:
            directions_x, directions_y, rho = canonical_directions(moments, self.lam)
            if self.k is not None and self.k > len(rho):
                raise InputError(f"k={self.k}, expected at most {len(rho)}, the number of canonical directions")
            if self.k is None and moments.dim_x == moments.dim_y:
                matrix_x, matrix_y = canonical_maps(moments, self.lam, self.g)
            else:
                weights = rho[: self.k] ** self.g
                matrix_x, matrix_y = directions_x[:, : self.k] * weights, directions_y[:, : self.k] * weights
        self.fit_info_ = {"correlations": [float(r) for r in rho[:10]]}
        return centering_map(moments.mean_x, matrix_x), centering_map(moments.mean_y, matrix_y)
