"""Procrustes: the rotation of x that brings partners nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centred
from isthmus.align._warnings import warn_few_pairs
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class Procrustes(Aligner):
    """x -> x Q with the orthogonal Q that minimises sum |x Q - y|^2; y stays. Needs pairs.

    Q = U V' from the singular value decomposition of X'Y. `center=True` (default) subtracts each side's mean from
    both first. Sides of different widths are padded with zeros to the wider one. Q has d(d-1)/2 free numbers: with
    fewer than ten pairs for each dimension it fits noise, looks near perfect on the pairs that it was fitted on and
    is worse than nothing on others, so it warns. Source: Schoenemann 1966; Maystre et al. 2025, arXiv 2510.13406.

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
        """Whether means are subtracted: `center`."""
        return self.center

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        d_x, d_y = moments.dim_x, moments.dim_y
        width = max(d_x, d_y)
        warn_few_pairs(self, moments, width)
        cross = moments.cov_xy if self.center else moments.xy / moments.n
        padded = np.zeros((width, width))
        padded[:d_x, :d_y] = cross
        left, _, right = np.linalg.svd(padded)
        turn = (left @ right)[:d_x]
        pad = None if d_y == width else np.eye(d_y, width)
        if not self.center:
            return Affine(turn), Affine(pad)
        return centred(moments.mean_x, turn), centred(moments.mean_y, pad)
