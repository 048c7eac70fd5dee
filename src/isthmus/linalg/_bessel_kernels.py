"""Series, expansions and continued fractions of Bessel functions, for float64 arrays of one shape."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

#: Largest argument for which the stated accuracy is tested.
MAX_ARGUMENT = 1e6
#: Order from which ten terms of the uniform expansion reach double precision.
_UNIFORM_FROM = 24.0
_TERMS = 10


def log_iv_kernel(nu: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return log I_nu(x) for float64 arrays of one shape."""
    low = nu < _UNIFORM_FROM
    if low.all():
        from scipy.special import gammaln

        with np.errstate(divide="ignore", invalid="ignore"):
            power = np.where(nu == 0.0, 0.0, nu * (np.log(x) - np.log(2.0)))
        return power - gammaln(nu + 1.0) + log_mgf_kernel(nu, x)
    if low.any():
        return _split(log_iv_kernel, low, nu, x)
    z = x / nu
    s = np.hypot(1.0, z)
    with np.errstate(divide="ignore"):
        # asinh(1/z) without 1/z where that could overflow, and without a quotient that could underflow
        log_z = np.where(z > 1e-290, np.log(z), np.log(x) - np.log(nu))
    angle = np.where(z < 1.0, np.log1p(s) - log_z, np.arcsinh(1.0 / np.maximum(z, 1.0)))
    return nu * (s - angle) - 0.5 * np.log(2.0 * np.pi * nu * s) + np.log1p(_tail(nu, 1.0 / s))


def log_mgf_kernel(nu: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return log[Gamma(nu+1) (2/t)^nu I_nu(t)] for float64 arrays of one shape."""
    is_small = t * t <= 16.0 * (nu + 1.0)
    if is_small.all():
        return _log_series(nu, t)
    if is_small.any():
        return _split(log_mgf_kernel, is_small, nu, t)
    is_low_order = nu < _UNIFORM_FROM
    if is_low_order.all():
        # Climb to orders where the expansion holds: mgf_{nu-1} / mgf_nu = 1 + t A_nu(t) / (2 nu).
        nu = nu + _UNIFORM_FROM
        bessel_ratio, steps = ratio_kernel(nu, t), np.zeros_like(t)
        for _ in range(int(_UNIFORM_FROM)):
            steps += np.log1p(t * bessel_ratio / (2.0 * nu))
            bessel_ratio = 1.0 / (2.0 * nu / t + bessel_ratio)
            nu = nu - 1.0
        return log_mgf_kernel(nu + _UNIFORM_FROM, t) + steps
    if is_low_order.any():
        return _split(log_mgf_kernel, is_low_order, nu, t)
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


def ratio_kernel(nu: np.ndarray, x: np.ndarray) -> np.ndarray:
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


def inverse_ratio_kernel(nu: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Return the argument of a ratio by a Newton iteration between the bounds of Amos."""
    dim = 2.0 * nu + 2.0
    gap = (1.0 - r) * (1.0 + r)
    # Amos: k / (nu + 1/2 + sqrt(k^2 + (nu + 3/2)^2)) <= A(k) <= k / (nu + 1/2 + sqrt(k^2 + (nu + 1/2)^2))
    lower = r * (2.0 * nu + 1.0) / gap
    upper = r * ((nu + 0.5) + np.sqrt((nu + 1.5) ** 2 - r**2 * dim)) / gap
    k = np.clip(r * (dim - r**2) / gap, lower, upper)
    for _ in range(60):
        value = ratio_kernel(nu, np.minimum(k, 2.0 * MAX_ARGUMENT))
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(k > 0.0, 1.0 - value**2 - (dim - 1.0) * (value / k), 1.0 / dim)
        next_k = np.clip(k - (value - r) / np.maximum(slope, 1e-300), lower, upper)
        # Convergence is quadratic: after a step this small the error is at the level of rounding.
        converged = np.all(np.abs(next_k - k) <= 1e-9 * next_k)
        k = next_k
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
        next_polynomial: dict[int, Fraction] = {}
        for power, c in u.items():
            for shift, value in (
                (1, c * power / 2 + c / (8 * (power + 1))),
                (3, -c * power / 2 - 5 * c / (8 * (power + 3))),
            ):
                next_polynomial[power + shift] = next_polynomial.get(power + shift, Fraction(0)) + value
        u = next_polynomial
        out.append(tuple(float(u[k + 2 * j]) for j in range(k + 1)))
    return tuple(out)
