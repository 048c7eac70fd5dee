"""Losses of the pair of centres of two von Mises-Fisher clouds."""

from __future__ import annotations

import math

from isthmus.linalg.bessel import bessel_ratio, log_sphere_mgf
from isthmus.theory._arguments import check_within, inverse_temperature
from isthmus.utils.errors import InputError


def cone_function(w: float, /, *, kappa: float, dim: int, temperature: float) -> float:
    """Return the loss J(w) of the pair of centres of two von Mises-Fisher clouds.

    Parameters
    ----------
    w : float
        Cosine of the two centres, in [-1, 1].
    kappa : float
        Concentration of both clouds, in [0, 1e6].
    dim : int
        Dimension, 1 to 4098.
    temperature : float
        tau, at least 1e-6.

    Returns
    -------
    float
        J(w) in nats.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    J = -w/tau + log[I_nu(M) kappa^nu / (I_nu(kappa) M^nu)], M^2 = kappa^2 + 2 kappa w / tau + 1 / tau^2, nu = dim/2 -
    1. The global minimum is w = 1 (proved). 2 J is not a bound of the full loss.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 2.

    Examples
    --------
    >>> round(cone_function(1.0, kappa=20, dim=3, temperature=0.05), 6)
    -0.693147
    """
    k = inverse_temperature(temperature)
    check_within("w", w, -1.0, 1.0)
    check_within("dim", dim, 1, 4098, whole=True)
    check_within("kappa", kappa, 0.0, 1e6)
    length = math.sqrt((kappa - k) ** 2 + 2.0 * kappa * k * (1.0 + w))
    return -w * k + log_sphere_mgf(dim, length) - log_sphere_mgf(dim, kappa)


def cone_is_monotone(*, kappa: float, dim: int, temperature: float) -> bool:
    """Return True if `cone_function` decreases from w = -1 to w = 1, so that no start can be trapped.

    Parameters
    ----------
    kappa : float
        Concentration of both clouds, in [0, 1e6].
    dim : int
        Dimension, 2 to 8194.
    temperature : float
        tau, at least 1e-6.

    Returns
    -------
    bool
        A(|kappa - 1/tau|) / |kappa - 1/tau| <= 1/kappa with A = I_{nu+1} / I_nu. It is always True for kappa <= dim.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    If False, w = -1 is a local minimum: concentrated clouds that start far apart stay apart. This is proved for the
    pair of centres. It is measured that particles of the full loss are trapped too.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 2. The condition is derived here.

    Examples
    --------
    >>> cone_is_monotone(kappa=20, dim=3, temperature=0.05)
    False
    """
    k = inverse_temperature(temperature)
    check_within("kappa", kappa, 0.0, 1e6)
    check_within("dim", dim, 2, 8194, whole=True)
    gap = abs(kappa - k)
    slope = bessel_ratio(dim / 2 - 1, gap) / gap if gap > 0.0 else 1.0 / dim
    return bool(kappa * slope <= 1.0)


def subspace_function(w1: float, w2: float, t: float, /, *, kappa: float, dim: int, temperature: float) -> float:
    """Return the centre-pair function of two von Mises-Fisher clouds that lie in hyperplanes of R^dim.

    Parameters
    ----------
    w1 : float
        Cosine of the two centres, in [-1, 1].
    w2 : float
        Cosine of a centre with the projection of the other centre, |w2| <= |t|.
    t : float
        Length of that projection, at most 1.
    kappa : float
        Concentration of both clouds, in [0, 1e6].
    dim : int
        Dimension of the space, 2 to 4099.
    temperature : float
        tau, at least 1e-6.

    Returns
    -------
    float
        Value in nats.

    Raises
    ------
    InputError
        If a cosine is outside [-1, 1], |w2| > |t|, or another parameter is out of range.

    Notes
    -----
    The value is

    -w1/tau + log[I_nu(M) kappa^nu / (I_nu(kappa) M^nu)], with nu = (dim - 1)/2 - 1 and M^2 = kappa^2 + 2
    kappa w2 / tau + t^2 / tau^2. Its minimum lies at centres *inside* the shared space (measured). The full loss
    decides the other way, so this function alone does not prove the gap.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 3.

    Examples
    --------
    >>> round(subspace_function(0.5, 0.5, 0.5, kappa=10, dim=3, temperature=0.2), 6)
    -0.114337
    """
    k = inverse_temperature(temperature)
    for name, value in (("w1", w1), ("w2", w2), ("t", t)):
        check_within(name, value, -1.0, 1.0)
    check_within("dim", dim, 2, 4099, whole=True)
    check_within("kappa", kappa, 0.0, 1e6)
    if abs(w2) > abs(t) + 1e-12:
        raise InputError(f"w2 = {w2:g} with t = {t:g}, expected |w2| <= |t|")
    length = math.sqrt(max(0.0, (kappa - abs(t) * k) ** 2 + 2.0 * kappa * k * (abs(t) + w2)))
    return -w1 * k + log_sphere_mgf(dim - 1, length) - log_sphere_mgf(dim - 1, kappa)
