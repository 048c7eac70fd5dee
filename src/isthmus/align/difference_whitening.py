"""DifferenceWhitening: damp the directions in which partners disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, Map, centred
from isthmus.align._spectra import cached, damping, difference, eigen, whitening
from isthmus.align._statistics import Statistics
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class DifferenceWhitening(Aligner):
    """Partial whitening of each side, then one common damping of the directions in which partners differ.

    x -> (x - mean x) W_x D, y -> (y - mean y) W_y D with W the map of `PartialWhitening` (`before_alpha`,
    `before_lam`; before_alpha = 0 leaves it out) and D = V (e + lam mean(e))^-alpha V', e and V the eigenpairs of the
    covariance of x W_x - y W_y over the pairs. Needs pairs. Stronger alpha helps mixed search and costs cross-modal
    recall. Errors: `InputError` for negative options. Source: within-class covariance normalisation, Hatch, Kajarekar
    and Stolcke 2006 (alpha = .5), with a pair as the class.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> U, noise = rng.normal(size=(2, 500, 3))
    >>> noise = noise * [0.1, 0.1, 3.0]  # partners agree in the first two coordinates
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.alpha, self.lam, self.before_alpha, self.before_lam) < 0:
            raise InputError(
                f"alpha={self.alpha}, lam={self.lam}, before_alpha={self.before_alpha}, before_lam={self.before_lam}: "
                "expected at least 0"
            )

    def _before(self, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
        return tuple(whitening(moments, side, self.before_alpha, self.before_lam) for side in "xy")  # type: ignore[return-value]

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        white_x, white_y = self._before(moments)
        values, vectors = cached(
            moments,
            ("difference", self.before_alpha, self.before_lam),
            lambda: eigen(difference(moments, white_x, white_y)),
        )
        common = damping(values, vectors, self.alpha, self.lam)
        return centred(moments.mean_x, white_x @ common), centred(moments.mean_y, white_y @ common)

    def _adapted(self, new: Statistics) -> tuple[Map, Map]:
        """The means and the first whitening of the new corpus; the damping, which needs pairs, stays."""
        before = self._before(self.statistics_.moments(normalize=self.normalize))
        after = self._before(new.moments(normalize=self.normalize))
        maps = []
        for side, mean, old, white in zip((0, 1), (new.mean_x, new.mean_y), before, after, strict=True):
            common = np.linalg.solve(old, self._affine(side).dense(self._width(side))[0])
            maps.append(centred(mean, white @ common))
        return maps[0], maps[1]
