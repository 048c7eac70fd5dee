"""RidgeMap: predict one side from the other by ridge regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centred
from isthmus.align._spectra import shrunk, spectrum
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class RidgeMap(Aligner):
    """x -> (x - mean x) W with W = (S_x + ridge m I)^-1 S_xy, y -> y - mean y. Needs pairs.

    S are covariances and m = tr S_x / d, so `ridge` is relative to the mean variance of a coordinate. `direction`
    'x_to_y' (default) predicts y, 'y_to_x' predicts x the same way. The sides may differ in width: what comes out
    has the width of the predicted side. Errors: `InputError` for a negative ridge or another direction. Source: Hoerl
    and Kennard 1970.

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> W = np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]])
    >>> bool(np.allclose(RidgeMap(ridge=0.0, normalize=False).fit(X, X @ W).matrix_x, W))
    True
    """

    ridge: float = 1.0
    direction: str = "x_to_y"

    requires_pairing: ClassVar[bool] = True
    uses_means: ClassVar[bool] = True
    allows_different_dims: ClassVar[bool] = True
    source: ClassVar[str] = "Hoerl and Kennard 1970"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ridge < 0 or self.direction not in ("x_to_y", "y_to_x"):
            raise InputError(
                f"ridge={self.ridge}, direction={self.direction!r}: expected at least 0 and 'x_to_y' or 'y_to_x'"
            )

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        side, cross = ("x", moments.cov_xy) if self.direction == "x_to_y" else ("y", moments.cov_xy.T)
        values, vectors = spectrum(moments, side)
        weights: np.ndarray = vectors / shrunk(values, self.ridge) @ (vectors.T @ cross)
        if side == "x":
            return centred(moments.mean_x, weights), centred(moments.mean_y)
        return centred(moments.mean_x), centred(moments.mean_y, weights)
