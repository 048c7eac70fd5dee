"""Ceilings against the best assignment, explicit constructions and the square root of matrices."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import optimize

from isthmus.linalg import fidelity
from isthmus.theory import ceiling, hyperplane_ceiling
from isthmus.utils.errors import InputError


def moments(X, Y):
    mean_x, mean_y = X.mean(axis=0), Y.mean(axis=0)
    A, B = X - mean_x, Y - mean_y
    n = len(X)
    return SimpleNamespace(mean_x=mean_x, mean_y=mean_y, cov_x=A.T @ A / n, cov_y=B.T @ B / n, cov_xy=A.T @ B / n)


def cloud(rng, n, d, shift=0.0):
    X = rng.standard_normal((n, d)) * np.geomspace(1, 0.1, d) + shift * rng.standard_normal(d)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def psd(rng, d, rank):
    A = rng.standard_normal((d, rank))
    return A @ A.T


@pytest.mark.parametrize(("n", "d"), [(5, 8), (60, 4), (200, 16)])
def test_ceilings_are_ordered_and_bound_the_best_assignment(n, d):
    rng = np.random.default_rng(n)
    X, Y = cloud(rng, n, d, 1.0), cloud(rng, n, d, 1.0)
    found = ceiling(moments(X, Y))
    rows, columns = optimize.linear_sum_assignment(-(X @ Y.T))
    assignment = float(np.mean(np.sum(X[rows] * Y[columns], axis=1)))
    assert found.mean_cosine == pytest.approx(np.mean(np.sum(X * Y, axis=1)), abs=1e-14)
    assert found.mean_cosine <= assignment <= found.centred <= found.uncentred <= found.rotated <= 1 + 1e-12
    U, W = (np.linalg.svd(Z.T @ Z)[0] for Z in (X, Y))
    turned = ceiling(moments(X @ U @ W.T, Y))
    assert turned.uncentred == pytest.approx(found.rotated, abs=1e-9)


def test_ceiling_of_few_rows_is_loose():
    X, Y = (
        Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in np.random.default_rng(0).standard_normal((2, 256, 32))
    )
    rows, columns = optimize.linear_sum_assignment(-(X @ Y.T))
    assert ceiling(moments(X, Y)).centred == pytest.approx(0.963, abs=0.01)
    assert np.mean(np.sum(X[rows] * Y[columns], axis=1)) == pytest.approx(0.456, abs=0.02)


@pytest.mark.parametrize("angle", [0.0, 60.0, 90.0])
def test_hyperplane_ceiling_equals_the_fidelity(angle):
    p, q, d = 0.3, 0.2, 7
    a, b = (
        np.eye(d)[0],
        math.cos(math.radians(angle)) * np.eye(d)[0] + math.sin(math.radians(angle)) * np.eye(d)[1],
    )
    shared = np.diag([0.0, 0.0] + [1 / (d - 2)] * (d - 2))
    S_x, S_y = p * np.outer(a, a) + (1 - p) * shared, q * np.outer(b, b) + (1 - q) * shared
    assert hyperplane_ceiling(p, q, angle=angle) == pytest.approx(fidelity(S_x, S_y), abs=1e-7)
    assert hyperplane_ceiling(p, q, angle=180.0 - angle) == pytest.approx(hyperplane_ceiling(p, q, angle=angle))


def test_ceiling_accepts_other_array_libraries():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    m = moments(cloud(rng, 50, 5), cloud(rng, 50, 5))
    tensors = SimpleNamespace(**{name: torch.tensor(value) for name, value in vars(m).items()})
    assert ceiling(tensors) == ceiling(m)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fidelity(np.ones((2, 3)), np.eye(2)), r"shape \(2, 3\)"),
        (lambda: fidelity(np.eye(2), np.eye(3)), "2 and 3 rows"),
        (lambda: fidelity(np.array([[1.0, 1.0], [0.0, 1.0]]), np.eye(2)), "not symmetric"),
        (lambda: fidelity(np.diag([1.0, -1.0]), np.eye(2)), "variance -1 along"),
        (lambda: fidelity(np.full((2, 2), np.nan), np.eye(2)), "finite"),
        (lambda: hyperplane_ceiling(1.5, 0.1, angle=0.0), "p = 1.5"),
        (lambda: hyperplane_ceiling(0.5, 0.1, angle=-1.0), "angle = -1"),
        (
            lambda: ceiling(SimpleNamespace(**(vars(moments(np.eye(3), np.eye(3))) | {"mean_y": np.ones(2)}))),
            "three \\(d, d\\)",
        ),
    ],
)
def test_ceilings_refuse_wrong_moments_and_shares(call, message):
    with pytest.raises(InputError, match=message):
        call()
