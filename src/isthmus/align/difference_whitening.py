"""DifferenceWhitening: damp the directions in which matching rows differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centering_map
from isthmus.align._spectra import difference_spectrum, inverse_power, whitening
from isthmus.align._statistics import Statistics
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class DifferenceWhitening(Aligner):
    """Whiten each modality partially, then damp in both the directions in which matching rows differ.

    It needs pairs. A larger `alpha` improves mixed search and lowers cross-modal recall.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    alpha : float, default 0.25
        Power of the damping, at least 0.
    lam : float, default 3.0
        Shrinkage of the spectrum of the differences towards a flat one, at least 0.
    before_alpha : float, default 0.25
        `alpha` of the partial whitening of each modality, at least 0. 0 leaves it out.
    before_lam : float, default 3.0
        `lam` of the partial whitening of each modality, at least 0.

    Notes
    -----
    The maps are `x -> (x - mean x) W_x D` and `y -> (y - mean y) W_y D`. W is the map of `PartialWhitening`, and
    `D = V (e + lam mean(e))^-alpha V'`. Here e and V are the eigenvalues and eigenvectors of the covariance of
    `x W_x - y W_y` over the pairs.

    References
    ----------
    Within-class covariance normalisation with a pair as the class: Hatch, Kajarekar and Stolcke 2006 (alpha = .5).

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> U, noise = rng.normal(size=(2, 500, 3))
    >>> noise = noise * [0.1, 0.1, 3.0]  # matching rows agree in the first two coordinates
    >>> M = DifferenceWhitening(alpha=0.5, lam=0.0, before_alpha=0.0, normalize=False).fit(U, U + noise).matrix_x
    >>> bool(M[2, 2] < 0.1 * M[0, 0])
    True
    """

    alpha: float = 0.25
    lam: float = 3.0
    before_alpha: float = 0.25
    before_lam: float = 3.0

    requires_pairing: ClassVar[bool] = True
    uses_means: ClassVar[bool] = True
    source: ClassVar[str] = "Hatch, Kajarekar and Stolcke 2006"

    def check_options(self) -> None:
        """Raise `InputError` if an option is negative."""
        if min(self.alpha, self.lam, self.before_alpha, self.before_lam) < 0:
            raise InputError(
                f"alpha={self.alpha}, lam={self.lam}, before_alpha={self.before_alpha}, before_lam={self.before_lam}: "
                "expected at least 0"
            )

    def _whitenings(self, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
        return (
            whitening(moments, "x", self.before_alpha, self.before_lam),
            whitening(moments, "y", self.before_alpha, self.before_lam),
        )

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the product of whitening and damping for each modality."""
        white_x, white_y = self._whitenings(moments)
        values, vectors = difference_spectrum(moments, self.before_alpha, self.before_lam)
        damping = inverse_power(values, vectors, self.alpha, self.lam)
        return centering_map(moments.mean_x, white_x @ damping), centering_map(moments.mean_y, white_y @ damping)

    def adapt_maps(self, statistics: Statistics) -> tuple[Affine, Affine]:
        """Replace the means and the whitening of each modality. The damping, which needs pairs, stays."""
        white_x, white_y = self._whitenings(self.statistics_.moments(normalize=self.normalize))
        new_white_x, new_white_y = self._whitenings(statistics.moments(normalize=self.normalize))
        damping_x, damping_y = np.linalg.solve(white_x, self.matrix_x), np.linalg.solve(white_y, self.matrix_y)
        return (
            centering_map(statistics.mean_x, new_white_x @ damping_x),
            centering_map(statistics.mean_y, new_white_y @ damping_y),
        )
