"""The exact contrastive loss of two von Mises-Fisher clouds, each in its own hyperplane, by quadrature."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from isthmus.linalg.bessel import log_sphere_mgf
from isthmus.theory._arguments import check_within, cosine_of, inverse_temperature
from isthmus.utils.errors import InputError

_NODES = 200


def cloud_loss(dim: int, /, *, kappa: float, temperature: float, angle: float, centres: str) -> float:
    """Return Phi = L - 2 log N in the limit of many pairs, for clouds in two hyperplanes A and B of R^dim.

    x is von Mises-Fisher in A with concentration `kappa`, and y is the same in B. Matching rows have the same
    projection on C, the intersection of A and B.

    Parameters
    ----------
    dim : int
        Dimension of the space, 3 to 4099.
    kappa : float
        Concentration, in [1e-9, 1e6].
    temperature : float
        tau, at least 1e-6.
    angle : float
        Angle between A and B in degrees, 0 to 180.
    centres : {'shared', 'orthogonal'}
        'orthogonal' puts the mean directions orthogonal to C, at `angle` from each other. 'shared' puts both at the
        same direction of C: there is no gap.

    Returns
    -------
    float
        Loss in nats. Its least possible value without constraints is `uniform_bound`.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    For an x with projection P_B x / tau, where logc is `linalg.bessel.log_sphere_mgf`,

    log E_y exp(x.y / tau) = logc(|kappa c_y + P_B x / tau|, dim - 1) - logc(kappa, dim - 1).

    One or two integrals over x remain (Gauss-Legendre and Gauss-Gegenbauer, relative error about 1e-10).

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 3.

    Examples
    --------
    >>> round(cloud_loss(3, kappa=10.0, temperature=0.2, angle=60, centres="shared"), 5)
    -0.39633
    >>> round(cloud_loss(3, kappa=10.0, temperature=0.2, angle=60, centres="orthogonal"), 5)
    -0.76399
    """
    check_within("dim", dim, 3, 4099, whole=True)
    check_within("kappa", kappa, 1e-9, 1e6)
    if centres not in ("shared", "orthogonal"):
        raise InputError(f"centres={centres!r}, expected 'shared' or 'orthogonal'")
    tilt, cosine, inner = inverse_temperature(temperature), cosine_of(angle), dim - 1
    along, weight = _along_centre(inner, kappa)
    if centres == "orthogonal":
        alpha_squared = along**2
        lengths = np.sqrt((kappa + tilt * along * cosine) ** 2 + tilt**2 * (1.0 - alpha_squared))
    else:
        # alpha = sqrt(1 - g^2) w with g along the centre and w one coordinate of a uniform unit vector.
        across, across_weight = _one_coordinate(inner - 1)
        alpha_squared = (1.0 - along[:, None] ** 2) * across**2
        inside = 1.0 - alpha_squared
        lengths = np.sqrt(
            kappa**2 + 2.0 * kappa * tilt * along[:, None] + tilt**2 * (inside + alpha_squared * cosine**2)
        )
        weight = weight[:, None] * across_weight
    matching_cosine = 1.0 - (1.0 - cosine) * alpha_squared
    logs = np.asarray(log_sphere_mgf(inner, lengths)) - float(log_sphere_mgf(inner, kappa))
    return 2.0 * float(np.sum(weight * (logs - tilt * matching_cosine)))


def _along_centre(dim: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes in [-1, 1] and weights (sum 1) of the component of a von Mises-Fisher vector along its centre."""
    nodes, weights = _legendre()
    polar = 0.5 * math.pi * (nodes + 1.0)
    with np.errstate(divide="ignore"):
        logs = np.log(weights) + kappa * (np.cos(polar) - 1.0) + (dim - 2) * np.log(np.sin(polar))
    density = np.exp(logs - logs.max())
    return np.cos(polar), density / density.sum()


@cache
def _legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(_NODES)


def _one_coordinate(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of one coordinate of a uniform unit vector of R^dim."""
    if dim == 1:
        return np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    return _along_centre(dim, 0.0)
