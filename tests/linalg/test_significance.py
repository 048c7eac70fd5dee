"""Directions above the noise, and directions that hold a share of the energy."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.linalg import significant_directions, significant_rank
from isthmus.linalg.significance import energy_rank, principal_directions


@pytest.mark.parametrize(("beta", "omega"), [(1.0, 2.86), (0.5, 2.1725)])
def test_significant_rank_threshold_is_omega_times_the_median(beta: float, omega: float) -> None:
    values = np.ones(20)
    for first, rank in ((omega - 1e-3, 0), (omega + 1e-3, 1)):
        values[0] = first
        assert significant_rank(values, round(20 / beta)) == rank


def test_significant_rank_ignores_values_at_rounding_level() -> None:
    values = np.array([1.0, 1.1e-4, 0.9e-4, *np.zeros(10)])
    assert significant_rank(values, 1000) == 2


def test_significant_rank_of_few_rows_counts_only_their_values() -> None:
    assert significant_rank(np.array([9.0, 1.0, 1.0, 0.0, 0.0, 0.0]), 3) == 1


def test_significant_directions_are_the_leading_eigenvectors(rng: np.random.Generator) -> None:
    basis = np.linalg.qr(rng.standard_normal((30, 2)))[0]
    x = rng.standard_normal((600, 2)) * [3.0, 2.0] @ basis.T + 0.1 * rng.standard_normal((600, 30))
    directions = significant_directions(x.T @ x / 600, 600)
    assert directions.shape == (30, 2)
    assert np.linalg.svd(directions.T @ basis, compute_uv=False).min() > 0.99
    assert abs(directions[:, 0] @ basis[:, 0]) > 0.99
    assert significant_directions(x.T @ x / 600, 600, min_rank=5).shape == (30, 5)


@pytest.mark.parametrize(("energy", "rank"), [(0.5, 1), (0.8, 1), (0.81, 2), (0.95, 2), (0.951, 3), (1.0, 3)])
def test_energy_rank_is_the_least_that_holds_the_share(energy: float, rank: int) -> None:
    assert energy_rank(np.sqrt([0.8, 0.15, 0.05]), energy) == rank


def test_principal_directions_decompose_the_gram_matrix(rng: np.random.Generator) -> None:
    x = rng.standard_normal((50, 4)) * [1.0, 4.0, 2.0, 3.0]
    values, directions = principal_directions(x.T @ x)
    np.testing.assert_allclose(values, np.linalg.svd(x, compute_uv=False))
    np.testing.assert_allclose(directions * values**2 @ directions.T, x.T @ x, atol=1e-10)
    assert principal_directions(np.diag([1.0, -1e-20]))[0].tolist() == [1.0, 0.0]


def test_principal_directions_are_in_the_order_of_the_values() -> None:
    values, directions = principal_directions(np.diag([1.0, 9.0, 4.0]))
    assert values.tolist() == [3.0, 2.0, 1.0]
    assert np.abs(directions).argmax(axis=0).tolist() == [1, 2, 0]
