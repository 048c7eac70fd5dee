"""Blend: two maps side by side, one that needs no pairs and one that does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, NormalizedAffine, centred
from isthmus.align._spectra import canonical_turned, whitening
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class Blend(Aligner):
    """[sqrt(1 - w) unit(partial whitening), sqrt(w) unit(regularised CCA)]: cosines are the mean of two cosines.

    Twice as wide as the rows, and **not affine**: each block is divided by its own norm. The blocks are
    `PartialWhitening` (`alpha`, `lam`) and `RidgeCCA` (`cca_lam`, `g`). `weight` = 0 is the first alone;
    a weight above .5 hurts almost everywhere with 250 pairs or fewer. `Auto` chooses it by cross-validation.
    Errors: `InputError` for a weight outside [0, 1] or negative options.
    Source: this package (a convex sum of two kernels).

    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 50, 4))
    >>> X2, Y2 = Blend(weight=0.25).fit(X, Y).transform(X, Y)
    >>> X2.shape, bool(np.allclose((X2[:, :4] ** 2).sum(axis=1), 0.75))
    ((50, 8), True)
    """

    weight: float = 0.1
    alpha: float = 0.25
    lam: float = 3.0
    cca_lam: float = 1.0
    g: float = 2.0

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

    def solve(self, moments: Moments) -> tuple[NormalizedAffine, NormalizedAffine]:
        left, right = canonical_turned(moments, self.cca_lam, self.g)
        maps = []
        for side, mean, directions in (("x", moments.mean_x, left), ("y", moments.mean_y, right)):
            blocks = whitening(moments, side, self.alpha, self.lam), directions
            widths = tuple(block.shape[1] for block in blocks)
            weights = np.repeat([np.sqrt(1 - self.weight), np.sqrt(self.weight)], widths)
            maps.append(NormalizedAffine(centred(mean, np.hstack(blocks)), widths, Affine(np.diag(weights))))
        return maps[0], maps[1]
