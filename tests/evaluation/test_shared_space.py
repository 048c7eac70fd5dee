"""The shared space: its basis, its alignment, and the number of its dimensions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from isthmus import InputError, Moments, Pairs
from isthmus.evaluation import count_shared_dimensions, shared_alignment, shared_basis

D, K = 20, 4


@pytest.fixture
def known_space(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return latent vectors of 2,000 items, and rows that share them in the first K of D dimensions."""
    u = rng.normal(size=(2000, K))
    x, y = (np.hstack([u, 0.5 * rng.normal(size=(2000, D - K))]) + 2 * np.eye(D)[axis] for axis in (5, 6))
    return u, x, y


def test_shared_basis_of_a_known_space_spans_it(known_space: tuple[np.ndarray, ...]) -> None:
    _, x, y = known_space
    basis = shared_basis(Moments.of(x, y, normalize=False), K)
    np.testing.assert_allclose(np.linalg.svd(basis[:K])[1], 1, atol=0.01)


def test_shared_alignment_of_a_known_space_is_its_share_of_the_spread(known_space: tuple[np.ndarray, ...]) -> None:
    u, x, y = known_space
    moments = Moments.of(x, y, normalize=False)
    expected = np.sum(u.var(axis=0)) / math.sqrt(x.var(axis=0).sum() * y.var(axis=0).sum())
    assert shared_alignment(moments, shared_basis(moments, K)) == pytest.approx(expected, abs=0.01)


def test_shared_alignment_of_equal_rows_is_zero(rng: np.random.Generator) -> None:
    """The spread of such rows is a rounding error of either sign."""
    rows = rng.normal(size=(600, 8))
    for seed in range(20):
        mean = np.random.default_rng(seed).normal(size=8)
        moments = Moments.of(np.tile(mean / np.linalg.norm(mean), (600, 1)), rows, normalize=False)
        assert shared_alignment(moments, np.eye(8)) == 0


def test_shared_alignment_does_not_depend_on_the_means(known_space: tuple[np.ndarray, ...]) -> None:
    _, x, y = known_space
    moments, moved = (Moments.of(*rows, normalize=False) for rows in ((x, y), (x + 7, y - 3)))
    basis = shared_basis(moments, K)
    assert shared_alignment(moved, basis) == pytest.approx(shared_alignment(moments, basis), abs=1e-9)


def test_count_shared_dimensions_of_a_known_space_is_its_dimension(known_space: tuple[np.ndarray, ...]) -> None:
    _, x, y = known_space
    assert K <= count_shared_dimensions(Pairs(a=x, b=y)) <= K + 2


def test_count_shared_dimensions_without_one_is_refused() -> None:
    constant = [np.tile(np.eye(2)[axis], (50, 1)) for axis in (0, 1)]
    with pytest.raises(InputError, match="covary in no direction"):
        count_shared_dimensions(Pairs(a=constant[0], b=constant[1]))


def test_count_shared_dimensions_leaves_out_directions_of_rounding(rng: np.random.Generator) -> None:
    bases = rng.normal(size=(2, 3, 12))
    for scale in (1, 3, 7, 11):
        x, y = scale * rng.normal(size=(120, 3)) @ bases
        assert count_shared_dimensions(Pairs(a=x, b=y)) <= 3


def test_count_shared_dimensions_of_independent_rows_has_the_level_of_two_errors(rng: np.random.Generator) -> None:
    """Of 2,000 directions that are not shared, 2.3 % exceed two standard errors."""
    counts = []
    for _ in range(100):
        x, y = rng.normal(size=(2, 400, D))
        try:
            counts.append(count_shared_dimensions(Pairs(a=x, b=y)))
        except InputError:
            counts.append(0)
    assert np.mean(counts) / D == pytest.approx(0.0228, abs=0.01)


def test_count_shared_dimensions_does_not_count_captions_as_independent(rng: np.random.Generator) -> None:
    """Ten equal captions of each item give the same number as one."""
    latent = rng.normal(size=(100, 6))
    x, y = latent + rng.normal(size=(100, 6)), latent + rng.normal(size=(100, 6))
    single = count_shared_dimensions(Pairs(a=x, b=y))
    repeated = Pairs(a=x, b=np.repeat(y, 10, axis=0), index=np.repeat(np.arange(100), 10))
    assert count_shared_dimensions(repeated) == single


def test_count_shared_dimensions_does_not_depend_on_a_large_mean(rng: np.random.Generator) -> None:
    """The mean of y along the shared direction (e0 + e1) must not add noise to its covariance with x."""
    shared = 0.1 * rng.normal(size=(400, 1))
    e0, e1 = np.eye(5)[:2]
    x, y = (mean + shared * direction + 0.001 * rng.normal(size=(400, 5)) for mean, direction in ((e0, e1), (e1, e0)))
    assert count_shared_dimensions(Pairs(a=x, b=y)) >= 1
