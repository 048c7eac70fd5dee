"""RidgeMap: predict one modality from the other by ridge regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine, centering_map
from isthmus.align._spectra import shrunk_eigenvalues, spectrum
from isthmus.align._spread import require_spread
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class RidgeMap(Aligner):
    """Predict one modality from the other by ridge regression, and center the other one.

    It needs pairs. Rows of x and y may have different dimensions, and mapped rows have that of the predicted modality.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    ridge : float, default 1.0
        Ridge relative to the mean variance of a coordinate, at least 0.
    direction : {'x_to_y', 'y_to_x'}, default 'x_to_y'
        Whether y is predicted from x, or x from y.

    Notes
    -----
    For 'x_to_y' the maps are `x -> (x - mean x) W` and `y -> y - mean y`, with `W = (S_x + ridge m I)^-1 S_xy` and
    `m = tr S_x / d`.

    References
    ----------
    Hoerl and Kennard 1970.

    Examples
    --------
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

    def check_options(self) -> None:
        """Raise `InputError` for a negative ridge or an unknown direction."""
        if self.ridge < 0 or self.direction not in ("x_to_y", "y_to_x"):
            raise InputError(
                f"ridge={self.ridge}, direction={self.direction!r}: expected at least 0 and 'x_to_y' or 'y_to_x'"
            )

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the regression for one modality and the centring of the other."""
        require_spread(self, moments, "RidgeMap needs directions in which both vary")
        modality, cross = ("x", moments.cov_xy) if self.direction == "x_to_y" else ("y", moments.cov_xy.T)
        values, vectors = spectrum(moments, modality)
        weights: np.ndarray = vectors / shrunk_eigenvalues(values, self.ridge) @ (vectors.T @ cross)
        if modality == "x":
            return centering_map(moments.mean_x, weights), centering_map(moments.mean_y)
        return centering_map(moments.mean_x), centering_map(moments.mean_y, weights)
