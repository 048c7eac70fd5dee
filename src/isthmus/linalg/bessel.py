"""Logarithms and ratios of modified Bessel functions of the first kind, without overflow or underflow.

A power series covers small arguments. The expansion that is uniform in x (NIST Digital Library of Mathematical
Functions, 10.41.3) covers large orders. Small orders reach large ones by the recurrence of the ratios.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, is_numpy, to_numpy
from isthmus.utils.errors import InputError

__all__ = ["bessel_ratio", "inverse_bessel_ratio", "log_iv", "log_sphere_mgf"]

#: Largest order and largest argument for which the stated accuracy is tested.
MAX_ORDER = 4096.0
MAX_ARGUMENT = 1e6
#: Order from which ten terms of the uniform expansion reach double precision.
_UNIFORM_FROM = 24.0
_TERMS = 10


def log_iv(nu: float | Array, x: float | Array, /) -> Any:
    """Return log I_nu(x) for real orders and non-negative arguments.

    Parameters
    ----------
    nu : float or array
        Orders in [0, 4096], broadcast against `x`.
    x : float or array
        Arguments in [0, 1e6].

    Returns
    -------
    float or array
        A float for two numbers, else an array of the library of the given array. log I_0(0) = 0, and
        log I_nu(0) = -inf for nu > 0.

    Raises
    ------
    InputError
        If a value is negative, NaN or beyond the range.

    Notes
    -----
    Against mpmath the error is below max(2e-15 |log I|, 1e-15 max(nu, x, 1)).

    References
    ----------
    .. [1] NIST Digital Library of Mathematical Functions, 10.25.2 (series) and 10.41.3 (large orders).

    Examples
    --------
    >>> round(log_iv(255, 50.0), 9)
    -338.468811985
    """
    order, argument, restore = _arguments(nu, x)
    return restore(_log_iv(order, argument))


def bessel_ratio(nu: float | Array, x: float | Array, /) -> Any:
    """Return the ratio I_{nu+1}(x) / I_nu(x), in [0, 1).

    With nu = d/2 - 1 it is the mean resultant length of the von Mises-Fisher distribution of concentration x in R^d.

    Parameters
    ----------
    nu : float or array
        Orders in [0, 4096], broadcast against `x`.
    x : float or array
        Arguments in [0, 1e6].

    Returns
    -------
    float or array
        A float for two numbers, else an array of the library of the given array.

    Raises
    ------
    InputError
        If a value is negative, NaN or beyond the range.

    Notes
    -----
    Perron's continued fraction is used. The relative error is below 2e-15.

    References
    ----------
    .. [1] Gautschi and Slavik (1978), On the computation of modified Bessel function ratios.

    Examples
    --------
    >>> round(bessel_ratio(2, 5.0), 6)
    0.590162
    """
    order, argument, restore = _arguments(nu, x)
    return restore(_ratio(order, argument))


def inverse_bessel_ratio(nu: float | Array, r: float | Array, /) -> Any:
    """Return the argument x with `bessel_ratio(nu, x)` = r.

    Parameters
    ----------
    nu : float or array
        Orders in [0, 4096], broadcast against `r`.
    r : float or array
        Ratios in [0, 1).

    Returns
    -------
    float or array
        Arguments in [0, 1e6]: a float for two numbers, else an array of the library of the given array.

    Raises
    ------
    InputError
        If r is outside [0, 1), or x would exceed 1e6.

    Notes
    -----
    Newton's iteration starts from r (d - r^2) / (1 - r^2), d = 2 nu + 2, and stays between the bounds of Amos.

    References
    ----------
    .. [1] Banerjee, Dhillon, Ghosh and Sra (2005), Clustering on the unit hypersphere using von Mises-Fisher
       distributions.
    .. [2] Amos (1974), Computation of modified Bessel functions and their ratios.

    Examples
    --------
    >>> round(inverse_bessel_ratio(2, bessel_ratio(2, 5.0)), 9)
    5.0
    """
    order, ratio, restore = _arguments(nu, r, name="r", limit=1.0)
    top = _ratio(order, np.full_like(order, MAX_ARGUMENT))
    if np.any(ratio > top):
        worst = int(np.argmax(ratio - top))
        raise InputError(
            f"r = {ratio.flat[worst]:.12g} at nu = {order.flat[worst]:g} needs an argument above 1e6, expected a mean "
            "resultant length that is less close to 1"
        )
    return restore(_invert(order, ratio))


def log_sphere_mgf(dim: float | Array, t: float | Array, /) -> Any:
    """Return log E exp(t u.e) for u uniform on the unit sphere of R^dim and any unit vector e.

    Parameters
    ----------
    dim : int or array of int
        Dimensions in 1..4098, broadcast against `t`.
    t : float or array
        Arguments with |t| <= 1e6.

    Returns
    -------
    float or array
        Non-negative values, even in `t` and 0 at 0: a float for two numbers, else an array of the library of the given
        array.

    Raises
    ------
    InputError
        If a dimension is below 1 or no integer, or a value is NaN or beyond the range.

    Notes
    -----
    The value is log[Gamma(nu+1) (2/t)^nu I_nu(t)] with nu = dim/2 - 1, and log cosh t for dim = 1. It behaves like
    t^2 / (2 dim) for small t and like |t| for large t. The relative error is below 2e-15 for every t.

    Examples
    --------
    >>> round(log_sphere_mgf(3, 5.0), 6)
    2.69737
    >>> round(log_sphere_mgf(512, 1e-4) * 1024 / 1e-8, 9)
    1.0
    """
    size, argument, restore = _arguments(dim, t, name="t", first="dim", even=True, lowest=1.0)
    if np.any(size != np.floor(size)):
        raise InputError(f"dim = {size[size != np.floor(size)][0]:g}, expected an integer")
    line = size == 1.0
    order = np.where(line, 0.0, 0.5 * size - 1.0)
    out = _log_mgf(order, argument)
    if line.any():
        # cosh t = 1 + 2 sinh(t/2)^2, which is used where it does not overflow.
        small = np.minimum(argument, 1.0)
        log_cosh = np.where(
            argument <= 1.0,
            np.log1p(2.0 * np.sinh(0.5 * small) ** 2),
            argument - np.log(2.0) + np.log1p(np.exp(-2.0 * argument)),
        )
        out = np.where(line, log_cosh, out)
    return restore(out)


def _log_iv(nu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return log I_nu(x) for float64 arrays of one shape."""
    low = nu < _UNIFORM_FROM
    if low.all():
        from scipy.special import gammaln

        with np.errstate(divide="ignore", invalid="ignore"):
            power = np.where(nu == 0.0, 0.0, nu * (np.log(x) - np.log(2.0)))
        return power - gammaln(nu + 1.0) + _log_mgf(nu, x)
    if low.any():
        return _split(_log_iv, low, nu, x)
    z = x / nu
    s = np.hypot(1.0, z)
    with np.errstate(divide="ignore"):
        # asinh(1/z) without 1/z where that could overflow, and without a quotient that could underflow
        log_z = np.where(z > 1e-290, np.log(z), np.log(x) - np.log(nu))
    angle = np.where(z < 1.0, np.log1p(s) - log_z, np.arcsinh(1.0 / np.maximum(z, 1.0)))
    return nu * (s - angle) - 0.5 * np.log(2.0 * np.pi * nu * s) + np.log1p(_tail(nu, 1.0 / s))


