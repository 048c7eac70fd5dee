"""Which directions two subspaces share beyond chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from isthmus import InputError
from isthmus.linalg import SharedSpace, tracy_widom_edge


def subspaces(rng: np.random.Generator, dim: int, shared: int, p: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    frame = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    x, y = frame[:, :p], np.hstack([frame[:, :shared], frame[:, p : p + q - shared]])
    # Bases of the same subspaces, turned within themselves.
    return tuple(side @ np.linalg.qr(rng.normal(size=(side.shape[1],) * 2))[0] for side in (x, y))


def test_shared_directions_are_found_in_any_basis(rng: np.random.Generator) -> None:
    x, y = subspaces(rng, 60, 4, 9, 12)
    space = SharedSpace(x, y)
    assert (space.dim, space.ranks, space.guaranteed, space.testable, space.count) == (60, (9, 12), 0, True, 4)
    np.testing.assert_allclose(
        np.sort(space.angles.degrees), np.degrees(np.sort(linalg.subspace_angles(x, y))), atol=1e-5
    )
    middle = space.midpoints()
    np.testing.assert_allclose(middle.T @ middle, np.eye(4), atol=1e-12)
    for side in (x, y):
        np.testing.assert_allclose(side @ (side.T @ middle), middle, atol=1e-9)
    other = SharedSpace(y, x).midpoints()
    np.testing.assert_allclose(other @ other.T, middle @ middle.T, atol=1e-9)


def test_random_subspaces_share_something_in_one_case_of_twenty() -> None:
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(400):
        x, y = (np.linalg.qr(rng.normal(size=(40, k)))[0] for k in (6, 9))
        found += SharedSpace(x, y).count > 0
    assert 8 <= found <= 34  # 20 expected, three standard errors


@pytest.mark.parametrize(("p", "q"), [(0, 3), (8, 3), (3, 5)])
def test_where_there_is_no_test(p: int, q: int) -> None:
    axes = np.eye(8)
    space = SharedSpace(axes[:, :p], axes[:, 8 - q :])
    assert not space.testable
    with pytest.raises(InputError):
        _ = space.edge


def test_the_ranks_force_some(rng: np.random.Generator) -> None:
    space = SharedSpace(*subspaces(rng, 10, 6, 7, 8))
    assert space.guaranteed == 5
    assert space.count == 6
    assert space.edge == tracy_widom_edge(10, 7, 8)
