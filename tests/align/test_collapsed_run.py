"""Predicted cosines of every pair in the collapsed run, x = sqrt(.51) a + .7 u and y = sqrt(.51) b + .7 v."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus import demo
from isthmus.align import MeanRotation, SharedSpaceProjection
from isthmus.linalg.rotations import plane_rotation


@pytest.fixture(scope="module")
def run() -> tuple[np.ndarray, ...]:
    """Return rows, axes and E = u.v of each pair."""
    data = demo.arrays("collapsed", split="test")
    x, y = data.image.astype(float), data.text.astype(float)
    assert data.axes is not None
    assert data.basis is not None
    u, v = (s @ data.basis.T / np.linalg.norm(s @ data.basis.T, axis=1, keepdims=True) for s in (x, y))
    return x, y, data.axes, np.sum(u * v, axis=1)


def test_raw_cosines_equal_the_prediction(run: tuple[np.ndarray, ...]) -> None:
    x, y, (a, b), shared = run
    np.testing.assert_allclose(np.sum(x * y, axis=1), 0.51 * (a @ b) + 0.49 * shared, atol=1e-6)
    assert a @ b == pytest.approx(0.5, abs=1e-9)


def test_rotated_cosines_equal_the_prediction(run: tuple[np.ndarray, ...]) -> None:
    x, y, axes, shared = run
    turned = plane_rotation(*axes).apply(x)
    np.testing.assert_allclose(np.sum(turned * y, axis=1), 0.51 + 0.49 * shared, atol=1e-6)
    # The fitted means stand for the axes: near, and only near.
    train = demo.load("collapsed", split="train")
    turned, _ = MeanRotation().fit(train).transform(x, y)
    np.testing.assert_allclose(np.sum(turned * y, axis=1), 0.51 + 0.49 * shared, atol=0.07)


def test_projected_cosines_equal_the_shared_part(run: tuple[np.ndarray, ...]) -> None:
    x, y, _, shared = run
    train = demo.load("collapsed", split="train")
    for estimator in ("significant", "paired"):
        found = SharedSpaceProjection(estimator=estimator, center=estimator == "paired", judge=False).fit(train)
        a, b = found.transform(x, y)
        got = np.sum(a * b, axis=1)
        assert np.corrcoef(got, shared)[0, 1] > 0.95
        assert np.mean(got) == pytest.approx(np.mean(shared), abs=0.05)
