"""Standardization: centre each side and divide each coordinate by its standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centred
from isthmus.statistics.moments import Moments

#: Coordinates with less than this share of the largest standard deviation are constant up to rounding.
CONSTANT = 1e-7


@dataclass(kw_only=True, eq=False)
class Standardization(Aligner):
    """x_k -> (x_k - mean) / std for each coordinate k and side, with the means and deviations (1/n) of the fitting
    rows. Needs no pairs.

    A coordinate that is constant in the fitting rows carries nothing and becomes 0. Unlike centring this depends on
    the basis: rotate the space and the result differs. Source: An et al. 2025 (I0T), arXiv 2412.14384.

    >>> import numpy as np
    >>> X = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> Standardization(normalize=False).fit(X, X).transform_x(X).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    uses_means: ClassVar[bool] = True
    source: ClassVar[str] = "An et al. 2025 (I0T), arXiv 2412.14384"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        return (
            centred(moments.mean_x, np.diag(_scale(moments.cov_x))),
            centred(moments.mean_y, np.diag(_scale(moments.cov_y))),
        )


def _scale(cov: np.ndarray) -> np.ndarray:
    deviation = np.sqrt(np.clip(np.diag(cov), 0, None))
    varies = deviation > CONSTANT * deviation.max()
    return np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
