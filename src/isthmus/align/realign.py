"""ReAlign: give y the mean and the spread of x."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, NormalizedAffine
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class ReAlign(Aligner):
    """y -> e = unit(mean x + s (y - mean y)), then unit(e - mean e + mean x); x stays. Needs no pairs.

    s = sqrt(tr S_x / tr S_y). The mean of e is a mean over divided rows, which moments do not hold: it is expanded to
    second order in the spread s (y - mean y), a = mean x, r = |a|, S = s^2 S_y:
    mean e = (a - S a / r^2 - a tr S / (2 r^2) + 3 a (a'S a) / (2 r^4)) / r. Two divisions by norms make it **not
    affine**. On cones as wide as CLIP's (r near .7) the expansion is coarse: `fit_info_["drift"]` is |mean e - mean x|.
    Errors: `InputError` when a side has no spread or x no mean. Source: Yu et al. 2026, arXiv 2602.07026.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X, Y = 0.1 * rng.normal(size=(2, 500, 4)) + [[[1.0, 0, 0, 0]], [[0, 1.0, 0, 0]]]
    >>> X2, Y2 = ReAlign().fit(X, Y).transform(X, Y)
    >>> bool(np.linalg.norm(X2.mean(axis=0) - Y2.mean(axis=0)) < 0.01)  # 1.42 before
    True
    """

    uses_means: ClassVar[bool] = False
    source: ClassVar[str] = "Yu et al. 2026, arXiv 2602.07026"

    def solve(self, moments: Moments) -> tuple[Affine, NormalizedAffine]:
        spread_x, spread_y = (float(np.trace(cov)) for cov in (moments.cov_x, moments.cov_y))
        a = moments.mean_x
        r = float(np.linalg.norm(a))
        if spread_y <= 0 or r == 0:
            raise InputError(f"the spread of y is {spread_y:g} and the mean of x has length {r:g}: expected both > 0")
        scale = math.sqrt(spread_x / spread_y)
        spread = scale**2 * moments.cov_y
        along = spread @ a
        drifted = (a - along / r**2 - a * np.trace(spread) / (2 * r**2) + 1.5 * a * (a @ along) / r**4) / r
        self.fit_info_ = {"scale": scale, "drift": float(np.linalg.norm(drifted - a))}
        first = Affine(scale * np.eye(len(a)), a - scale * moments.mean_y)
        return Affine(), NormalizedAffine(first, (len(a),), Affine(bias=a - drifted))
