"""Principal angles and orthonormal bases against SciPy and constructions with known angles."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from isthmus.linalg import orthonormal, principal_angles


def frame(rng, d, p):
    return np.linalg.qr(rng.standard_normal((d, p)))[0]


def subspaces(rng, d, degrees, extra_a=0, extra_b=0):
    """Two subspaces with the given principal angles (plus orthogonal extra directions), in hidden bases."""
    m = len(degrees)
    Q = frame(rng, d, 2 * m + extra_a + extra_b)
    theta = np.radians(degrees)
    a, q = Q[:, :m], Q[:, m : 2 * m]
    b = a * np.cos(theta) + q * np.sin(theta)
    rest = Q[:, 2 * m :]
    A = np.concatenate([a, rest[:, :extra_a]], axis=1) @ frame(rng, m + extra_a, m + extra_a)
    B = np.concatenate([b, rest[:, extra_a:]], axis=1) @ frame(rng, m + extra_b, m + extra_b)
    return A, B


def outside(vectors, basis):
    return np.abs(vectors - basis @ (basis.T @ vectors)).max()


@pytest.mark.parametrize(("d_a", "d_b"), [(3, 3), (2, 6), (6, 2), (10, 10), (1, 12)])
def test_principal_angles_match_scipy(d_a, d_b):
    rng = np.random.default_rng(d_a + 100 * d_b)
    A, B = frame(rng, 15, d_a), frame(rng, 15, d_b)
    found = principal_angles(A, B)
    expected = np.degrees(scipy.linalg.subspace_angles(A, B)[::-1])
    np.testing.assert_allclose(found.degrees, expected, atol=1e-5)  # angles near 0 of scipy are less exact
    np.testing.assert_allclose(found.cosines, np.cos(np.radians(expected)), atol=1e-13)
    np.testing.assert_allclose(found.vectors_a.T @ found.vectors_b, np.diag(found.cosines), atol=1e-13)
    assert outside(found.vectors_a, A) < 1e-13
    assert outside(found.vectors_b, B) < 1e-13


def test_principal_angles_keep_small_angles_apart():
    rng = np.random.default_rng(3)
    degrees = [1e-13, 1e-11, 3e-8, 4e-4, 20.0, 44.99, 45.01, 90.0]
    A, B = subspaces(rng, 40, degrees, extra_a=2, extra_b=0)
    found = principal_angles(A, B)
    np.testing.assert_allclose(found.degrees, degrees, atol=3e-14, rtol=1e-12)
    for j, angle in enumerate(degrees):
        gap = np.linalg.norm(found.vectors_a[:, j] - found.vectors_b[:, j])
        assert gap == pytest.approx(2 * np.sin(np.radians(angle) / 2), abs=2e-15, rel=1e-10)


def test_orthonormal_keeps_order_and_span():
    rng = np.random.default_rng(9)
    X = rng.standard_normal((10, 4))
    Q = orthonormal(X)
    np.testing.assert_allclose(Q.T @ Q, np.eye(4), atol=1e-14)
    R = Q.T @ X
    np.testing.assert_allclose(np.tril(R, -1), 0, atol=1e-13)
    assert (np.diagonal(R) > 0).all()


def test_principal_angles_do_not_compute_vectors_until_used(rng):
    """The angles come from other decompositions than the vectors, and must be theirs."""
    A, B = (orthonormal(rng.normal(size=(40, k))) for k in (30, 22))
    found = principal_angles(A, B)
    assert "_vectors" not in vars(found)
    np.testing.assert_allclose(np.sum(found.vectors_a * found.vectors_b, axis=0), found.cosines, atol=1e-13)
    apart = np.linalg.norm(found.vectors_b - found.vectors_a, axis=0)
    np.testing.assert_allclose(apart, 2 * np.sin(np.radians(found.degrees) / 2), atol=1e-13)
