"""Bias of measures along the leading directions of a sample."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus.statistics.influence import InfluenceSample
from isthmus.statistics.spectral_errors import SpectralErrors


def spectral_errors_of(rows: np.ndarray, begins: np.ndarray | None, *, is_centred: bool = False) -> SpectralErrors:
    mean = rows.mean(axis=0) if is_centred else None
    values, directions = np.linalg.eigh(second_moment(rows, is_centred=is_centred))
    sample = InfluenceSample(rows, rows, begins, scale=1 / len(rows) ** 2)
    return SpectralErrors(values[::-1], directions[:, ::-1], sample, centre=mean)


def second_moment(rows: np.ndarray, *, is_centred: bool = False) -> np.ndarray:
    rows = rows - rows.mean(axis=0) if is_centred else rows
    return rows.T @ rows / len(rows)


@pytest.mark.parametrize("pairs_per_item", [1, 3])
def test_leading_subspace_bias_equals_the_derivatives_of_turned_directions(pairs_per_item: int) -> None:
    rng, k = np.random.default_rng(0), 2
    rows = np.repeat(rng.normal(size=(400, 5)), pairs_per_item, axis=0)
    rows = (rows + 0.3 * rng.normal(size=rows.shape)) * [8.0, 6.0, 2.0, 1.0, 0.5]
    begins = None if pairs_per_item == 1 else np.arange(0, len(rows), pairs_per_item)
    errors = spectral_errors_of(rows, begins)
    # The score of a pair is its squared length along the leading directions.
    leading, trailing = errors.projections[:, :k], errors.projections[:, k:]
    bias = errors.leading_subspace_bias(k, [(trailing, 2 * leading)])
    covariance, step, derivative = rows.T @ rows / len(rows), 1e-5, 0.0
    for first in range(0, len(rows), pairs_per_item):
        item = rows[first : first + pairs_per_item]
        ends = [np.linalg.eigh(covariance + sign * step * item.T @ item)[1][:, -k:] for sign in (1, -1)]
        derivative += sum(sign * np.sum((item @ basis) ** 2) for sign, basis in zip((1, -1), ends, strict=True))
    assert bias == pytest.approx(derivative / (2 * step) / len(rows) ** 2, rel=0.02)


def test_leading_subspace_bias_corrects_the_leading_variance_of_few_rows() -> None:
    rng, scales = np.random.default_rng(1), np.array([4.0, 3.5, 1.5, 1.2, 1.0, 0.8])
    optimism, biases = [], []
    for _ in range(60):
        errors = spectral_errors_of(rng.normal(size=(80, 6)) * scales, None)
        basis = errors.directions[:, :2]
        optimism.append(errors.values[:2].sum() - np.sum((scales[:, None] * basis) ** 2))
        leading, trailing = errors.projections[:, :2], errors.projections[:, 2:]
        biases.append(errors.leading_subspace_bias(2, [(trailing, 2 * leading)]))
    error = np.std(np.array(optimism) - biases) / np.sqrt(60)
    assert abs(np.mean(np.array(optimism) - biases)) < 3.5 * error


@pytest.mark.parametrize("is_centred", [False, True])
@pytest.mark.parametrize("pairs_per_item", [1, 3])
def test_second_order_scores_give_the_function_without_each_item(pairs_per_item: int, is_centred: bool) -> None:
    rng = np.random.default_rng(2)
    rows = np.repeat(rng.normal(size=(120, 4)), pairs_per_item, axis=0)
    rows = (rows + 0.3 * rng.normal(size=rows.shape)) * [2.0, 1.5, 1.0, 0.5]
    n, begins = len(rows), np.arange(0, len(rows), pairs_per_item)
    errors = spectral_errors_of(rows, None if pairs_per_item == 1 else begins, is_centred=is_centred)

    def log_determinant(some: np.ndarray) -> float:
        return float(np.linalg.slogdet(second_moment(some, is_centred=is_centred))[1])

    first, second = 1 / errors.values, -1 / errors.values**2
    scores, second_order = errors.scores_and_bias(first, second)[0], errors.second_order_scores(first, second)
    step = 1 / (n - pairs_per_item)  # the moment of the others is that of all minus this part of the item
    change = -step * np.add.reduceat(scores, begins)
    with_curvature = change + step**2 / 2 * np.add.reduceat(second_order, begins)
    without = [log_determinant(np.delete(rows, slice(b, b + pairs_per_item), axis=0)) for b in begins]
    exact = np.array(without) - log_determinant(rows)
    assert np.abs(with_curvature - exact).max() < 0.1 * np.abs(change - exact).max()
    assert np.corrcoef(change - exact, step**2 / 2 * np.add.reduceat(second_order, begins))[0, 1] < -0.99
