"""Optima of clouds in two subspaces: constant parts, centres orthogonal to the shared space, and collapse into it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.linalg.bessel import log_sphere_mgf
from isthmus.theory._arguments import check_within, cosine_of, inverse_temperature, sphere_ratio
from isthmus.theory.loss_bounds import uniform_bound
from isthmus.utils.errors import InputError


def affine_infimum(dim: int, /, *, temperature: float, radius: float) -> float:
    """Return the least Phi of the affine case, x = sqrt(1 - r^2) a + r u and y = sqrt(1 - r^2) b + r v.

    a and b are fixed unit vectors orthogonal to the shared space of dim - 2 dimensions, u and v unit vectors in it.

    Parameters
    ----------
    dim : int
        Dimension of the space, 3 to 4100.
    temperature : float
        tau, at least 1e-6.
    radius : float
        r, in (0, 1].

    Returns
    -------
    float
        B(dim - 2, tau / r^2) in nats, with B the `uniform_bound`.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    The loss does not depend on the angle between a and b (proved), so it neither makes nor closes a gap. The infimum is
    proved where `uniform_bound` is, at temperature tau / r^2.

    References
    ----------
    .. [1] Derived here. Chowers et al. (2026), arXiv 2603.29080, describe such an offset.

    Examples
    --------
    >>> round(affine_infimum(8, temperature=0.2, radius=0.7), 4)
    -3.955
    """
    check_within("radius", radius, 1e-9, 1.0)
    inverse_temperature(temperature)
    check_within("dim", dim, 1, 4100, whole=True)
    if dim < 3:
        raise InputError(f"dim = {dim}, expected at least 3, so that a shared space is left")
    return uniform_bound(dim - 2, temperature=temperature / radius**2)


def orthogonal_centres_value(dim: int, /, *, temperature: float, mean_length: float) -> float:
    """Return Phi of clouds in two hyperplanes whose centres are orthogonal to the shared space.

    Parameters
    ----------
    dim : int
        Dimension of the space, 3 to 4100.
    temperature : float
        tau, at least 1e-6.
    mean_length : float
        Length R0 of both means, in [0, 1).

    Returns
    -------
    float
        B(dim - 2, tau / (1 - R0^2)) in nats, with B the `uniform_bound`.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    Assumption: both means have length R0, and every row has the same component along its own normal direction. Matching
    rows agree in the shared space and are uniform there. The value then holds for both signs of the angle, gap phi and
    180 - phi (proved). It is measured that free centres go there (see `orthogonal_centres_certificate`).

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 3. The value is derived here.

    Examples
    --------
    >>> round(orthogonal_centres_value(8, temperature=0.5, mean_length=0.5), 4)
    -2.6334
    """
    check_within("mean_length", mean_length, 0.0, 1.0)
    if mean_length == 1.0:
        raise InputError(f"mean_length = {mean_length:g}, expected a number from 0 and below 1")
    return affine_infimum(dim, temperature=temperature, radius=math.sqrt(1.0 - mean_length**2))


@dataclass(frozen=True)
class Certificate:
    """Result of `orthogonal_centres_certificate`.

    Parameters
    ----------
    holds : bool
        True if neither function rises above G(R0).
    excess_g : float
        Rise of G above G(R0) on [-1, 1], in nats.
    excess_h : float
        Rise of H above G(R0) on [-1, 1], in nats.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 3. The certificate is derived here.

    Examples
    --------
    >>> Certificate(holds=True, excess_g=0.0, excess_h=-0.5).holds
    True
    """

    holds: bool
    excess_g: float
    excess_h: float


def orthogonal_centres_certificate(
    dim: int, /, *, temperature: float, mean_length: float, angle: float, points: int = 20001
) -> Certificate:
    """Check a sufficient condition for centres orthogonal to the shared space to be optimal.

    Parameters
    ----------
    dim : int
        Dimension of the space, 3 to 4100.
    temperature : float
        tau, at least 1e-6.
    mean_length : float
        Length R0 of both means, in [0, 1).
    angle : float
        Dihedral angle of the hyperplanes in degrees, 0 to 180.
    points : int, default 20001
        Points of the grid on which the maxima are taken, at least 101.

    Returns
    -------
    Certificate
        If it holds, optimality is proved. If it fails, nothing follows.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    Assumption: two hyperplanes of R^dim, both means of length R0. Let rho^2 = 1 - R0^2, A = A(rho^2 / tau) in dimension
    dim - 2 and l(s) = (R0 / tau)(1 - A)(s - R0). Both functions must stay at or below G(R0) for s in [-1, 1]:

    G(s) = [1 - s^2 + cos(angle)(s - R0)^2] / (2 tau) - log E exp(rho sqrt(1 - s^2) u.e / tau) + l(s)

    H(s) = cos(angle)(s - R0)^2 / (2 tau) + l(s)

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 3. The certificate is derived here.

    Examples
    --------
    >>> orthogonal_centres_certificate(512, temperature=0.01, mean_length=0.8, angle=60.0).holds
    True
    """
    orthogonal_centres_value(dim, temperature=temperature, mean_length=mean_length)  # for its checks
    check_within("points", points, 101, 1e8, whole=True)  # a coarse grid misses the maxima
    k, r0, c = inverse_temperature(temperature), mean_length, cosine_of(angle)
    rho = math.sqrt(1.0 - r0**2)
    slope = k * r0 * (1.0 - sphere_ratio(dim - 2, rho**2 * k))
    s = np.concatenate([np.cos(np.linspace(0.0, np.pi, points)), [r0]])
    H = 0.5 * k * c * (s - r0) ** 2 + slope * (s - r0)
    G = H + 0.5 * k * (1.0 - s**2) - log_sphere_mgf(dim - 2, k * rho * np.sqrt((1.0 - s) * (1.0 + s)))
    excess_g, excess_h = float(np.max(G) - G[-1]), float(np.max(H) - G[-1])
    rounding = 1e-13 * (k + abs(float(G[-1])))
    return Certificate(holds=excess_g <= rounding and excess_h <= rounding, excess_g=excess_g, excess_h=excess_h)


def collapse_margin(dim: int, /, *, temperature: float, angle: float) -> float:
    """Return the margin by which clouds without a cone collapse into the shared space of two hyperplanes.

    Parameters
    ----------
    dim : int
        Dimension of the space, 3 to 4100.
    temperature : float
        tau, at least 1e-6.
    angle : float
        Dihedral angle of the hyperplanes in degrees, 0 to 180.

    Returns
    -------
    float
        1 - cos(angle) - A(1/tau) in dimension dim - 2.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    No constraint on the means. The state with every row in the shared space and equal matching rows is locally stable
    exactly if the margin is positive. This is derived as a local condition and agrees with particle runs (measured). It
    is not proved globally.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 3. The margin is derived here.

    Examples
    --------
    >>> round(collapse_margin(8, temperature=0.5, angle=60.0), 6)
    0.191211
    """
    check_within("dim", dim, 1, 4100, whole=True)
    if dim < 3:
        raise InputError(f"dim = {dim}, expected at least 3, so that a shared space is left")
    return 1.0 - cosine_of(angle) - sphere_ratio(dim - 2, inverse_temperature(temperature))
