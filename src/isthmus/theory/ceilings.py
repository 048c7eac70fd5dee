"""Ceilings of the mean cosine of matching pairs, given only the second moments of each modality.

A pairing, a rotation and a shift each preserve a part of those moments. The ceilings say how much alignment is out of
reach for each of them. They generalise Theorem 4 of Yi, Douady and Chen, arXiv 2510.03268.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.linalg.psd import fidelity, psd_eigh
from isthmus.statistics.moments import Moments
from isthmus.theory._arguments import check_within
from isthmus.utils.errors import InputError

#: Rounding errors of float32 sums, relative to the largest entry.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Ceiling:
    """Upper bounds of the mean cosine of unit rows: `mean_cosine` <= `centred` <= `uncentred` <= `rotated`.

    The best assignment of the rows lies between the first two.

    Parameters
    ----------
    mean_cosine : float
        E x.y of the pairs.
    centred : float
        mean_x.mean_y plus the fidelity of the covariances. No pairing of the same two clouds exceeds it.
    uncentred : float
        Fidelity of the raw second moments.
    rotated : float
        Largest mean cosine after the best rotation of one cloud.

    References
    ----------
    .. [1] Olkin and Pukelsheim (1982), The distance between two random vectors with given dispersion matrices.

    Examples
    --------
    >>> Ceiling(mean_cosine=0.3, centred=0.6, uncentred=0.7, rotated=0.9).rotated
    0.9
    """

    mean_cosine: float
    centred: float
    uncentred: float
    rotated: float


def ceiling(moments: Any, /) -> Ceiling:
    """Return ceilings of the mean cosine from second moments.

    Parameters
    ----------
    moments : Moments or any object with its attributes
        mean_x, mean_y (d,) and cov_x, cov_y, cov_xy (d, d), divided by n.

    Returns
    -------
    Ceiling
        Mean cosine and its ceilings. For rows that are not unit these are inner products.

    Raises
    ------
    InputError
        If the shapes do not fit each other, or a covariance is not positive semidefinite.

    Notes
    -----
    With S = cov + mean mean', F the `fidelity` and sorted eigenvalues,

    mean cosine = mean_x.mean_y + tr cov_xy <= mean_x.mean_y + F(cov_x, cov_y) <= F(S_x, S_y)
    <= sum_i sqrt(lambda_i(S_x) lambda_i(S_y)).

    The chain needs no assumption beyond the moments (proved). With few rows the ceilings are loose: 256 uniform rows in
    R^32 have a ceiling of 0.96 and a best assignment of 0.46.

    References
    ----------
    .. [1] Olkin and Pukelsheim (1982), The distance between two random vectors with given dispersion matrices.
    .. [2] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 4.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> zero, first, second = np.zeros((2, 2)), np.diag([0.5, 0.0]), np.diag([0.0, 0.5])
    >>> means = {"mean_x": np.zeros(2), "mean_y": np.zeros(2)}
    >>> result = ceiling(SimpleNamespace(**means, cov_x=first, cov_y=second, cov_xy=zero))
    >>> result.centred, round(result.rotated, 9)
    (0.0, 0.5)
    """
    mean_x, mean_y, cov_x, cov_y, cov_xy = (
        to_numpy(getattr(moments, name)).astype(np.float64) for name in ("mean_x", "mean_y", "cov_x", "cov_y", "cov_xy")
    )
    d = mean_x.shape[0] if mean_x.ndim == 1 else -1
    if mean_y.shape != (d,) or not cov_x.shape == cov_y.shape == cov_xy.shape == (d, d):
        raise InputError(
            f"means of shapes {mean_x.shape}, {mean_y.shape} and covariances of shapes {cov_x.shape}, "
            f"{cov_y.shape}, {cov_xy.shape}, expected (d,), (d,) and three (d, d)"
        )
    centre = float(mean_x @ mean_y)
    if isinstance(moments, Moments):
        second_x, second_y = (to_numpy(gram).astype(np.float64) / moments.n for gram in (moments.xx, moments.yy))
    else:
        second_x, second_y = cov_x + np.outer(mean_x, mean_x), cov_y + np.outer(mean_y, mean_y)
    spectra = [psd_eigh(S)[0] for S in (second_x, second_y)]
    noise = ROUNDING * float(max(np.abs(second_x).max(), np.abs(second_y).max()))
    return Ceiling(
        mean_cosine=centre + float(np.trace(cov_xy)),
        centred=centre + fidelity(cov_x, cov_y, noise=noise),
        uncentred=fidelity(second_x, second_y),
        rotated=float(np.sum(np.sqrt(spectra[0] * spectra[1]))),
    )


def hyperplane_ceiling(p: float, q: float, /, *, angle: float) -> float:
    """Return the ceiling of the mean cosine of two clouds in hyperplanes.

    Parameters
    ----------
    p : float
        E (x.a)^2 in [0, 1], share of the first cloud along its own direction a orthogonal to the intersection.
    q : float
        E (y.b)^2 in [0, 1], the same share of the second cloud.
    angle : float
        Dihedral angle of the hyperplanes in degrees, 0 to 180.

    Returns
    -------
    float
        sqrt((1 - p)(1 - q)) + |cos angle| sqrt(p q), at most 1.

    Raises
    ------
    InputError
        If a share is outside [0, 1] or the angle outside [0, 180].

    Notes
    -----
    Assumption: unit rows in the hyperplanes. Proved: a corollary of `ceiling`. A rotation of one hyperplane onto the
    other sets the angle to 0.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 4.

    Examples
    --------
    >>> round(hyperplane_ceiling(0.3, 0.2, angle=60.0), 6)
    0.870806
    """
    for name, value, high in (("p", p, 1.0), ("q", q, 1.0), ("angle", angle, 180.0)):
        check_within(name, value, 0.0, high)
    return math.sqrt((1.0 - p) * (1.0 - q)) + abs(math.cos(math.radians(angle))) * math.sqrt(p * q)
