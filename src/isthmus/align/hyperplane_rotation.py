"""HyperplaneRotation: rotate the subspace of one modality into that of the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isthmus.align._maps import Affine
from isthmus.align._self_judging import SelfJudging
from isthmus.align._spectra import energy_subspaces
from isthmus.linalg.rotations import rotation_of_vectors
from isthmus.linalg.significance import ENERGY_SHARE
from isthmus.statistics.moments import Moments
from isthmus.utils.errors import InputError

#: A principal vector is flipped if the mean product of the coordinates of matching rows is this many errors below 0.
FLIP_ERRORS = 3
#: Principal vectors that are closer to each other than this are one direction that both modalities contain.
ANGLE_TOLERANCE = 1e-10


@dataclass(kw_only=True, eq=False)
class HyperplaneRotation(SelfJudging):
    """Rotate x by the smallest rotation that carries its subspace into the subspace of y.

    Rows of y stay. It needs pairs, but only for signs. Principal vectors have no sign, so principal vector a_j of x is
    rotated onto -b_j of y if matching rows clearly lie on opposite sides. `fit_info_["flipped"]` counts these cases.

    Parameters
    ----------
    normalize : bool, default True
        Whether rows are divided by their norm before and after the map.
    judge : bool, default True
        Whether `fit` warns of the recall that is lost on held-out pairs, from one split of at most 2,000 items. The
        change is stored in `fit_info_["held_out_recall"]`.
    energy : float, default 0.99
        Fraction of the uncentred second moment that the subspace of each modality holds, in (0, 1].

    Notes
    -----
    The subspaces are spanned by the leading singular vectors. Principal vector a_j is rotated onto b_j, and the
    complement of both subspaces stays. Between two hyperplanes this is the rotation by their angle.

    References
    ----------
    Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 3. Bjorck and Golub 1973.

    Examples
    --------
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

    requires_pairing: ClassVar[bool] = True
    selects_directions: ClassVar[bool] = True
    source: ClassVar[str] = "Yi, Douady and Chen 2025, arXiv 2510.03268, Corollary 3"

    def check_options(self) -> None:
        """Raise `InputError` if the energy is outside (0, 1]."""
        if not 0 < self.energy <= 1:
            raise InputError(f"energy={self.energy}, expected a fraction above 0 and up to 1")

    def solve(self, moments: Moments) -> tuple[Affine, Affine]:
        """Return the rotation for x and the identity for y."""
        spaces = energy_subspaces(moments, self.energy)
        vectors_x, vectors_y = (vectors.copy() for vectors in spaces.vectors)
        n_common = _unmix_common_directions(vectors_x, vectors_y, moments)
        signs = _signs(vectors_x, vectors_y, moments, n_common)
        rotation = rotation_of_vectors(vectors_x, vectors_y * signs)
        # Half angles from chords are accurate for every angle.
        chords = (np.linalg.norm(vectors_x + sign * vectors_y, axis=0) for sign in (-1, 1))
        largest_angle = math.degrees(2 * float(np.max(np.arctan2(*chords))))
        self.fit_info_ = {
            "ranks": spaces.ranks,
            "guaranteed": spaces.guaranteed,
            "flipped": int(np.sum(signs < 0)),
            "largest_angle": largest_angle,
        }
        return Affine(matrix=rotation.matrix().T), Affine()


def _unmix_common_directions(a: np.ndarray, b: np.ndarray, moments: Moments) -> int:
    """Make the principal vectors of angle 0 uncorrelated over matching rows, in place, and return their number.

    Every basis of the subspace that both modalities contain has these angles. The eigenvectors of the mean product of
    matching rows do not depend on how the basis was computed. The most negative mean product comes first.
    """
    n_common = int(np.sum(np.linalg.norm(a - b, axis=0) < ANGLE_TOLERANCE))
    common = b[:, :n_common]
    products = common.T @ moments.xy @ common
    a[:, :n_common] = b[:, :n_common] = common @ np.linalg.eigh(products + products.T)[1]
    return n_common


def _signs(a: np.ndarray, b: np.ndarray, moments: Moments, n_common: int) -> np.ndarray:
    """Return -1 for principal pairs on whose opposite sides matching rows clearly lie, else 1.

    The mean product of their coordinates is then negative by more than three standard errors of two independent
    coordinates. The margin keeps noise from rotating a shared direction by 180 degrees. For m common directions it is
    at least sqrt(2 m) + 1, because the smallest of m eigenvalues of noise is about sqrt(2 m) errors below 0.

    A rotation reverses an even number of common directions if no other direction is free. If the number is odd, the
    sign of the smallest mean product changes, as for the closest rotation of Kabsch.
    """
    n = moments.n
    mean_product, energy_x, energy_y = (
        np.einsum("dj,dj->j", left, matrix @ right) / n
        for left, matrix, right in ((a, moments.xy, b), (a, moments.xx, a), (b, moments.yy, b))
    )
    error = np.sqrt(np.clip(energy_x * energy_y, 0, None)) / math.sqrt(moments.by_item.n_items)
    margin = np.full(len(error), float(FLIP_ERRORS))
    margin[:n_common] = max(FLIP_ERRORS, math.sqrt(2 * n_common) + 1)
    signs = np.where(mean_product < -margin * error, -1, 1)
    n_free = len(a) - (2 * len(error) - n_common)
    if n_free <= 0 and np.sum(signs[:n_common] < 0) % 2:
        signs[np.argmin(np.abs(mean_product[:n_common]))] *= -1
    return signs
