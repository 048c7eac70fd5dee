"""HyperplaneRotation: rotate the subspace of one side into that of the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._base import Aligner
from isthmus.align._maps import Affine
from isthmus.linalg.rotations import PrincipalAngles, minimal_rotation
from isthmus.linalg.shared_directions import EnergySubspaces
from isthmus.linalg.significance import ENERGY_SHARE
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError


@dataclass(kw_only=True, eq=False)
class HyperplaneRotation(Aligner):
    """The smallest rotation of x that carries its subspace into the subspace of y; y stays.

    The subspaces are spanned by the leading singular vectors (uncentred) that hold the share `energy` of each side.
    Principal vector a_j turns onto b_j, identity on the complement of both; for two hyperplanes it is the rotation by
    their angle. Principal vectors have no sign, so a_j turns onto -b_j where the pairs say clearly that this is where
    their partners are (`fit_info_["flipped"]`). Source: Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 3; Bjorck
    and Golub 1973.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> u = rng.normal(size=(50, 1))
    >>> X = np.hstack([u, np.full((50, 1), 3.0), np.zeros((50, 1))])  # a plane with axis e2
    >>> Y = np.hstack([u, np.zeros((50, 1)), np.full((50, 1), 3.0)])  # a plane with axis e3
    >>> X2, Y2 = HyperplaneRotation(energy=1.0).fit(X, Y).transform(X, Y)
    >>> bool(np.allclose(X2, Y2))
    True
    """

    energy: float = ENERGY_SHARE

    requires_pairing: ClassVar[bool] = True  # for the signs alone
    source: ClassVar[str] = "Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 3"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.energy <= 1:
            raise InputError(f"energy={self.energy}, expected a share above 0 and up to 1")

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        spaces = EnergySubspaces.of(moments.xx, moments.yy, energy=self.energy)
        signs = _signs(spaces.angles, moments)
        rotation = minimal_rotation(spaces.basis_x, spaces.basis_y, signs=signs)
        self.fit_info_ = {
            "ranks": spaces.ranks,
            "forced": spaces.guaranteed,
            "flipped": int(np.sum(signs < 0)),
            "largest_angle": float(np.max(spaces.angles.degrees)),
        }
        return Affine(matrix=rotation.matrix().T), Affine()


def _signs(angles: PrincipalAngles, moments: Moments) -> np.ndarray:
    """-1 where partners clearly lie on opposite sides of a principal pair: the mean product of their coordinates is
    negative by more than three standard errors (of two independent coordinates). Noise must not turn a shared
    direction by 180 degrees."""
    a, b = angles.vectors_a, angles.vectors_b
    n = moments.n
    together = np.einsum("dj,de,ej->j", a, moments.xy, b) / n
    energy_x = np.einsum("dj,de,ej->j", a, moments.xx, a) / n
    energy_y = np.einsum("dj,de,ej->j", b, moments.yy, b) / n
    error = np.sqrt(np.clip(energy_x * energy_y, 0, None)) / math.sqrt(moments.by_item.n_items)
    return np.where(together < -3 * error, -1, 1)
