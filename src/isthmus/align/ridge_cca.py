"""RidgeCCA: regularised canonical correlation, weighted by the correlations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centred
from isthmus.align._spectra import canonical, canonical_turned
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class RidgeCCA(Aligner):
    """x -> (x - mean x) w_x U diag(rho^g), y -> (y - mean y) w_y Z diag(rho^g). Needs pairs.

    w_x = (S_x + lam m_x I)^(-1/2) with m_x = tr S_x / d, w_y likewise; U diag(rho) Z' is the singular value
    decomposition of w_x S_xy w_y. `lam` shrinks towards equal variances (0 is classical CCA, which fits noise below
    some ten pairs for each dimension), `g` weighs directions by their correlation, `k` keeps the first k of them, in
    order; without k sides of one width are turned back by U', which changes no score and keeps the rows' own basis. The
    sides may differ in width. `fit_info_["correlations"]` are the first ten.
    Errors: `InputError` for negative lam or g, or k outside 1 to min(d_x, d_y).
    Source: Vinod 1976; weights by powers of the correlations: Gong et al. 2014,
    arXiv 1212.4522.

    >>> import numpy as np
    >>> U = np.random.default_rng(0).normal(size=(200, 2))
    >>> X, Y = U @ np.array([[1.0, 0.5], [0.0, 2.0]]), U @ np.array([[0.0, 1.0, 1.0], [3.0, 1.0, 0.0]])
    >>> cca = RidgeCCA(lam=0.0, normalize=False).fit(X, Y)
    >>> [round(rho, 6) for rho in (cca.map_x_, cca.fit_info_)[1]["correlations"]]
    [1.0, 1.0]
    """

    lam: float = 1.0
    g: float = 2.0
    k: int | None = None

    requires_pairing: ClassVar[bool] = True
    uses_means: ClassVar[bool] = True
    allows_different_dims: ClassVar[bool] = True
    source: ClassVar[str] = "Vinod 1976; Gong et al. 2014, arXiv 1212.4522"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lam < 0 or self.g < 0 or (self.k is not None and self.k < 1):
            raise InputError(f"lam={self.lam}, g={self.g}, k={self.k}: expected at least 0, 0 and 1")

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        left, right, rho = canonical(moments, self.lam)
        if self.k is not None and self.k > len(rho):
            raise InputError(f"k={self.k} directions, but sides of these widths have {len(rho)}")
        self.fit_info_ = {"correlations": [float(r) for r in rho[:10]]}
        if self.k is None and moments.dim_x == moments.dim_y:
            turned = canonical_turned(moments, self.lam, self.g)
            return centred(moments.mean_x, turned[0]), centred(moments.mean_y, turned[1])
        weights = rho[: self.k] ** self.g
        return (
            centred(moments.mean_x, left[:, : self.k] * weights),
            centred(moments.mean_y, right[:, : self.k] * weights),
        )
