"""Rotations and principal angles against SciPy, random competitors and constructions with known angles."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from isthmus.linalg import minimal_rotation, orthonormal, plane_rotation, principal_angles
from isthmus.utils.errors import InputError

ANGLES = [0.0, 1e-14, 1e-10, 1e-7, 1e-3, 1.0, 30.0, 60.0, 89.999999, 90.0]


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


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize(("extra_a", "extra_b"), [(0, 0), (0, 3), (3, 0)])
def test_minimal_rotation_maps_span_into_span(angle, extra_a, extra_b):
    rng = np.random.default_rng(7)
    A, B = subspaces(rng, 30, [angle, angle, 0.0, 17.0], extra_a, extra_b)
    rotation = minimal_rotation(A, B)
    R = rotation.matrix()
    assert np.abs(R.T @ R - np.eye(30)).max() < 1e-13
    assert np.linalg.det(R) == pytest.approx(1.0)
    if extra_a <= extra_b:
        assert outside(R @ A, B) < 1e-13
    else:
        assert outside(B, R @ A) < 1e-13
    complement = scipy.linalg.null_space(np.concatenate([A, B], axis=1).T)
    np.testing.assert_allclose(R @ complement, complement, atol=1e-13)
    theta = np.radians([angle, angle, 0.0, 17.0])
    assert rotation.norm() == pytest.approx(np.sqrt(8 * np.sum(np.sin(theta / 2) ** 2)), rel=1e-12)
    assert rotation.norm() == pytest.approx(np.linalg.norm(R - np.eye(30)), abs=1e-13)


@pytest.mark.parametrize(("d_a", "d_b"), [(5, 5), (2, 5), (9, 4), (8, 9)])
def test_minimal_rotation_of_random_subspaces_maps_the_smaller_one(d_a, d_b):
    rng = np.random.default_rng(11)
    A, B = frame(rng, 10, d_a), frame(rng, 10, d_b)
    R = minimal_rotation(A, B).matrix()
    assert np.abs(R.T @ R - np.eye(10)).max() < 1e-13
    assert (outside(R @ A, B) if d_a <= d_b else outside(B, R @ A)) < 1e-13


def test_minimal_rotation_of_hyperplanes_turns_in_one_plane():
    """Shared directions cost nothing: 300 dimensions, one angle, one pair of vectors kept."""
    rng = np.random.default_rng(21)
    u, w = frame(rng, 300, 2).T
    v = np.cos(1.0) * u + np.sin(1.0) * w
    A, B = (scipy.linalg.null_space(normal[None, :]) for normal in (u, v))
    rotation = minimal_rotation(A, B)
    assert rotation.first.shape == (300, 1)
    assert outside(rotation.apply(A.T).T, B) < 1e-13
    np.testing.assert_allclose(rotation.matrix(), plane_rotation(u, v).matrix(), atol=1e-13)
    still = minimal_rotation(A, A)
    assert still.norm() == 0.0
    np.testing.assert_array_equal(still.apply(A.T), A.T)


def test_minimal_rotation_is_closest_to_the_identity():
    rng = np.random.default_rng(5)
    A, B = frame(rng, 7, 3), frame(rng, 7, 3)
    best = minimal_rotation(A, B).norm()
    A_perp, B_perp = scipy.linalg.null_space(A.T), scipy.linalg.null_space(B.T)
    distances = []
    for _ in range(300):
        inner, outer = frame(rng, 3, 3), frame(rng, 4, 4)
        # Every orthogonal map of span(A) onto span(B) has this form.
        R = B @ inner @ A.T + B_perp @ outer @ A_perp.T
        distances.append(np.linalg.norm(R - np.eye(7)))
    assert min(distances) > best
    inner = scipy.linalg.orthogonal_procrustes(A.T @ A, A.T @ B)[0].T
    outer = scipy.linalg.orthogonal_procrustes(A_perp.T @ A_perp, A_perp.T @ B_perp)[0].T
    R = B @ inner @ A.T + B_perp @ outer @ A_perp.T
    assert np.linalg.norm(R - np.eye(7)) == pytest.approx(best, rel=1e-12)
    np.testing.assert_allclose(R, minimal_rotation(A, B).matrix(), atol=1e-12)


@pytest.mark.parametrize("angle", ANGLES)
def test_minimal_rotation_with_a_negative_sign_turns_the_pair_to_the_opposite(angle):
    rng = np.random.default_rng(13)
    A, B = subspaces(rng, 20, [angle, 0.5, 25.0, 70.0], extra_b=1)
    pairs = principal_angles(A, B)
    for signs in ([-1, 1, 1, 1], [-1, -1, 1, -1], [1, 1, -1, -1]):
        rotation = minimal_rotation(A, B, signs=signs)
        R = rotation.matrix()
        assert np.abs(R.T @ R - np.eye(20)).max() < 1e-13
        assert np.linalg.det(R) == pytest.approx(1.0)
        assert np.abs(R @ pairs.vectors_a - pairs.vectors_b * np.array(signs)).max() < 1e-13
        assert rotation.norm() == pytest.approx(np.linalg.norm(R - np.eye(20)), abs=1e-13)


def test_minimal_rotation_flips_an_even_number_of_shared_directions():
    shared = np.eye(3)[:, :2]
    half_turn = minimal_rotation(shared, shared, signs=[-1, -1]).matrix()
    np.testing.assert_allclose(half_turn, np.diag([-1.0, -1.0, 1.0]), atol=1e-15)
    one = minimal_rotation(shared, shared, signs=[-1, 1])
    pairs = principal_angles(shared, shared)
    np.testing.assert_allclose(one.apply(pairs.vectors_a.T), (pairs.vectors_a * [-1, 1]).T, atol=1e-15)
    with pytest.raises(InputError, match="odd number"):
        minimal_rotation(np.eye(3), np.eye(3), signs=[-1, 1, 1])


@pytest.mark.parametrize("offset", [0.0, 1e-16, 1e-12, 1e-8, 1e-3, 1.0])
def test_plane_rotation_takes_one_direction_to_the_other(offset):
    rng = np.random.default_rng(2)
    u, w = frame(rng, 9, 2).T
    for v in (-np.cos(offset) * u + np.sin(offset) * w, np.cos(offset) * u + np.sin(offset) * w):
        R = plane_rotation(3.0 * u, 0.2 * v).matrix()
        assert np.abs(R @ u - v).max() < 1e-14
        assert np.abs(R.T @ R - np.eye(9)).max() < 1e-14
        assert np.linalg.det(R) == pytest.approx(1.0)
    v = np.cos(1.1) * u + np.sin(1.1) * w
    K = np.outer(v, u) - np.outer(u, v)
    np.testing.assert_allclose(plane_rotation(u, v).matrix(), np.eye(9) + K + K @ K / (1 + u @ v), atol=1e-14)


def test_plane_rotation_of_antipodal_vectors_is_deterministic():
    R = plane_rotation(np.array([0.6, 0.8, 0.0, 0.0]), -np.array([0.6, 0.8, 0.0, 0.0]))
    moved = np.array([0.0, 0.0, 1.0, 0.0])
    np.testing.assert_allclose(R.apply(moved[None]), -moved[None], atol=1e-15)
    with pytest.raises(InputError, match="no direction is free"):
        plane_rotation(np.array([1.0]), np.array([-2.0]))


def test_rotation_inverse_undoes_the_rotation():
    rng = np.random.default_rng(4)
    A, B = frame(rng, 12, 3), frame(rng, 12, 5)
    rotation = minimal_rotation(A, B)
    X = rng.standard_normal((6, 12))
    np.testing.assert_allclose(rotation.apply(X), X @ rotation.matrix().T, atol=1e-13)
    np.testing.assert_allclose(rotation.inverse().apply(rotation.apply(X)), X, atol=1e-13)
    np.testing.assert_allclose(rotation.apply(X[0]), rotation.apply(X)[0], atol=1e-14)
    assert rotation.inverse().norm() == pytest.approx(rotation.norm())


@pytest.mark.parametrize("library", ["torch", "array_api_strict"])
def test_rotation_keeps_the_array_library(library):
    xp = pytest.importorskip(library)
    rng = np.random.default_rng(6)
    A, B, X = frame(rng, 8, 2), frame(rng, 8, 3), rng.standard_normal((5, 8))
    expected = minimal_rotation(A, B).apply(X)
    rotation = minimal_rotation(xp.asarray(A), xp.asarray(B))
    got = rotation.apply(xp.asarray(X))
    assert type(got) is type(xp.asarray(X))
    np.testing.assert_allclose(np.asarray(got), expected, atol=1e-13)
    single = rotation.apply(xp.asarray(X, dtype=xp.float32))
    assert single.dtype == xp.float32
    np.testing.assert_allclose(np.asarray(single), expected, atol=1e-5)
    angles = principal_angles(xp.asarray(A), xp.asarray(B))
    assert type(angles.degrees) is type(xp.asarray(X))
    basis = orthonormal(xp.asarray(X.T))
    assert type(basis) is type(xp.asarray(X))


def test_single_precision_columns_give_double_precision_rotations():
    rng = np.random.default_rng(8)
    A, B = frame(rng, 50, 4).astype(np.float32), frame(rng, 50, 4).astype(np.float32)
    R = minimal_rotation(A, B).matrix()
    assert np.abs(R.T @ R - np.eye(50)).max() < 1e-13


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: principal_angles(2 * np.eye(3), np.eye(3)), "columns of A are not orthonormal"),
        (lambda: principal_angles(np.eye(3)[:, :1], np.eye(4)[:, :1]), "R\\^3 and of R\\^4"),
        (lambda: principal_angles(np.ones(3), np.eye(3)), "shape \\(3,\\)"),
        (lambda: principal_angles(np.full((3, 1), np.nan), np.eye(3)), "finite"),
        (lambda: orthonormal(np.ones((3, 2))), "rank 1"),
        (lambda: orthonormal(np.ones((2, 3))), "1 <= p <= d"),
        (lambda: plane_rotation(np.zeros(3), np.ones(3)), "non-zero"),
        (lambda: plane_rotation(np.ones(2), np.ones(3)), "same length"),
        (lambda: minimal_rotation(np.eye(3)[:, :2], np.eye(3)[:, :2], signs=[1, 0]), r"\+1 or -1"),
        (lambda: plane_rotation(np.ones(3), np.ones(3)).apply(np.ones((2, 4))), r"rows \(n, 3\)"),
    ],
)
def test_rotations_refuse_wrong_vectors_and_bases(call, message):
    with pytest.raises(InputError, match=message):
        call()
