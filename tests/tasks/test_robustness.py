"""Robustness: nearest rows, quantisation, and noise with its known effect."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ncx2

from isthmus import InputError
from isthmus.compute.score_matrix import TILE_SHAPE
from isthmus.compute.topk import nearest_euclidean
from isthmus.tasks import TaskData, add_noise, quantize, registry, top1_stability


def test_nearest_euclidean_equals_a_slow_loop(rng: np.random.Generator) -> None:
    queries, corpus = rng.normal(size=(40, 3)), rng.normal(size=(TILE_SHAPE[1] + 60, 3))
    expected = [int(np.argmin(np.sum((corpus - q) ** 2, axis=1))) for q in queries]
    assert nearest_euclidean(queries, corpus).tolist() == expected


@pytest.mark.parametrize("bins", [2, 32, 256])
def test_quantize_moves_numbers_by_at_most_half_a_bin(rng: np.random.Generator, bins: int) -> None:
    rows = rng.normal(size=(50, 7))
    quantized = quantize(rows, bins)
    assert len(np.unique(quantized)) <= bins
    assert np.abs(quantized - rows).max() <= (rows.max() - rows.min()) / bins / 2 + 1e-12


def test_quantize_of_equal_numbers_changes_nothing() -> None:
    np.testing.assert_array_equal(quantize(np.full((3, 2), 0.7), 4), np.full((3, 2), 0.7))


def test_quantize_into_one_bin_is_refused() -> None:
    with pytest.raises(InputError, match="bins=1, expected 2 or more"):
        quantize(np.eye(2), 1)


def test_top1_stability_of_unchanged_rows_is_one(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(50, 7))
    assert top1_stability(rows, rows, rows).all()
    assert not top1_stability(rows, rows, rows[::-1]).any()


def test_top1_stability_under_noise_has_its_known_value(rng: np.random.Generator) -> None:
    query, corpus = np.array([[1.0, 0.0]]), np.array([[0.9, 0.0], [0.5, 0.0]])
    stable = [bool(top1_stability(query, corpus, add_noise(corpus, 0.04, rng))[0]) for _ in range(2000)]
    # Squared distances of noisy points, divided by the variance, are non-central chi-squared.
    near, far = (ncx2.rvs(2, shift**2 / 0.04, size=200_000, random_state=1 + i) for i, shift in enumerate((0.1, 0.5)))
    assert np.mean(stable) == pytest.approx(np.mean(near < far), abs=0.035)


def test_add_noise_keeps_the_dtype(rng: np.random.Generator) -> None:
    assert add_noise(np.zeros((4, 2), dtype=np.float32), 0.04, rng).dtype == np.float32


def test_robustness_of_swapped_modalities_draws_the_same_noise(rng: np.random.Generator) -> None:
    x = rng.normal(size=(60, 6))
    y = x + rng.normal(size=x.shape)
    task = registry()["robustness"]
    assert task.run(TaskData(x, y)).scores() == pytest.approx(task.run(TaskData(y, x)).scores())
