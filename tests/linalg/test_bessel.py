"""Bessel functions against mpmath at 40 digits, over the whole stated range."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import special

from isthmus.linalg.bessel import bessel_ratio, inverse_bessel_ratio, log_iv, log_sphere_mgf
from isthmus.utils.errors import InputError

ORDERS = [0, 1e-6, 0.5, 1, 2.5, 14.999, 15, 15.001, 23.999, 24, 31, 63.5, 127, 255, 511, 1023, 2047, 4096]


@pytest.fixture(autouse=True)
def forty_digits():
    with mpmath.workdps(40):
        yield


def besseli(nu, x):
    return mpmath.besseli(mpmath.mpf(nu), mpmath.mpf(x), maxterms=10**7)


def sample():
    """A grid with the borders of the methods, random pairs, and pairs near I_nu(x) = 1."""
    rng = np.random.default_rng(20240)
    grid = np.meshgrid(ORDERS, [1e-300, 1e-30, 1e-8, 1e-3, 0.7, 2.0, 9.0, 60.0, 1e3])
    nu = np.concatenate([rng.uniform(0, 60, 60), 10 ** rng.uniform(-4, np.log10(4096), 60)])
    x = 10 ** rng.uniform(-9, 4, 120)
    crossing = np.concatenate([rng.uniform(0.3, 60, 60), 10 ** rng.uniform(1, 3.6, 60)])
    near = 0.6627434 * crossing * np.exp(0.01 * rng.standard_normal(120))
    far_nu, far_x = [0.5, 24, 600, 4096, 4096], [1e5, 1e5, 1e5, 1e5, 1e6]
    return (
        np.concatenate([grid[0].ravel(), nu, crossing, far_nu]),
        np.concatenate([grid[1].ravel(), x, near, far_x]),
    )


@pytest.mark.slow
def test_log_iv_agrees_with_mpmath():
    nu, x = sample()
    exact = [mpmath.log(besseli(n, v)) for n, v in zip(nu, x, strict=True)]
    got = map(mpmath.mpf, log_iv(nu, x).tolist())
    error = np.array([abs(float(g - e)) for g, e in zip(got, exact, strict=True)])
    size = np.abs(np.array([float(e) for e in exact]))
    allowed = np.maximum(2e-15 * size, 1e-15 * np.maximum(np.maximum(nu, x), 1.0))
    worst = int(np.argmax(error / allowed))
    assert error[worst] <= allowed[worst], (nu[worst], x[worst], error[worst])


def test_bessel_ratio_agrees_with_mpmath():
    nu, x = sample()
    nu, x = nu[x < 1e4], x[x < 1e4]
    pairs = zip(map(mpmath.mpf, nu.tolist()), map(mpmath.mpf, x.tolist()), strict=True)
    exact = [float(besseli(n + 1, v) / besseli(n, v)) for n, v in pairs]
    np.testing.assert_allclose(bessel_ratio(nu, x), exact, rtol=2e-15)


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 8, 31, 50, 51, 52, 512, 4098])
def test_log_sphere_mgf_agrees_with_mpmath(dim):
    border = 4 * np.sqrt(dim / 2) * np.array([0.3, 0.999, 1.001, 9.0])
    t = np.concatenate([[1e-150, 1e-12, 1e-4, 0.3, 0.999, 1.001], border])
    got = log_sphere_mgf(dim, t)
    for value, argument in zip(got, t, strict=True):
        v = mpmath.mpf(float(argument))
        nu = mpmath.mpf(dim) / 2 - 1
        if argument < 1e-2:
            exact = v**2 / (2 * dim) - v**4 / (4 * mpmath.mpf(dim) ** 2 * (dim + 2))
        elif dim == 1:
            exact = mpmath.log(mpmath.cosh(v))
        else:
            exact = mpmath.log(mpmath.gamma(nu + 1) * (2 / v) ** nu * besseli(nu, v))
        assert abs(float((mpmath.mpf(float(value)) - exact) / exact)) < 2e-15


def test_log_sphere_mgf_is_the_mean_over_the_sphere():
    rng = np.random.default_rng(1)
    for dim in (1, 2, 5, 40):
        u = rng.standard_normal((200_000, dim))
        cosines = u[:, 0] / np.linalg.norm(u, axis=1)
        assert log_sphere_mgf(dim, 1.5) == pytest.approx(np.log(np.mean(np.exp(1.5 * cosines))), abs=0.01)
    assert log_sphere_mgf(7, -2.0) == log_sphere_mgf(7, 2.0)
    assert log_sphere_mgf(1, 1e6) == pytest.approx(1e6 - np.log(2), rel=1e-15)


def test_derivative_of_the_sphere_mgf_is_the_ratio():
    for dim, t in [(3, 2.0), (50, 7.0), (1000, 300.0)]:
        slope = (log_sphere_mgf(dim, t + 1e-4) - log_sphere_mgf(dim, t - 1e-4)) / 2e-4
        assert slope == pytest.approx(bessel_ratio(dim / 2 - 1, t), rel=1e-7)


def test_functions_at_the_edges_of_their_range_are_exact():
    assert log_iv(0, 0) == 0.0
    assert log_iv(0.5, 0) == -np.inf
    assert log_iv(4096, 0) == -np.inf
    assert np.isfinite(log_iv(4096, 5e-324))
    assert bessel_ratio(3, 0) == 0.0
    assert inverse_bessel_ratio(3, 0) == 0.0
    assert log_sphere_mgf([1, 2, 700], 0.0).tolist() == [0.0, 0.0, 0.0]
    assert bessel_ratio(0, 1e-300) == pytest.approx(5e-301, rel=1e-15)


@pytest.mark.parametrize("nu", [0, 0.5, 3, 14, 30, 255, 2047, 4096])
def test_inverse_ratio_is_as_accurate_as_its_conditioning(nu):
    x = np.geomspace(1e-10, 9e5, 500)
    r = bessel_ratio(nu, x)
    slope = 1 - r * r - (2 * nu + 1) / x * r
    conditioning = np.finfo(float).eps * r / (x * np.abs(slope))
    assert np.max(np.abs(inverse_bessel_ratio(nu, r) / x - 1) / np.maximum(conditioning, 1e-15)) < 5


def test_inverse_ratio_agrees_with_a_root_of_mpmath():
    for nu, r in [(0, 0.3), (2, 0.9), (40, 0.5), (511, 0.02)]:
        r = mpmath.mpf(r)
        start = r * (2 * nu + 2 - r * r) / (1 - r * r)
        root = mpmath.findroot(lambda k, n=nu, m=r: besseli(n + 1, k) / besseli(n, k) - m, start, tol=1e-30)
        assert inverse_bessel_ratio(nu, float(r)) == pytest.approx(float(root), rel=1e-13)


def test_log_iv_agrees_with_scipy_where_scipy_is_finite():
    nu, x = np.meshgrid([0, 1.5, 20, 40], [0.5, 10.0, 300.0])
    np.testing.assert_allclose(log_iv(nu, x), np.log(special.ive(nu, x)) + x, rtol=1e-13)


def test_functions_keep_shape_and_library():
    assert isinstance(log_iv(3, 2.0), float)
    assert log_iv(np.zeros((3, 1)), np.ones(4)).shape == (3, 4)
    assert log_iv(3, np.float32(2.0)) == log_iv(3, 2.0)
    torch = pytest.importorskip("torch")
    got = log_sphere_mgf(5, torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert isinstance(got, torch.Tensor)
    np.testing.assert_array_equal(got.numpy(), log_sphere_mgf(5, [1.0, 2.0]))
    strict = pytest.importorskip("array_api_strict")
    assert type(bessel_ratio(strict.asarray([1.0, 2.0]), 3.0)) is type(strict.asarray(1.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_iv(-1, 2), r"order = -1, expected a number in \[0, 4096\]"),
        (lambda: log_iv(4097, 2), r"order = 4097"),
        (lambda: log_iv(1, -2.5), r"x = -2.5, expected a number in \[0, 1e\+06\]"),
        (lambda: log_iv(1, [1.0, np.nan]), r"x = nan"),
        (lambda: bessel_ratio(np.nan, 1.0), r"order = nan"),
        (lambda: bessel_ratio(1, 1.1e6), r"x = 1100000"),
        (lambda: inverse_bessel_ratio(1, 1.0), r"r = 1, expected a number in \[0, 1\)"),
        (lambda: inverse_bessel_ratio(0, 1 - 1e-9), r"2 dimensions .* concentration is above 1e6"),
        (lambda: log_sphere_mgf(0, 1.0), r"dim = 0, expected a number in \[1, 4098\]"),
        (lambda: log_sphere_mgf(2.5, 1.0), r"expected an integer"),
        (lambda: log_sphere_mgf(3, -2e6), r"t = 2000000, expected a number in"),
        (lambda: log_iv(np.ones(3), np.ones(4)), r"orders of shape \(3,\) and x of shape \(4,\)"),
    ],
)
def test_functions_refuse_values_out_of_range(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_inverse_ratio_of_an_array_with_one_ratio_out_of_range_is_refused():
    with pytest.raises(InputError, match=r"whose mean has length r = 0.99999999900 are too nearly equal"):
        inverse_bessel_ratio(0, [0.5, 1 - 1e-9, 0.2])


def test_log_sphere_mgf_of_lines_and_spheres_together_is_that_of_each():
    assert log_sphere_mgf([1, 3], 2.0).tolist() == [log_sphere_mgf(1, 2.0), log_sphere_mgf(3, 2.0)]
    assert log_sphere_mgf(1, 2.0) == pytest.approx(np.log(np.cosh(2.0)), rel=1e-14)
