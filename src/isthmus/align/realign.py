"""ReAlign: give y the mean and the spread of x."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, NormalizedAffine
from isthmus.align._spread import require_spread
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class ReAlign(Aligner):
    """Give y the mean and the spread of x: y -> e = unit(mean x + s (y - mean y)), then unit(e - mean e + mean x).

    Here s = sqrt(tr S_x / tr S_y). Rows of x stay. It needs no pairs. Two divisions by norms make the map **not
    affine**. `fit_info_["drift"]` is |mean e - mean x|, and `fit_info_["scale"]` is s. The first use of the maps raises
    `InputError` if y has no spread or the mean of x is zero.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.

    Notes
    -----
    The mean of e is one over normalised rows, which moments do not hold. For unit rows, the squared length of the row
    `mean x + u` with `u = s (y - mean y)` is linear in u, and the mean is expanded in it. The means of the corrected
    rows are then less than .006 apart on wide cones. With `normalize=False` it is expanded in u itself, which is coarse
    on wide cones.

    References
    ----------
    Yu et al. 2026, arXiv 2602.07026.

    Examples
    --------
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
        """Return the identity for x and the two-stage map for y, or raise `InputError`."""
        trace_x, trace_y = (float(np.trace(cov)) for cov in (moments.cov_x, moments.cov_y))
        a = moments.mean_x
        r = float(np.linalg.norm(a))
        require_spread(self, moments, "ReAlign gives one modality the spread of the other")
        if r == 0:
            raise InputError("the mean of x is zero, so ReAlign cannot move y to it; use Centering")
        scale = math.sqrt(trace_x / trace_y)
        cov = scale**2 * moments.cov_y
        if self.normalize:
            mean_e = _mean_of_normalized(a, cov, a - scale * moments.mean_y)
        else:
            cov_a = cov @ a
            mean_e = (a - cov_a / r**2 - a * np.trace(cov) / (2 * r**2) + 1.5 * a * (a @ cov_a) / r**4) / r
        self.fit_info_ = {"scale": scale, "drift": float(np.linalg.norm(mean_e - a))}
        first = Affine(scale * np.eye(len(a)), a - scale * moments.mean_y)
        return Affine(), NormalizedAffine(first, (len(a),), Affine(bias=a - mean_e))


def _mean_of_normalized(mean: np.ndarray, cov: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the mean of v / |v| for rows v with this mean and covariance, all at one distance from `centre`.

    >>> _mean_of_normalized(np.array([0.6, 0.0]), np.diag([0.0, 0.64]), np.zeros(2)).tolist()  # v = (.6, +-.8)
    [0.6, 0.0]
    """
    squared_length, cov_centre = float(mean @ mean) + float(np.trace(cov)), cov @ centre
    stretch = 1 + 1.5 * float(centre @ cov_centre) / squared_length**2
    result: np.ndarray = (stretch * mean - cov_centre / squared_length) / math.sqrt(squared_length)
    return result
