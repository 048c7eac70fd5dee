"""Fidelity and eigenvalues of positive semidefinite matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import linalg

from isthmus.linalg import fidelity, principal_angles
from isthmus.linalg.psd import covariance_fidelity, psd_eigh, row_fidelity
from isthmus.utils.errors import InputError


def psd(rng, d, rank):
    A = rng.standard_normal((d, rank))
    return A @ A.T


def test_fidelity_against_matrix_square_roots():
    rng = np.random.default_rng(0)
    P, Q = psd(rng, 6, 6), psd(rng, 6, 6)
    root = linalg.sqrtm(linalg.sqrtm(P) @ Q @ linalg.sqrtm(P))
    assert fidelity(P, Q) == pytest.approx(np.trace(root).real, rel=1e-10)
    assert fidelity(P, Q) == pytest.approx(fidelity(Q, P), rel=1e-12)
    assert fidelity(P, P) == pytest.approx(np.trace(P), rel=1e-12)
    assert fidelity(3 * P, 2 * Q) == pytest.approx(math.sqrt(6) * fidelity(P, Q), rel=1e-12)


def test_fidelity_of_singular_matrices():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((2, 40))
    assert fidelity(np.outer(a, a), np.outer(b, b)) == pytest.approx(abs(a @ b), rel=1e-12)
    A, B = rng.standard_normal((2, 300, 5))
    expected = np.linalg.svd(A.T @ B, compute_uv=False).sum()
    assert fidelity(A @ A.T, B @ B.T) == pytest.approx(expected, rel=5e-15)
    assert fidelity(np.zeros((3, 3)), np.eye(3)) == 0.0
    frame = np.linalg.qr(rng.standard_normal((30, 8)))[0]
    angles = principal_angles(frame[:, :4], (frame[:, 2:6] + frame[:, [6, 7, 0, 1]]) / math.sqrt(2))
    P, Q = (V @ V.T / 4 for V in (angles.vectors_a, angles.vectors_b))
    assert fidelity(P, Q) == pytest.approx(np.mean(angles.cosines), abs=1e-7)


def test_fidelity_is_the_largest_cross_covariance():
    rng = np.random.default_rng(2)
    P, Q = psd(rng, 3, 3), psd(rng, 3, 3)
    best = fidelity(P, Q)
    L, M = linalg.cholesky(P, lower=True), linalg.cholesky(Q, lower=True)
    turns = [np.linalg.qr(rng.standard_normal((3, 3)))[0] * rng.choice([-1, 1], 3) for _ in range(3000)]
    traces = [np.trace(L @ turn @ M.T) for turn in turns]
    assert max(traces) <= best
    assert max(traces) > 0.95 * best


def test_psd_eigh_sets_rounding_noise_to_zero() -> None:
    rng = np.random.default_rng(3)
    a = rng.standard_normal((6, 2))
    values, vectors = psd_eigh(a @ a.T)
    assert (values[2:] == 0).all()
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(vectors * values @ vectors.T, a @ a.T, atol=1e-12)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), "expected finite values"),
        (np.full((2, 2), np.nan), "expected finite values"),
        (np.array([[1.0, 0.5], [0.0, 1.0]]), "is not symmetric"),
        (np.diag([1.0, -0.1]), "have no negative variance"),
    ],
)
def test_psd_eigh_refuses_other_matrices(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        psd_eigh(matrix)


def test_fidelity_of_different_sizes_is_refused() -> None:
    with pytest.raises(InputError, match="expected two of the same size"):
        fidelity(np.eye(2), np.eye(3))


@pytest.mark.parametrize("n", [20, 200], ids=["singular", "regular"])
def test_fidelity_of_covariances_and_of_rows_agree_with_the_roots(n: int) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(n, 60)) * np.arange(1, 61) ** -0.5 for _ in "xy")
    cov_x, cov_y = (np.cov(rows.T, bias=True) for rows in (x, y))
    expected = fidelity(cov_x, cov_y)
    assert covariance_fidelity(cov_x, cov_y) == pytest.approx(expected, rel=1e-12)
    assert row_fidelity(x, y) == pytest.approx(expected, rel=1e-12)


def test_fidelity_of_constant_rows_is_zero() -> None:
    x, y = np.random.default_rng(0).normal(size=(30, 5)), np.full((30, 5), 0.3)
    assert covariance_fidelity(np.cov(x.T), np.zeros((5, 5))) == 0
    assert row_fidelity(x, y) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("floor", [1e-2, 1e-9], ids=["well conditioned", "singular values at rounding level"])
def test_fidelity_of_uneven_rows_agrees_with_the_singular_values(floor: float) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((n, 120)) * np.geomspace(1, floor, 120) + 1 for n in (60, 80))
    cross = (x - x.mean(axis=0)) @ (y - y.mean(axis=0)).T
    expected = np.linalg.svd(cross, compute_uv=False).sum() / math.sqrt(60 * 80)
    assert row_fidelity(x, y) == pytest.approx(expected, rel=1e-9)
