"""Lower bounds of the symmetric InfoNCE loss of unit rows."""

from __future__ import annotations

import math
import sys

import numpy as np

from isthmus.linalg.bessel import log_sphere_mgf
from isthmus.theory._arguments import check_within, inverse_temperature
from isthmus.utils.errors import InputError


def uniform_bound(dim: int, /, *, temperature: float) -> float:
    """Return the least possible Phi of unit vectors in R^dim.

    Parameters
    ----------
    dim : int
        Dimension, 1 to 4098.
    temperature : float
        tau, at least 1e-6.

    Returns
    -------
    float
        B = -2/tau + 2 log E exp(u.e / tau) in nats, with u uniform on the sphere.

    Raises
    ------
    InputError
        If the temperature or the dimension is out of range.

    Notes
    -----
    Assumption: unit rows, no other constraint. The bound is attained exactly for x_i = y_i and a uniform distribution.
    It is proved for x = y at every temperature, and for every pairing if 1/(2 tau) >= log E exp(u.e / tau). This means
    tau >= 0.2322 at dim = 3, 0.0800 at 8, and 0.00118 at 512. Below these temperatures it is open, without a known
    violation.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 1.
    .. [2] Wang and Isola (2020), arXiv 2005.10242, for x = y.

    Examples
    --------
    >>> round(uniform_bound(3, temperature=0.2), 6)
    -4.605261
    """
    check_within("dim", dim, 1, 4098, whole=True)
    k = inverse_temperature(temperature)
    return -2.0 * k + 2.0 * log_sphere_mgf(dim, k)


def uniform_bound_is_proved(dim: int, /, *, temperature: float) -> bool:
    """Return True if `uniform_bound` is proved for every pairing of unit rows.

    Parameters
    ----------
    dim : int
        Dimension, 1 to 4098.
    temperature : float
        tau, at least 1e-6.

    Returns
    -------
    bool
        1/(2 tau) >= log E exp(u.e / tau) for u uniform on the sphere. If False, the bound is proved for x = y only.

    Raises
    ------
    InputError
        If the temperature or the dimension is out of range.

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 1. The condition is derived here.

    Examples
    --------
    >>> [uniform_bound_is_proved(3, temperature=t) for t in (0.23, 0.24)]
    [False, True]
    """
    check_within("dim", dim, 1, 4098, whole=True)
    k = inverse_temperature(temperature)
    return bool(0.5 * k >= log_sphere_mgf(dim, k))


def finite_bound(n: float, /, *, temperature: float, cosine: float = 1.0) -> float:
    """Return the least possible L of n pairs.

    Parameters
    ----------
    n : float
        Number of pairs, at least 1.
    temperature : float
        tau, at least 1e-6.
    cosine : float, default 1.0
        Bound of the trace of the centred cross-covariance, E x.y - mean_x.mean_y, in [-1, 1]. Give its value for these
        pairs, the fidelity of the two covariances for every pairing of the clouds, or 1.

    Returns
    -------
    float
        2 log(1 + (n - 1) exp(-n / (n - 1) * cosine / tau)) in nats, non-negative.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    Assumption: unit rows, no other constraint. Proved (Jensen, twice). With `cosine` = 1 the simplex attains it if
    n <= dim + 1. For many more pairs `loss_bound` is tighter.

    References
    ----------
    .. [1] Derived here. Graf et al. (2021), arXiv 2102.08817, prove the simplex for a supervised loss.

    Examples
    --------
    >>> round(finite_bound(9, temperature=0.2), 7)
    0.0568882
    """
    k = inverse_temperature(temperature)
    check_within("n", n, 1.0, sys.float_info.max)
    check_within("cosine", cosine, -1.0, 1.0)
    if n == 1:
        return 0.0
    return 2.0 * float(np.logaddexp(0.0, math.log(n - 1) - k * cosine * (n / (n - 1))))


def loss_bound(n: float, dim: int, /, *, temperature: float, cosine: float = 1.0) -> float:
    """Return the larger of `finite_bound` and 2 log n + `uniform_bound`.

    The first is tight for few pairs, the second for many.

    Parameters
    ----------
    n : float
        Number of pairs, at least 1.
    dim : int
        Dimension, 1 to 4098.
    temperature : float
        tau, at least 1e-6.
    cosine : float, default 1.0
        Bound of the trace of the centred cross-covariance, in [-1, 1] (see `finite_bound`).

    Returns
    -------
    float
        Lower bound of L in nats.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Notes
    -----
    Assumption: unit rows. Proved if `finite_bound` is the larger, and otherwise where `uniform_bound_is_proved`. It is
    loose by up to 0.35 nats where the two cross, at dim = 8 and tau = 0.2 (measured).

    References
    ----------
    .. [1] Yi, Douady and Chen (2025), arXiv 2510.03268, Theorem 1, and `finite_bound`.

    Examples
    --------
    >>> round(loss_bound(4, 3, temperature=0.5), 6)
    0.378678
    """
    return max(
        finite_bound(n, temperature=temperature, cosine=cosine),
        2.0 * math.log(n) + uniform_bound(dim, temperature=temperature),
    )


def simplex_optimum(n: int, dim: int, /, *, temperature: float) -> float:
    """Return the least L that n pairs in R^dim can reach, for n <= dim + 1.

    Parameters
    ----------
    n : int
        Number of pairs, 1 to dim + 1.
    dim : int
        Dimension.
    temperature : float
        tau, at least 1e-6.

    Returns
    -------
    float
        Loss in nats of x_i = y_i at the corners of a regular simplex.

    Raises
    ------
    InputError
        If n is outside 1..dim + 1.

    Notes
    -----
    Assumption: unit rows, no other constraint. Proved: it is `finite_bound` with cosine 1, and the simplex attains it.
    For n > dim + 1 no closed form is known (open).

    References
    ----------
    .. [1] Derived here. Graf et al. (2021), arXiv 2102.08817, prove the simplex for a supervised loss.

    Examples
    --------
    >>> round(simplex_optimum(9, 8, temperature=0.5), 7)
    1.2229997
    """
    for name, value in (("n", n), ("dim", dim)):
        check_within(name, value, 1, sys.maxsize, whole=True)
    if n > dim + 1:
        raise InputError(f"n = {n} pairs for dim = {dim}, expected 1 <= n <= dim + 1 for a simplex; use loss_bound")
    return finite_bound(n, temperature=temperature)
