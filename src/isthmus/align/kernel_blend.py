"""KernelBlend: a convex combination of two kernels in one map of the rows' own width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centred
from isthmus.align._spectra import cached, canonical, shrunk, spectrum, whitening
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class KernelBlend(Aligner):
    """One affine map for each side whose scores x'y are (1 - w) partial whitening + w regularised CCA. Needs pairs.

    In whitened coordinates W_x x and W_y y (`alpha`, `lam` as in `PartialWhitening`) the two scores are bilinear forms:
    I / s and K / c, K = W_x^-1 C_x C_y' W_y^-1 with C the maps of `RidgeCCA` (`cca_lam`, `g`), s and c the geometric
    means of the two sides' traces of variance, so that both forms weigh the same. With the singular value decomposition
    (1 - w) I / s + w K / c = P S Q' the maps are P sqrt(S) P' W_x (x - mean x) and P sqrt(S) Q' W_y (y - mean y).
    Before the last division by norms x'y is exactly the blend; w = 0 is `PartialWhitening`, up to scale.
    The map is linear
    and keeps the width, unlike `Blend`. Errors: `InputError` for a weight outside [0, 1] or negative options.
    Source: this package.

    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 50, 4))
    >>> KernelBlend(weight=0.25).fit(X, Y).matrix_x.shape
    (4, 4)
    """

    weight: float = 0.25
    alpha: float = 0.5
    lam: float = 3.0
    cca_lam: float = 1.0
    g: float = 1.0

    requires_pairing: ClassVar[bool] = True
    uses_means: ClassVar[bool] = True
    source: ClassVar[str] = "this package"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.weight <= 1 or min(self.alpha, self.lam, self.cca_lam, self.g) < 0:
            raise InputError(
                f"weight={self.weight}, alpha={self.alpha}, lam={self.lam}, cca_lam={self.cca_lam}, g={self.g}: "
                "expected weight from 0 to 1 and the others at least 0"
            )

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        white = [whitening(moments, side, self.alpha, self.lam) for side in "xy"]
        key = ("kernels", self.alpha, self.lam, self.cca_lam, self.g)
        plain, paired = cached(moments, key, lambda: self._kernels(moments, white))
        form = self.weight * paired
        form[np.diag_indices(len(form))] += (1 - self.weight) * plain
        from_x, strength, from_y = np.linalg.svd(form)
        # Both sides are turned back by P: scores stay, and equal singular values leave nothing arbitrary.
        half = (from_x * np.sqrt(strength)) @ from_x.T
        other = (from_y.T * np.sqrt(strength)) @ from_x.T
        return centred(moments.mean_x, white[0] @ half), centred(moments.mean_y, white[1] @ other)

    def _kernels(self, moments: Moments, white: list[np.ndarray]) -> tuple[float, np.ndarray]:
        """1 / s and K / c, which no `weight` changes."""
        left, right, rho = canonical(moments, self.cca_lam)
        covs = moments.cov_x, moments.cov_y
        paired = [left * rho**self.g, right * rho**self.g]
        inside = [
            (vectors * shrunk(values, self.lam) ** self.alpha) @ (vectors.T @ directions)  # W^-1 C
            for (values, vectors), directions in zip((spectrum(moments, side) for side in "xy"), paired, strict=True)
        ]
        return 1 / _scale(white, covs), inside[0] @ inside[1].T / _scale(paired, covs)


def _scale(maps: list[np.ndarray], covs: tuple[np.ndarray, np.ndarray]) -> float:
    """Geometric mean over the sides of the total variance of the mapped rows."""
    traces = [float(np.einsum("ij,ij->", m, cov @ m)) for m, cov in zip(maps, covs, strict=True)]
    return max(float(np.sqrt(traces[0] * traces[1])), 1e-300)
