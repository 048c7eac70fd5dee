"""Bounds of the symmetric InfoNCE loss, and the functions whose minima decide where two clouds of vectors go.

L is the loss with both directions summed, Phi = L - 2 log n its population part, tau the temperature. A
bound on Phi holds for every number of pairs n. Every docstring says under which assumption its statement
holds and whether it is proved, measured or open. Claims are those of Yi, Douady and Chen (2025), arXiv
2510.03268, or are derived here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.linalg.bessel import bessel_ratio, log_sphere_mgf
from isthmus.utils.errors import InputError

__all__ = [
    "Certificate",
    "affine_infimum",
    "collapse_margin",
    "cone_function",
    "cone_is_monotone",
    "finite_bound",
    "loss_bound",
    "orthogonal_centres_certificate",
    "orthogonal_centres_value",
    "simplex_optimum",
    "subspace_function",
    "uniform_bound",
    "uniform_bound_is_proved",
]


def uniform_bound(dim: int, /, *, temperature: float) -> float:
    """Least possible Phi of unit vectors in R^dim: B = -2/tau + 2 log E exp(u.e / tau), in nats.

    Assumption: unit rows, no other constraint. Equality iff x_i = y_i and the distribution is uniform.
    Proved for x = y at every temperature, and for every pairing if 1/(2 tau) >= log E exp(u.e / tau) (tau
    >= 0.2322 at dim = 3, 0.0800 at 8, 0.00118 at 512); open below that, where no violation was found.
    Source: arXiv 2510.03268, Theorem 1; for x = y Wang and Isola (2020), arXiv 2005.10242.

    Raises `InputError` for a temperature that is not positive or below 1e-6, or a dimension outside 1..4098.

    >>> round(uniform_bound(3, temperature=0.2), 6)
    -4.605261
    """
    k = _inverse(temperature)
    return -2.0 * k + 2.0 * log_sphere_mgf(dim, k)


def uniform_bound_is_proved(dim: int, /, *, temperature: float) -> bool:
    """Whether `uniform_bound` is proved for every pairing: 1/(2 tau) >= log E exp(u.e / tau) for u uniform in R^dim.

    Assumption: unit rows. Where it is False the bound is proved for x = y only; no violation was found (open).

    Raises `InputError` as `uniform_bound` does.

    >>> [uniform_bound_is_proved(3, temperature=t) for t in (0.23, 0.24)]
    [False, True]
    """
    k = _inverse(temperature)
    return bool(0.5 * k >= log_sphere_mgf(dim, k))


def finite_bound(n: float, /, *, temperature: float, cosine: float = 1.0) -> float:
    """Least possible L of n pairs: 2 log(1 + (n - 1) exp(-n / (n - 1) * `cosine` / tau)), in nats, >= 0.

    `cosine` bounds the trace of the centred cross-covariance, E x.y - mean_x.mean_y: its value for these
    pairs, or the fidelity of the two covariances for every pairing of the clouds, or 1. Assumption: unit
    rows, no other. Proved (Jensen, twice). With `cosine` = 1 the simplex attains it if n <= dim + 1; for
    many more pairs `loss_bound` is tighter.

    Raises `InputError` for n < 1, a cosine outside [-1, 1] and a temperature that is not positive.

    >>> round(finite_bound(9, temperature=0.2), 7)
    0.0568882
    """
    k = _inverse(temperature)
    _within("n", n, 1.0, math.inf)
    _within("cosine", cosine, -1.0, 1.0)
    if n == 1:
        return 0.0
    return 2.0 * float(np.logaddexp(0.0, math.log(n - 1) - k * cosine * (n / (n - 1))))


def loss_bound(n: float, dim: int, /, *, temperature: float, cosine: float = 1.0) -> float:
    """The larger of `finite_bound` and 2 log n + `uniform_bound`: both hold, the first for few pairs, the
    second for many.

    Assumption: unit rows. Proved where `finite_bound` is the larger (always) or `uniform_bound_is_proved`.
    Loose by up to 0.35 where the two cross, at dim = 8 and tau = 0.2 (measured).

    >>> round(loss_bound(4, 3, temperature=0.5), 6)
    0.378678
    """
    return max(
        finite_bound(n, temperature=temperature, cosine=cosine),
        2.0 * math.log(n) + uniform_bound(dim, temperature=temperature),
    )


def simplex_optimum(n: int, dim: int, /, *, temperature: float) -> float:
    """The least L that n pairs in R^dim can reach, for n <= dim + 1: x_i = y_i at the corners of a simplex.

    Assumption: unit rows, no other constraint. Proved: `finite_bound` with cosine 1, and the simplex
    attains it. For n > dim + 1 no closed form is known (open).

    Raises `InputError` for n outside 1..dim + 1.

    >>> round(simplex_optimum(9, 8, temperature=0.5), 7)
    1.2229997
    """
    if not 1 <= n <= dim + 1:
        raise InputError(f"n = {n} pairs for dim = {dim} came: a simplex needs 1 <= n <= dim + 1, use loss_bound.")
    return finite_bound(n, temperature=temperature)


def cone_function(w: float, /, *, kappa: float, dim: int, temperature: float) -> float:
    """J(w): loss of the pair of centres of two von Mises-Fisher clouds whose centres have cosine `w`, in
    nats.

    J = -w/tau + log[I_nu(M) kappa^nu / (I_nu(kappa) M^nu)], M^2 = kappa^2 + 2 kappa w / tau + 1 / tau^2, nu
    = dim/2 - 1. Assumption: both clouds von Mises-Fisher of the same concentration. w = 1 is the global
    minimum (proved); it is not a bound of the full loss. Source: arXiv 2510.03268, Theorem 2.

    Raises `InputError` for w outside [-1, 1], kappa outside [0, 1e6] and a temperature that is not positive.

    >>> round(cone_function(1.0, kappa=20, dim=3, temperature=0.05), 6)
    -0.693147
    """
    k = _inverse(temperature)
    _within("w", w, -1.0, 1.0)
    length = math.sqrt((kappa - k) ** 2 + 2.0 * kappa * k * (1.0 + w))
    return -w * k + log_sphere_mgf(dim, length) - log_sphere_mgf(dim, kappa)


def cone_is_monotone(*, kappa: float, dim: int, temperature: float) -> bool:
    """Whether `cone_function` falls all the way from w = -1 to w = 1, so that no start can be trapped far
    apart.

    A(|kappa - 1/tau|) / |kappa - 1/tau| <= 1/kappa with A = I_{nu+1} / I_nu; always so for kappa <= dim.
    Where it fails, w = -1 is a local minimum: concentrated clouds that start far apart stay apart.
    Assumption: as `cone_function`. Proved for the centre pair; that particles of the full loss stick too is
    measured.

    >>> cone_is_monotone(kappa=20, dim=3, temperature=0.05)
    False
    """
    k = _inverse(temperature)
    _within("kappa", kappa, 0.0, 1e6)
    gap = abs(kappa - k)
    slope = bessel_ratio(dim / 2 - 1, gap) / gap if gap > 0.0 else 1.0 / dim
    return bool(kappa * slope <= 1.0)


def subspace_function(w1: float, w2: float, t: float, /, *, kappa: float, dim: int, temperature: float) -> float:
    """The centre-pair function of two von Mises-Fisher clouds confined to hyperplanes of R^dim, in nats.

    -w1/tau + log[I_nu(M) kappa^nu / (I_nu(kappa) M^nu)], M^2 = kappa^2 + 2 kappa w2 / tau + t^2 / tau^2,
    nu = (dim - 1)/2 - 1: `w1` the cosine of the centres, `t` the length of the other centre's projection,
    `w2` its cosine with the own centre. Assumption: as `cone_function`, in dimension dim - 1. Its minimum
    lies at centres *inside* the shared space (measured); the full loss decides the other way, so this
    function alone does not prove the gap. Source: arXiv 2510.03268, Theorem 3.

    Raises `InputError` for cosines outside [-1, 1], |w2| > |t|, or a temperature that is not positive.

    >>> round(subspace_function(0.5, 0.5, 0.5, kappa=10, dim=3, temperature=0.2), 6)
    -0.114337
    """
    k = _inverse(temperature)
    for name, value in (("w1", w1), ("w2", w2), ("t", t)):
        _within(name, value, -1.0, 1.0)
    if abs(w2) > abs(t) + 1e-12:
        raise InputError(f"w2 = {w2:g} came with t = {t:g}: the projection of a centre is not longer than t.")
    length = math.sqrt(max(0.0, (kappa - abs(t) * k) ** 2 + 2.0 * kappa * k * (abs(t) + w2)))
    return -w1 * k + log_sphere_mgf(dim - 1, length) - log_sphere_mgf(dim - 1, kappa)


def affine_infimum(dim: int, /, *, temperature: float, radius: float) -> float:
    """Least Phi if x = sqrt(1 - r^2) a + r u, y = sqrt(1 - r^2) b + r v: B(dim - 2, tau / r^2), in nats.

    a and b are fixed unit vectors orthogonal to the shared space of dim - 2 dimensions, u and v unit
    vectors in it. The loss does not depend on the angle between a and b at all (proved), so it neither
    makes nor mends a gap; the infimum is proved where `uniform_bound` is, at temperature tau / r^2.

    Raises `InputError` for a radius outside (0, 1], dim < 3, or a temperature that is not positive.

    >>> round(affine_infimum(8, temperature=0.2, radius=0.7), 4)
    -3.955
    """
    _within("radius", radius, 1e-9, 1.0)
    _inverse(temperature)
    if dim < 3:
        raise InputError(f"dim = {dim} came: give at least 3, so that a shared space is left.")
    return uniform_bound(dim - 2, temperature=temperature / radius**2)


def orthogonal_centres_value(dim: int, /, *, temperature: float, mean_length: float) -> float:
    """Phi of clouds in two hyperplanes with centres orthogonal to the shared space: B(dim - 2, tau / (1 -
    R0^2)).

    Assumption: both means have length R0 = `mean_length`, every row has the same part along its own normal
    direction, partners agree in the shared space and are uniform there. Then the value holds for both signs
    of the angle (gap phi and 180 - phi). Proved, given that assumption; that free centres go there is
    measured, see `orthogonal_centres_certificate`.

    Raises `InputError` for a mean length outside [0, 1), dim < 3, or a temperature that is not positive.

    >>> round(orthogonal_centres_value(8, temperature=0.5, mean_length=0.5), 4)
    -2.6334
    """
    _within("mean_length", mean_length, 0.0, 1.0 - 1e-9)
    return affine_infimum(dim, temperature=temperature, radius=math.sqrt(1.0 - mean_length**2))


@dataclass(frozen=True)
class Certificate:
    """Result of `orthogonal_centres_certificate`.

    `excess_g`, `excess_h`: how far the two functions rise above G(R0) on [-1, 1], in nats; `holds` if
    neither does.
    """

    holds: bool
    excess_g: float
    excess_h: float


def orthogonal_centres_certificate(
    dim: int, /, *, temperature: float, mean_length: float, angle: float, points: int = 20001
) -> Certificate:
    """A sufficient condition for centres orthogonal to the shared space to be optimal, at dihedral `angle`
    (degrees).

    With R0 = `mean_length`, rho^2 = 1 - R0^2, A = A(rho^2 / tau) in dimension dim - 2 and
    l(s) = (R0 / tau)(1 - A)(s - R0), both
    G(s) = [1 - s^2 + cos(angle)(s - R0)^2] / (2 tau) - log E exp(rho sqrt(1 - s^2) u.e / tau) + l(s) and
    H(s) = cos(angle)(s - R0)^2 / (2 tau) + l(s) must stay at or below G(R0) for s in [-1, 1].
    Assumption: two hyperplanes of R^dim, both means of length R0. Where it holds, optimality is proved;
    where it fails nothing follows (it is sufficient, not necessary). The maxima are taken on a grid of
    `points`, to rounding.

    Raises `InputError` as `orthogonal_centres_value` does, and for an angle outside [0, 180].

    >>> orthogonal_centres_certificate(512, temperature=0.01, mean_length=0.8, angle=60.0).holds
    True
    """
    orthogonal_centres_value(dim, temperature=temperature, mean_length=mean_length)  # for its checks
    k, r0, c = _inverse(temperature), mean_length, _cosine(angle)
    rho = math.sqrt(1.0 - r0**2)
    slope = k * r0 * (1.0 - _sphere_ratio(dim - 2, rho**2 * k))
    s = np.concatenate([np.cos(np.linspace(0.0, np.pi, points)), [r0]])
    H = 0.5 * k * c * (s - r0) ** 2 + slope * (s - r0)
    G = H + 0.5 * k * (1.0 - s**2) - log_sphere_mgf(dim - 2, k * rho * np.sqrt((1.0 - s) * (1.0 + s)))
    excess_g, excess_h = float(np.max(G) - G[-1]), float(np.max(H) - G[-1])
    rounding = 1e-13 * (k + abs(float(G[-1])))
    return Certificate(holds=excess_g <= rounding and excess_h <= rounding, excess_g=excess_g, excess_h=excess_h)


def collapse_margin(dim: int, /, *, temperature: float, angle: float) -> float:
    """1 - cos(angle) - A(1/tau) in dimension dim - 2: if positive, unconstrained clouds collapse into the
    shared space.

    Two hyperplanes of R^dim at dihedral `angle` (degrees), no constraint on the means: the state with every
    row in the shared space and partners equal is locally stable iff the margin is positive. Derived as a
    local condition and in agreement with particle runs (measured); not proved globally.

    Raises `InputError` for dim < 3, an angle outside [0, 180], or a temperature that is not positive.

    >>> round(collapse_margin(8, temperature=0.5, angle=60.0), 6)
    0.191211
    """
    if dim < 3:
        raise InputError(f"dim = {dim} came: give at least 3, so that a shared space is left.")
    return 1.0 - _cosine(angle) - _sphere_ratio(dim - 2, _inverse(temperature))


def _sphere_ratio(dim: int, k: float) -> float:
    """Mean resultant length at concentration k in R^dim, tanh in one dimension."""
    return math.tanh(k) if dim == 1 else float(bessel_ratio(dim / 2 - 1, k))


def _inverse(temperature: float) -> float:
    if not 1e-6 <= temperature < math.inf:
        raise InputError(f"temperature {temperature!r} came: give a positive number, at least 1e-6.")
    return 1.0 / temperature


def _cosine(angle: float) -> float:
    _within("angle", angle, 0.0, 180.0)
    return math.cos(math.radians(angle))


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} = {value:g} came: give a number in [{low:g}, {high:g}].")
