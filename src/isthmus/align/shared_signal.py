"""SharedSignal: weigh each direction by how much of it partners share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centred
from isthmus.align._spectra import cached, difference, eigen, whitening
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class SharedSignal(Aligner):
    """The two-covariance model of pairs: x = s + noise, y = s + noise, one common map after partial whitening.

    After centring and the map W of `PartialWhitening` (`before_alpha`, `before_lam`), N is half the covariance of
    x W_x - y W_y plus `shrink` times its mean eigenvalue, B the symmetric part of the cross-covariance. In the basis
    that makes N the identity and B = diag(b), a direction gets the weight sqrt((b + floor mean b) / (1 + 2b)), b >= 0:
    with floor = 0 the score of a pair is that of the likelihood ratio 'one item or two' for equal norms. `floor`
    keeps directions without a measured shared part, which few pairs cannot see. Needs pairs.
    Errors: `InputError` for negative options, and when nothing is shared. Source: Prince and Elder 2007; Ioffe 2006
    (probabilistic linear discriminant analysis), with a pair as the class.

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

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.shrink, self.floor, self.before_alpha, self.before_lam) < 0:
            raise InputError(
                f"shrink={self.shrink}, floor={self.floor}, before_alpha={self.before_alpha}, "
                f"before_lam={self.before_lam}: expected at least 0"
            )

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        white = [whitening(moments, side, self.before_alpha, self.before_lam) for side in "xy"]
        values, vectors = cached(
            moments,
            ("difference", self.before_alpha, self.before_lam),
            lambda: eigen(difference(moments, white[0], white[1])),
        )
        noise = np.maximum(
            values / 2 + self.shrink * float(values.mean()) / 2, 1e-12 * max(float(values.max()), 1e-300)
        )
        quiet = (vectors * noise**-0.5) @ vectors.T
        cross = white[0] @ moments.cov_xy @ white[1]
        signal, basis = eigen(quiet @ ((cross + cross.T) / 2) @ quiet)
        if not signal.max() > 0:
            raise InputError(
                "partners share no direction: the cross-covariance has no positive part; check the pairing"
            )
        weights = np.sqrt((signal + self.floor * float(signal.mean())) / (1 + 2 * signal))
        common = quiet @ (basis * weights) @ basis.T  # turned back, so that equal weights leave nothing arbitrary
        self.fit_info_ = {"shared": int(np.sum(signal > 0.5))}
        return centred(moments.mean_x, white[0] @ common), centred(moments.mean_y, white[1] @ common)
