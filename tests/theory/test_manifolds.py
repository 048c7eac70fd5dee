"""Tangent vectors, retractions and gradients of the manifolds."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.theory.infonce import info_nce
from isthmus.theory.manifolds import FreePairs, RotatingCloud, RowManifold


@pytest.mark.parametrize(
    "side",
    [
        RowManifold(),
        RowManifold(resultant=0.4),
        RowManifold(resultant=0.4, centre=np.eye(4)[0]),
        RowManifold(radius=0.6),
    ],
    ids=["sphere", "mean length", "mean", "scaled"],
)
def test_row_manifold_tangent_is_orthogonal_and_retraction_agrees_to_first_order(side):
    rng = np.random.default_rng(2)
    U = side.retract(rng.normal(size=(30, 4)) + 0.5)
    V, W = (rng.normal(size=(30, 4)) for _ in range(2))
    tangent = side.tangent(U, V)
    assert side.tangent(U, tangent) == pytest.approx(tangent, abs=1e-12)
    assert np.sum((V - tangent) * side.tangent(U, W)) == pytest.approx(0.0, abs=1e-10)
    small = 1e-5
    assert side.retract(U + small * tangent) == pytest.approx(U + small * tangent, abs=1e-8)


def test_rotating_cloud_is_orthogonal_and_its_gradient_is_right():
    rng = np.random.default_rng(3)
    X, Y = (rng.normal(size=(20, 3)) for _ in range(2))
    X, Y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (X, Y))
    cloud = RotatingCloud(X, Y)
    (Q,) = cloud.retract((rng.normal(size=(3, 3)),))
    assert pytest.approx(np.eye(3), abs=1e-12) == Q @ Q.T

    def loss(Q):
        return info_nce(*cloud.embed((Q,)), temperature=0.3)

    _, gx, gy = info_nce(*cloud.embed((Q,)), temperature=0.3, gradient=True)
    (slope,) = cloud.tangent((Q,), cloud.pullback((Q,), gx, gy))
    step = 1e-6
    moved = [cloud.retract((Q + sign * step * slope,))[0] for sign in (1, -1)]
    assert (loss(moved[0]) - loss(moved[1])) / (2 * step) == pytest.approx(np.sum(slope**2), rel=1e-6)


def test_pullback_is_the_transpose_of_embed():
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(5, 3)))[0]
    pairs = FreePairs(RowManifold(basis=basis, radius=0.5), RowManifold())
    U, V, gx, gy = (
        rng.normal(size=(6, 3)),
        rng.normal(size=(6, 5)),
        rng.normal(size=(6, 5)),
        rng.normal(size=(6, 5)),
    )
    X, Y = pairs.embed((U, V))
    a, b = pairs.pullback((U, V), gx, gy)
    assert np.sum(X * gx) + np.sum(Y * gy) == pytest.approx(np.sum(a * U) + np.sum(b * V))
