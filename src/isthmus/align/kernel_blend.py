"""KernelBlend: blend two score functions in one affine map that keeps the dimension of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.align._blend_options import _BlendOptions
from isthmus.align._maps import Affine, centering_map
from isthmus.align._spectra import (
    cached,
    canonical_directions,
    canonical_form,
    shrunk_eigenvalues,
    spectrum,
    weighted_projection,
    whitened_variances,
    whitening,
)
from isthmus.align._spread import require_spread
from isthmus.linalg import remembered
from isthmus.statistics.moments import Moments

#: Smallest eigenvalue of F F' relative to the largest, from which the roots of the form F are taken from them.
MIN_SQUARE = 1e-6


@dataclass(kw_only=True, eq=False)
class KernelBlend(_BlendOptions):
    """Map each modality so that scores x'y are (1 - w) partial whitening + w regularised CCA.

    It needs pairs. The map is affine and keeps the dimension, unlike `Blend`.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    weight : float, default 0.25
        Weight w of the CCA score, in [0, 1]. 0 is `PartialWhitening` up to scale.
    alpha : float, default 0.5
        `alpha` of `PartialWhitening`, at least 0.
    lam : float, default 3.0
        `lam` of `PartialWhitening`, at least 0.
    cca_lam : float, default 1.0
        `lam` of `RidgeCCA`, at least 0.
    g : float, default 1.0
        `g` of `RidgeCCA`, at least 0.

    Notes
    -----
    In whitened coordinates `W_x x` and `W_y y` both scores are bilinear forms, `I / s` and `K / c`. Here
    `K = W_x^-1 C_x C_y' W_y^-1` with the maps C of `RidgeCCA`. The scales s and c are the geometric means of the total
    variances of both modalities, so that the forms are comparable. With the singular value decomposition
    `(1 - w) I / s + w K / c = P S Q'`, the maps are `x -> P sqrt(S) P' W_x (x - mean x)` and
    `y -> P sqrt(S) Q' W_y (y - mean y)`. Before the last division by norms, x'y is exactly the blend.

    References
    ----------
    This package.

    Examples
    --------
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

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the maps of the blended bilinear form."""
        require_spread(self, moments, "KernelBlend needs directions in which they differ")
        white = [whitening(moments, modality, self.alpha, self.lam) for modality in "xy"]
        cache_key = ("kernels", self.alpha, self.lam, self.cca_lam, self.g)
        identity_scale, cca_form = cached(moments, cache_key, lambda: self._forms(moments))
        form = self.weight * cca_form
        form[np.diag_indices(len(form))] += (1 - self.weight) * identity_scale
        # Both modalities are rotated back by P. Scores stay, and equal singular values leave no arbitrary basis.
        squares, vectors = remembered.eigh(form @ form.T)
        if squares[0] > MIN_SQUARE * squares[-1]:
            factor_x = weighted_projection(vectors, squares**0.25)
            factor_y = form.T @ weighted_projection(vectors, squares**-0.25)
        else:
            left_vectors, strengths, right_vectors = remembered.svd(form)
            factor_x = weighted_projection(left_vectors, np.sqrt(strengths))
            factor_y = (right_vectors.T * np.sqrt(strengths)) @ left_vectors.T
        return centering_map(moments.mean_x, white[0] @ factor_x), centering_map(moments.mean_y, white[1] @ factor_y)

    def _forms(self, moments: Moments) -> tuple[float, np.ndarray]:
        """Return 1 / s and K / c, which do not depend on `weight`."""
        spectra = [spectrum(moments, modality) for modality in "xy"]
        white = [float(whitened_variances(values, self.alpha, self.lam).sum()) for values, _ in spectra]
        shrunk = [
            (shrunk_eigenvalues(values, self.lam), shrunk_eigenvalues(values, self.cca_lam)) for values, _ in spectra
        ]
        if self.g >= 1:
            cross, rho, left_vectors = canonical_form(moments, self.cca_lam)
            # Left and right singular vectors, weighted by rho^g, in the bases of both spectra.
            directions = [
                (spectra[0][1].T @ left_vectors) * rho**self.g,
                (spectra[1][1].T @ cross.T) @ left_vectors * rho ** (self.g - 1),
            ]
        else:
            canonical = canonical_directions(moments, self.cca_lam)
            directions = [
                (vectors.T @ table) * np.sqrt(after)[:, None] * canonical[2] ** self.g
                for (_, vectors), table, (_, after) in zip(spectra, canonical, shrunk, strict=False)
            ]
        mapped, unwhitened = [], []
        for (values, vectors), (before, after), table in zip(spectra, shrunk, directions, strict=True):
            mapped.append(float(np.einsum("i,ij,ij->", values / after, table, table)))
            unwhitened.append(vectors @ (table * (before**self.alpha / np.sqrt(after))[:, None]))  # W^-1 C
        return 1 / _scale(white), unwhitened[0] @ unwhitened[1].T / _scale(mapped)


def _scale(variances: list[float]) -> float:
    """Return the geometric mean of the total variances of both modalities."""
    return max(float(np.sqrt(variances[0] * variances[1])), 1e-300)