def _log_mgf(nu: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return log[Gamma(nu+1) (2/t)^nu I_nu(t)] for float64 arrays of one shape."""
    small = t * t <= 16.0 * (nu + 1.0)
    if small.all():
        return _log_series(nu, t)
    if small.any():
        return _split(_log_mgf, small, nu, t)
    low = nu < _UNIFORM_FROM
    if low.all():
        # Climb to orders where the expansion holds: mgf_{nu-1} / mgf_nu = 1 + t A_nu(t) / (2 nu).
        nu = nu + _UNIFORM_FROM
        ratio, steps = _ratio(nu, t), np.zeros_like(t)
        for _ in range(int(_UNIFORM_FROM)):
            steps += np.log1p(t * ratio / (2.0 * nu))
            ratio = 1.0 / (2.0 * nu / t + ratio)
            nu = nu - 1.0
        return _log_mgf(nu + _UNIFORM_FROM, t) + steps
    if low.any():
        return _split(_log_mgf, low, nu, t)
    # Stirling's series of Gamma cancels against the expansion of I_nu, so that only small numbers remain.
    z = t / nu
    s = np.hypot(1.0, z)
    w = z * (z / (1.0 + s))
    stirling = (1.0 - (1.0 / 30.0 - (1.0 / 105.0 - 1.0 / (140.0 * nu**2)) / nu**2) / nu**2) / (12.0 * nu)
    return nu * (w - np.log1p(0.5 * w)) - 0.5 * np.log(s) + (np.log1p(_tail(nu, 1.0 / s)) + stirling)


def _split(function: Any, mask: np.ndarray, nu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Apply `function` to the values inside and outside of `mask` separately, each with its own method."""
    out = np.empty_like(x)
    out[mask] = function(nu[mask], x[mask])
    out[~mask] = function(nu[~mask], x[~mask])
    return out


def _log_series(nu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return log sum_m (x^2/4)^m / (m! (nu+1)_m) for x^2 <= 16 (nu + 1), where the terms fall faster than 4^m / m!."""
    quarter = (0.5 * x) ** 2
    term = np.ones_like(x)
    total = np.zeros_like(x)
    for m in range(1, 100):
        term = term * quarter / (m * (nu + m))
        total += term
        if not np.any(term > 1e-18 * total):
            break
    return np.log1p(total)


def _ratio(nu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return I_{nu+1}(x) / I_nu(x) by Perron's fraction, summed forwards (Gautschi and Slavik, section 3)."""
    a = nu + 1.0
    first = 1.0 / (x + 2.0 * a)
    q, term, total = np.zeros_like(x), np.ones_like(x), np.ones_like(x)
    previous = x + 2.0 * a
    for k in range(1, 200):
        beta = x * (2.0 * a + 2.0 * k - 1.0)
        current = 2.0 * a + k + 2.0 * x
        rho = beta * (1.0 + q) / (previous * current)
        q = rho / (1.0 - rho)
        term = term * q
        total += term
        previous = current
        if not np.any(term > 1e-17 * total):
            break
    return x * first * total


def _invert(nu: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Return the argument of a ratio by a Newton iteration between the bounds of Amos."""
    dim = 2.0 * nu + 2.0
    gap = (1.0 - r) * (1.0 + r)
    # Amos: k / (nu + 1/2 + sqrt(k^2 + (nu + 3/2)^2)) <= A(k) <= k / (nu + 1/2 + sqrt(k^2 + (nu + 1/2)^2))
    lower = r * (2.0 * nu + 1.0) / gap
    upper = r * ((nu + 0.5) + np.sqrt((nu + 1.5) ** 2 - r**2 * dim)) / gap
    k = np.clip(r * (dim - r**2) / gap, lower, upper)
    for _ in range(60):
        value = _ratio(nu, np.minimum(k, 2.0 * MAX_ARGUMENT))
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(k > 0.0, 1.0 - value**2 - (dim - 1.0) * (value / k), 1.0 / dim)
        new = np.clip(k - (value - r) / np.maximum(slope, 1e-300), lower, upper)
        # Convergence is quadratic: after a step this small the error is at the level of rounding.
        converged = np.all(np.abs(new - k) <= 1e-9 * new)
        k = new
        if converged:
            break
    return k


def _tail(nu: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return sum_{k=1}^{10} u_k(p) / nu^k by Horner's rule."""
    square = p * p
    scale = p / nu
    total = np.zeros_like(p)
    for coefficients in reversed(_polynomials()):
        inner = np.full_like(p, coefficients[-1])
        for c in coefficients[-2::-1]:
            inner *= square
            inner += c
        total += inner
        total *= scale
    return total


@cache
def _polynomials() -> tuple[tuple[float, ...], ...]:
    """Return the coefficients of u_k(p) / p^k in powers of p^2, k = 1..10 (DLMF 10.41.9, in exact fractions)."""
    u = {0: Fraction(1)}
    out = []
    for k in range(1, _TERMS + 1):
        new: dict[int, Fraction] = {}
        for power, c in u.items():
            for shift, value in (
                (1, c * power / 2 + c / (8 * (power + 1))),
                (3, -c * power / 2 - 5 * c / (8 * (power + 3))),
            ):
                new[power + shift] = new.get(power + shift, Fraction(0)) + value
        u = new
        out.append(tuple(float(u[k + 2 * j]) for j in range(k + 1)))
    return tuple(out)


def _arguments(
    nu: Any,
    x: Any,
    *,
    name: str = "x",
    first: str = "nu",
    even: bool = False,
    lowest: float = 0.0,
    limit: float = MAX_ARGUMENT,
) -> tuple[np.ndarray, np.ndarray, Any]:
    """Return checked float64 arrays of a common shape, and the function that restores the array type of the input."""
    order, argument = (np.asarray(to_numpy(v), dtype=np.float64) for v in (nu, x))
    if even:
        argument = np.abs(argument)
    highest = MAX_ORDER if first == "nu" else 2.0 * 2049.0
    closed = limit != 1.0
    for label, values, low, high, shut in (
        (first, order, lowest, highest, True),
        (name, argument, 0.0, limit, closed),
    ):
        bad = ~((values >= low) & ((values <= high) if shut else (values < high)))
        if np.any(bad):
            raise InputError(
                f"{label} = {values[bad].flat[0]:.12g}, expected a number in "
                f"[{-high if even and label == name else low:g}, {high:g}{']' if shut else ')'}"
            )
    try:
        order, argument = np.broadcast_arrays(order, argument)
    except ValueError:
        raise InputError(
            f"{first} of shape {order.shape} and {name} of shape {argument.shape}, expected shapes that broadcast"
        ) from None
    reference = next((v for v in (x, nu) if hasattr(v, "shape") and not is_numpy(v) and not np.isscalar(v)), None)

    def restore(values: np.ndarray) -> Any:
        if reference is not None:
            return asarray_like(values, reference)
        return float(values) if values.ndim == 0 else values

    return (
        np.atleast_1d(order),
        np.atleast_1d(argument),
        (restore if order.ndim else lambda values: restore(values.reshape(()))),
    )
