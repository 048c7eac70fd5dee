"""Which directions two subspaces share beyond chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from isthmus import InputError
from isthmus.linalg import SharedSpace, tracy_widom_edge
from isthmus.linalg.shared_directions import EnergySubspaces, covarying_directions


def subspaces(rng: np.random.Generator, dim: int, shared: int, p: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    frame = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    x, y = frame[:, :p], np.hstack([frame[:, :shared], frame[:, p : p + q - shared]])
    # Bases of the same subspaces, turned within themselves.
    return tuple(side @ np.linalg.qr(rng.normal(size=(side.shape[1],) * 2))[0] for side in (x, y))


def test_shared_space_finds_shared_directions_in_any_basis(rng: np.random.Generator) -> None:
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


def test_shared_space_of_random_subspaces_is_empty_in_95_per_cent() -> None:
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(400):
        x, y = (np.linalg.qr(rng.normal(size=(40, k)))[0] for k in (6, 9))
        found += SharedSpace(x, y).count > 0
    assert 8 <= found <= 34  # 20 expected, three standard errors


@pytest.mark.parametrize(("p", "q"), [(0, 3), (8, 3), (3, 5)])
def test_shared_space_without_a_test_has_no_edge(p: int, q: int) -> None:
    axes = np.eye(8)
    space = SharedSpace(axes[:, :p], axes[:, 8 - q :])
    assert not space.testable
    with pytest.raises(InputError):
        _ = space.edge


def test_shared_space_counts_guaranteed_dimensions(rng: np.random.Generator) -> None:
    space = SharedSpace(*subspaces(rng, 10, 6, 7, 8))
    assert space.guaranteed == 5
    assert space.count == 6
    assert space.edge == tracy_widom_edge(10, 7, 8)


@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        (0, 3, "no direction of one modality stands out"),
        (8, 3, "no test for a shared space: the centred rows fill 8 and 3 of 8 dimensions"),
        (3, 5, "no test for a shared space: the significant subspaces have 3 and 5 dimensions, which add up to all 8"),
        (2, 2, "no shared space: of 2 principal angles"),
    ],
)
def test_objection_names_the_reason(p: int, q: int, message: str) -> None:
    axes = np.eye(8)
    assert SharedSpace(axes[:, :p], axes[:, 8 - q :]).objection().startswith(message)


def test_objection_is_empty_if_directions_are_shared(rng: np.random.Generator) -> None:
    assert SharedSpace(*subspaces(rng, 60, 4, 9, 12)).objection() == ""


def test_shared_space_of_covariances_uses_their_significant_directions(rng: np.random.Generator) -> None:
    x, y = (rng.standard_normal((900, 4)) @ np.eye(4, 30, k) + 0.05 * rng.standard_normal((900, 30)) for k in (0, 2))
    space = SharedSpace.of(x.T @ x / 900, y.T @ y / 900, n_x=899, n_y=899)
    assert (space.ranks, space.count) == ((4, 4), 2)


@pytest.mark.parametrize(("energy", "ranks"), [(0.99, (2, 2)), (0.5, (1, 1)), (1.0, (3, 3))])
def test_energy_subspaces_hold_the_share_of_the_energy(energy: float, ranks: tuple[int, int]) -> None:
    gram_x, gram_y = np.diag([50.0, 49.5, 0.5, 0.0, 0.0]), np.diag([50.0, 0.0, 0.0, 49.5, 0.5])
    spaces = EnergySubspaces.of(gram_x, gram_y, energy=energy)
    assert spaces.ranks == ranks
    assert spaces.overlap() == 1
    assert spaces.guaranteed == max(0, sum(ranks) - 5)


def test_closed_angles_are_those_within_the_tolerance() -> None:
    a, angles = np.eye(6)[:, :3], np.radians([0.0, 2.0, 3.0])
    b = a * np.cos(angles) + np.eye(6)[:, 3:] * np.sin(angles)
    spaces = EnergySubspaces(a, b)
    assert spaces.closed().tolist() == [True, True, False]  # cos 2.56 degrees = 1 - 1e-3
    assert spaces.closed(1e-4).tolist() == [True, False, False]
    assert spaces.overlap(0.01) == 3


def test_covarying_directions_are_ordered_by_their_covariance(rng: np.random.Generator) -> None:
    cov = rng.standard_normal((5, 5))
    values, directions = covarying_directions(cov)
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(np.einsum("dj,de,ej->j", directions, cov, directions), values, atol=1e-12)
