"""SharedSignal: weight each direction by how much of it matching rows share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centering_map
from isthmus.align._spectra import ROUNDING, difference_spectrum, eigen, weighted_projection, whitened_cross, whitening
from isthmus.align._spread import require_spread
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError

#: Smallest noise variance, as a fraction of the largest one.
MIN_NOISE = 1e-12


@dataclass(kw_only=True, eq=False)
class SharedSignal(Aligner):
    """Weight directions by the shared signal in the two-covariance model x = s + noise, y = s + noise.

    It needs pairs. Both modalities get one common map after partial whitening. `fit_info_["shared"]` counts the
    directions whose signal exceeds half of the noise. The first use of the maps raises `InputError` if nothing is
    shared.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    shrink : float, default 3.0
        Multiple of the mean eigenvalue that is added to the noise, at least 0.
    floor : float, default 1.0
        Multiple of the mean signal that every direction gets, at least 0. It keeps directions whose shared part is too
        small to be measured with few pairs. With 0 the score of a pair is the likelihood ratio of 'one item' and 'two
        items' for rows of equal norm.
    before_alpha : float, default 0.5
        `alpha` of the partial whitening of each modality, at least 0.
    before_lam : float, default 3.0
        `lam` of the partial whitening of each modality, at least 0.

    Notes
    -----
    Rows are centred and mapped by the map W of `PartialWhitening`. N is half the covariance of `x W_x - y W_y` plus
    `shrink` times half its mean eigenvalue, and B is the symmetric part of the cross-covariance. In the basis in which
    N is the identity, B is diagonal. Its negative entries are set to 0, and a direction with entry b gets the weight
    `sqrt((b + floor mean b) / (1 + 2 b))`.

    References
    ----------
    Probabilistic linear discriminant analysis with a pair as the class: Prince and Elder 2007. Ioffe 2006.

    Examples
    --------
    >>> import numpy as np
    >>> U, noise = np.random.default_rng(0).normal(size=(2, 500, 3))
    >>> U, noise = U * [1.0, 1.0, 0.0], noise * [0.1, 0.1, 1.0]  # nothing is shared in the third coordinate
    >>> aligner = SharedSignal(before_alpha=0.0, floor=0.0, normalize=False).fit(U, U + noise)
    >>> bool(np.linalg.norm(aligner.matrix_x[2]) < 0.2 * np.linalg.norm(aligner.matrix_x[0]))
    True
    """

    shrink: float = 3.0
    floor: float = 1.0
    before_alpha: float = 0.5
    before_lam: float = 3.0

    requires_pairing: ClassVar[bool] = True
    uses_means: ClassVar[bool] = True
    source: ClassVar[str] = "Prince and Elder 2007"

    def check_options(self) -> None:
        """Raise `InputError` if an option is negative."""
        if min(self.shrink, self.floor, self.before_alpha, self.before_lam) < 0:
            raise InputError(
                f"shrink={self.shrink}, floor={self.floor}, before_alpha={self.before_alpha}, "
                f"before_lam={self.before_lam}: expected at least 0"
            )

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the product of whitening and weighting for each modality, or raise `InputError`."""
        require_spread(self, moments, "SharedSignal needs directions in which both vary")
        white_x = whitening(moments, "x", self.before_alpha, self.before_lam)
        white_y = whitening(moments, "y", self.before_alpha, self.before_lam)
        values, vectors = difference_spectrum(moments, self.before_alpha, self.before_lam)
        cross = whitened_cross(moments, self.before_alpha, self.before_lam)
        least_noise = MIN_NOISE * max(float(values.max()), float(np.abs(cross).max()), 1e-300)
        noise = np.maximum(values / 2 + self.shrink * float(values.mean()) / 2, least_noise)
        noise_whitening = weighted_projection(vectors, noise**-0.5)
        products = noise_whitening @ ((cross + cross.T) / 2) @ noise_whitening
        signal, basis = eigen(products)
        if not signal.max() > ROUNDING * np.abs(products).max():
            raise InputError(
                "matching rows vary together in no direction, so there is no shared signal to weigh; use Centering or "
                "PartialWhitening"
            )
        weights = np.sqrt((signal + self.floor * float(signal.mean())) / (1 + 2 * signal))
        # Rotated back by the basis, so that the result does not depend on the basis of equal weights.
        weighting = noise_whitening @ weighted_projection(basis, weights)
        self.fit_info_ = {"shared": int(np.sum(signal > 0.5))}
        return centering_map(moments.mean_x, white_x @ weighting), centering_map(moments.mean_y, white_y @ weighting)
