"""Blend: two maps side by side, one that needs no pairs and one that does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, Chain, centred
from isthmus.align._spectra import canonical_turned, whitening
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class Blend(Aligner):
    """[sqrt(1-t) unit(partial whitening), sqrt(t) unit(regularised CCA)]: cosines are the mean of two cosines.

    Twice as wide as the rows, and **not affine**: each block is divided by its own norm. The blocks are
    `PartialWhitening` (`alpha`, `lam`) and `RidgeCCA` (`cca_lam`, `g`). `t` = 0 is the first alone and needs no pairs;
    t above .5 hurts almost everywhere with 250 pairs or fewer. `Auto` chooses t by cross-validation.
    Errors: `InputError` for t outside [0, 1] or negative options. Source: this package (a convex sum of two kernels).

    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 50, 4))
    >>> X2, Y2 = Blend(t=0.25).fit(X, Y).transform(X, Y)
    >>> X2.shape, bool(np.allclose((X2[:, :4] ** 2).sum(axis=1), 0.75))
    ((50, 8), True)
    """

    t: float = 0.1
    alpha: float = 0.25
    lam: float = 3.0
    cca_lam: float = 1.0
    g: float = 2.0

    needs_pairs: ClassVar[bool] = True
    centres: ClassVar[bool] = True
    source: ClassVar[str] = "this package"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.t <= 1 or min(self.alpha, self.lam, self.cca_lam, self.g) < 0:
            raise InputError(
                f"t={self.t}, alpha={self.alpha}, lam={self.lam}, cca_lam={self.cca_lam}, g={self.g}: expected t from "
                "0 to 1 and the others at least 0"
            )

    def _solve(self, moments: Moments) -> tuple[Chain, Chain]:
        left, right = canonical_turned(moments, self.cca_lam, self.g)
        maps = []
        for side, mean, directions in (("x", moments.mean_x, left), ("y", moments.mean_y, right)):
            blocks = whitening(moments, side, self.alpha, self.lam), directions
            widths = tuple(block.shape[1] for block in blocks)
            weights = np.repeat([np.sqrt(1 - self.t), np.sqrt(self.t)], widths)
            maps.append(Chain(centred(mean, np.hstack(blocks)), widths, Affine(np.diag(weights))))
        return maps[0], maps[1]
