"""Bounds against independent integrals, losses of explicit configurations and numerical minimisation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, optimize, special

from isthmus import linalg, theory
from isthmus.utils.errors import InputError


def sphere_mgf(dim, k):
    """E exp(k u.e) by quadrature of the marginal density (1 - s^2)^((dim - 3)/2)."""
    weight = special.beta(0.5, (dim - 1) / 2)
    return (
        integrate.quad(
            lambda a: math.exp(k * math.cos(a)) * math.sin(a) ** (dim - 2), 0, math.pi, epsabs=0, epsrel=1e-12
        )[0]
        / weight
    )


def unit(rng, n, d):
    X = rng.standard_normal((n, d))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def simplex(n):
    corners = np.eye(n) - 1 / n
    return corners / np.linalg.norm(corners, axis=1, keepdims=True)


@pytest.mark.parametrize(("dim", "t"), [(2, 0.3), (3, 0.2), (8, 0.05), (64, 0.5)])
def test_uniform_bound_equals_quadrature(dim, t):
    expected = -2 / t + 2 * math.log(sphere_mgf(dim, 1 / t))
    assert theory.uniform_bound(dim, temperature=t) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("dim", "threshold"), [(3, 0.2322), (8, 0.0800), (512, 0.00118)])
def test_uniform_bound_is_proved_above_its_temperature(dim, threshold):
    assert theory.uniform_bound_is_proved(dim, temperature=1.005 * threshold)
    assert not theory.uniform_bound_is_proved(dim, temperature=0.995 * threshold)


def test_cone_function_is_no_bound_of_the_clouds():
    """Phi of a cloud and its copy lies below twice the least loss of the pair of centres."""
    X = theory.VonMisesFisher(np.eye(3)[0], 20.0).sample(4000, rng=0)
    clouds = theory.info_nce_limit(X, X, temperature=0.05)
    assert clouds == pytest.approx(-2.3736, abs=0.03)
    assert clouds < 2 * theory.cone_function(1.0, kappa=20.0, dim=3, temperature=0.05)


def test_loss_of_random_configurations_stays_above_the_bounds():
    rng = np.random.default_rng(0)
    for n, d, t, noise in itertools.product((2, 5, 40), (2, 3, 6), (0.1, 0.5), (0.0, 0.3)):
        X = unit(rng, n, d) + rng.standard_normal(d)
        X /= np.linalg.norm(X, axis=1, keepdims=True)
        Y = X + noise * rng.standard_normal((n, d))
        Y /= np.linalg.norm(Y, axis=1, keepdims=True)
        loss = theory.info_nce(X, Y, temperature=t)
        trace = float(np.trace(np.cov(X.T, Y.T, bias=True)[:d, d:]))
        best = linalg.fidelity(np.cov(X.T, bias=True), np.cov(Y.T, bias=True))
        chain = [theory.finite_bound(n, temperature=t, cosine=c) for c in (min(trace, 1), min(best, 1), 1.0)]
        assert loss >= chain[0] - 1e-12
        assert chain[0] >= chain[1] - 1e-9 >= chain[2] - 2e-9
        assert loss >= theory.loss_bound(n, d, temperature=t)


@pytest.mark.parametrize("n", [2, 3, 9])
def test_simplex_attains_the_finite_bound(n):
    X = simplex(n)
    loss = theory.info_nce(X, X, temperature=0.2)
    assert theory.simplex_optimum(n, n - 1, temperature=0.2) == pytest.approx(loss, rel=1e-10)
    assert theory.finite_bound(1, temperature=0.2) == 0.0


@pytest.mark.parametrize(
    ("dim", "t", "n"),
    [(3, 0.2, 10.4), (8, 0.2, 48), (8, 0.05, 2338), (512, 0.07, 7.3e6), (512, 0.01, 1.8e39)],
)
def test_loss_bound_is_the_larger_of_both_bounds(dim, t, n):
    for factor, few in ((0.95, True), (1.05, False)):
        finite = theory.finite_bound(n * factor, temperature=t)
        uniform = 2 * math.log(n * factor) + theory.uniform_bound(dim, temperature=t)
        assert (finite > uniform) is few
        assert theory.loss_bound(n * factor, dim, temperature=t) == max(finite, uniform)


@pytest.mark.parametrize("dim", [3, 8])
def test_cone_function_is_the_loss_of_the_centres(dim):
    """-w/tau + log of E exp(c_x.y / tau) over a von Mises-Fisher cloud with centre c_y, by quadrature."""
    kappa, t, w = 4.0, 0.4, 0.3
    k = 1 / t
    length = math.sqrt(kappa**2 + 2 * kappa * k * w + k**2)
    expected = -w * k + math.log(sphere_mgf(dim, length) / sphere_mgf(dim, kappa))
    assert theory.cone_function(w, kappa=kappa, dim=dim, temperature=t) == pytest.approx(expected, rel=1e-10)
    inside = theory.subspace_function(w, w, 1.0, kappa=kappa, dim=dim + 1, temperature=t)
    assert inside == pytest.approx(expected, rel=1e-10)


def test_cone_function_has_its_minimum_at_zero_gap():
    w = np.linspace(-1, 1, 21)
    for kappa, dim, t in itertools.product((0.5, 5.0, 50.0), (2, 3, 8, 512), (0.01, 0.1, 1.0)):
        J = np.array([theory.cone_function(v, kappa=kappa, dim=dim, temperature=t) for v in w])
        assert J.argmin() == 20
        falling = bool(np.all(np.diff(J) <= 1e-9 * np.abs(J).max()))
        assert theory.cone_is_monotone(kappa=kappa, dim=dim, temperature=t) is falling
    assert theory.cone_is_monotone(kappa=20.0, dim=20, temperature=0.05)


def test_affine_infimum_does_not_depend_on_the_angle():
    rng = np.random.default_rng(1)
    u, r, losses = unit(rng, 200, 4), 0.7, []
    for angle in (0.0, 60.0, 180.0):
        a, b = np.array([1.0, 0.0]), np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        X, Y = (np.concatenate([np.tile(math.sqrt(1 - r * r) * c, (200, 1)), r * u], axis=1) for c in (a, b))
        losses.append(theory.info_nce_limit(X, Y, temperature=0.2))
    np.testing.assert_allclose(losses, losses[0], rtol=1e-13)
    floor = theory.affine_infimum(6, temperature=0.2, radius=r)
    assert losses[0] >= floor
    assert floor == pytest.approx(theory.uniform_bound(4, temperature=0.2 / r**2))


def test_orthogonal_centres_value_is_reached_by_dense_clouds():
    """h = 4: the shared space is a plane, where a regular polygon is uniform enough to give the integral."""
    R0, t, n = 0.5, 0.5, 64
    turn = 2 * np.pi * np.arange(n) / n
    shared = math.sqrt(1 - R0**2) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    for angle in (60.0, 120.0):
        c = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        X = np.concatenate([np.tile([R0, 0.0], (n, 1)), shared], axis=1)
        Y = np.concatenate([np.tile(R0 * c, (n, 1)), shared], axis=1)
        value = theory.orthogonal_centres_value(4, temperature=t, mean_length=R0)
        assert theory.info_nce_limit(X, Y, temperature=t) == pytest.approx(value, abs=1e-10)


def certificate_by_hand(dim, t, R0, angle):
    rho2, c = 1 - R0**2, math.cos(math.radians(angle))
    small = 1e-5
    A = (math.log(sphere_mgf(dim - 2, rho2 / t + small)) - math.log(sphere_mgf(dim - 2, rho2 / t - small))) / (
        2 * small
    )

    def h(s):
        return c * (s - R0) ** 2 / (2 * t) + (R0 / t) * (1 - A) * (s - R0)

    def g(s):
        return (1 - s * s) / (2 * t) + h(s) - math.log(sphere_mgf(dim - 2, math.sqrt(rho2 * (1 - s * s)) / t))

    grid = np.linspace(-1, 1, 401)
    return max(map(g, grid)) - g(R0), max(map(h, grid)) - g(R0)


@pytest.mark.parametrize(("dim", "t", "R0", "angle"), [(8, 0.5, 0.5, 60.0), (8, 0.2, 0.5, 60.0), (5, 0.3, 0.7, 100.0)])
def test_certificate_equals_its_definition_on_a_grid(dim, t, R0, angle):
    found = theory.orthogonal_centres_certificate(dim, temperature=t, mean_length=R0, angle=angle)
    g, h = certificate_by_hand(dim, t, R0, angle)
    assert found.excess_g == pytest.approx(max(g, 0.0), abs=1e-4)
    assert found.excess_h == pytest.approx(h, abs=1e-4)
    assert found.holds is bool(max(g, h) < 1e-4)


def test_certificate_fails_where_orthogonal_centres_lose():
    """Where a better configuration than orthogonal centres is known, the certificate must not hold."""
    for dim, t, R0, angle in [(3, 0.05, 0.3, 80.0), (8, 0.05, linalg.bessel.bessel_ratio(2.5, 2.0), 80.0)]:
        found = theory.orthogonal_centres_certificate(dim, temperature=t, mean_length=R0, angle=angle)
        assert not found.holds
        assert max(found.excess_g, found.excess_h) > 0
    line = theory.orthogonal_centres_certificate(3, temperature=0.5, mean_length=0.6, angle=60.0)
    assert math.isfinite(line.excess_g)


def test_collapse_margin_is_a_second_derivative():
    """Tilt all pairs of a uniform plane cloud towards the normals by +-e: does the loss rise? h = 4, shared
    plane.
    """
    n, t = 128, 0.5
    turn = 2 * np.pi * np.arange(n) / n
    signs = np.tile([1.0, -1.0], n // 2)

    def loss(e, angle):
        c = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        shared = math.sqrt(1 - e * e) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        X = np.concatenate([e * signs[:, None] * [1.0, 0.0], shared], axis=1)
        Y = np.concatenate([e * signs[:, None] * c, shared], axis=1)
        return theory.info_nce_limit(X, Y, temperature=t)

    threshold = optimize.brentq(lambda a: theory.collapse_margin(4, temperature=t, angle=a), 5.0, 175.0)
    for angle, rises in ((threshold - 2, False), (threshold + 2, True)):
        assert (loss(0.02, angle) > loss(0.0, angle)) is rises
    assert (
        theory.collapse_margin(8, temperature=0.2, angle=60.0)
        < 0
        < theory.collapse_margin(8, temperature=0.5, angle=60.0)
    )
    assert theory.collapse_margin(3, temperature=0.5, angle=60.0) == pytest.approx(0.5 - math.tanh(2.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.uniform_bound(3, temperature=0.0), "temperature 0.0, expected a number of at least 1e-6"),
        (lambda: theory.uniform_bound(0, temperature=0.1), "dim = 0"),
        (lambda: theory.finite_bound(0, temperature=0.1), "n = 0, expected a number in"),
        (lambda: theory.finite_bound(3, temperature=0.1, cosine=1.5), "cosine = 1.5"),
        (lambda: theory.simplex_optimum(9, 7, temperature=0.1), "use loss_bound"),
        (
            lambda: theory.cone_function(1.2, kappa=1, dim=3, temperature=0.1),
            r"w = 1.2, expected a number in \[-1, 1\]",
        ),
        (lambda: theory.cone_is_monotone(kappa=-1, dim=3, temperature=0.1), "kappa = -1"),
        (
            lambda: theory.subspace_function(0.1, 0.9, 0.2, kappa=1, dim=3, temperature=0.1),
            "w2 = 0.9 with t = 0.2, expected",
        ),
        (lambda: theory.affine_infimum(2, temperature=0.1, radius=0.5), "dim = 2, expected at least 3"),
        (lambda: theory.affine_infimum(5, temperature=0.1, radius=0.0), "radius = 0"),
        (lambda: theory.cone_function(1.0, kappa=-1, dim=3, temperature=0.1), "kappa = -1"),
        (lambda: theory.cone_is_monotone(kappa=1, dim=1, temperature=0.1), "dim = 1"),
        (lambda: theory.subspace_function(0.5, 0.5, 0.5, kappa=-1, dim=3, temperature=0.1), "kappa = -1"),
        (lambda: theory.finite_bound(math.inf, temperature=0.1), "n = inf, expected a number in"),
        (lambda: theory.orthogonal_centres_value(5, temperature=0.1, mean_length=1.0), "from 0 and below 1"),
        (
            lambda: theory.orthogonal_centres_certificate(8, temperature=0.1, mean_length=0.5, angle=60, points=0),
            "points = 0, expected a whole number in",
        ),
        (lambda: theory.collapse_margin(2, temperature=0.1, angle=60.0), "dim = 2"),
        (lambda: theory.collapse_margin(5, temperature=0.1, angle=200.0), "angle = 200"),
    ],
)
def test_bounds_refuse_arguments_out_of_range(call, message):
    with pytest.raises(InputError, match=message):
        call()
