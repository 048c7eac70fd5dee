"""MeanRotation: rotate one mean direction onto the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.linalg.rotations import plane_rotation
from isthmus.statistics.moments import Moments


@dataclass(kw_only=True, eq=False)
class MeanRotation(Aligner):
    """Rotates x in the plane of the two means so that its mean direction becomes that of y; y stays. Needs no pairs.

    R = I + K + K^2 / (1 + u.v), K = v u' - u v', with the unit means u and v of the fitting rows. When the means are
    orthogonal to the shared space this is the hyperplane rotation of Yi, Douady and Chen (arXiv 2510.03268,
    Corollary 3). On real embeddings it closes the angle and costs recall: the common offset then dominates the ranking.

    >>> import numpy as np
    >>> X, Y = np.array([[1.0, 0.1], [1.0, -0.1]]), np.array([[0.1, 1.0], [-0.1, 1.0]])
    >>> X2, Y2 = MeanRotation().fit(X, Y).transform(X, Y)
    >>> bool(np.allclose(X2.mean(axis=0), Y2.mean(axis=0)))
    True
    """

    source: ClassVar[str] = "Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 3"

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        return Affine(matrix=plane_rotation(moments.mean_x, moments.mean_y).matrix().T), Affine()
