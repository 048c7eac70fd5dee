"""MeanRotation: rotate one mean direction onto the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.align._spread import require_direction
from isthmus.linalg.rotations import plane_rotation
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class MeanRotation(Aligner):
    """Rotate x in the plane of the two means so that its mean direction becomes that of y.

    Rows of y stay. It needs no pairs. On real embeddings it closes the gap angle and lowers recall, because the common
    offset then dominates the ranking.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.

    Notes
    -----
    The rotation is `I + K + K^2 / (1 + u.v)` with `K = v u' - u v'` and the unit means u and v of the fitted rows. If
    the means are orthogonal to the shared space, this is the rotation between hyperplanes of the reference.

    References
    ----------
    Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 3.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.array([[1.0, 0.1], [1.0, -0.1]]), np.array([[0.1, 1.0], [-0.1, 1.0]])
    >>> X2, Y2 = MeanRotation().fit(X, Y).transform(X, Y)
    >>> bool(np.allclose(X2.mean(axis=0), Y2.mean(axis=0)))
    True
    """

    source: ClassVar[str] = "Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 3"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the rotation for x and the identity for y."""
        names = (self._fit and self._fit.names) or ("x", "y")
        for name, mean in zip(names, (moments.mean_x, moments.mean_y), strict=True):
            require_direction(mean, moments, f"the mean row of {name} is 0, so it has no direction to rotate")
        return Affine(matrix=plane_rotation(moments.mean_x, moments.mean_y).matrix().T), Affine()
