"""Decompositions that are computed once for each content of a matrix."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from isthmus.linalg import remembered
from isthmus.linalg.remembered import MIN_SIZE, DecompositionCache


def counted(cache: DecompositionCache, matrix: np.ndarray, calls: list[str], kind: str = "eigh") -> np.ndarray:
    """Decompose through the cache, and note each computation."""
    return cache.get(matrix, kind, lambda: (calls.append(kind), tuple(np.linalg.eigh(matrix)))[1])[1]


def test_decomposition_of_equal_matrices_is_computed_once() -> None:
    cache, calls = DecompositionCache(2**20), list[str]()
    matrix = np.diag(np.arange(MIN_SIZE, dtype=float))
    first = counted(cache, matrix, calls)
    assert counted(cache, np.asfortranarray(matrix), calls) is first
    assert counted(cache, matrix, calls, "another") is not first
    assert counted(cache, 2 * matrix, calls) is not first
    assert calls == ["eigh", "another", "eigh"]


def test_cache_drops_the_oldest_results_and_keeps_none_that_is_too_large() -> None:
    bytes_of_one = 8 * (MIN_SIZE**2 + MIN_SIZE)
    cache, calls = DecompositionCache(2 * bytes_of_one), list[str]()
    a, b, c = (np.diag(np.full(MIN_SIZE, float(k))) for k in (1, 2, 3))
    for matrix in (a, b, a, c, a, b):  # c drops b, because a was used after it
        counted(cache, matrix, calls)
    assert len(calls) == 4
    small, calls = DecompositionCache(bytes_of_one - 1), list[str]()
    for _ in range(2):
        counted(small, a, calls)
    assert len(calls) == 2


def test_threads_that_ask_for_one_matrix_wait_for_one_decomposition() -> None:
    cache, calls, started = DecompositionCache(2**20), list[str](), threading.Barrier(3)
    matrix, results = np.eye(MIN_SIZE), list[np.ndarray]()

    def decompose() -> tuple[np.ndarray, ...]:
        calls.append("eigh")
        threading.Event().wait(0.05)  # the other threads ask meanwhile
        return tuple(np.linalg.eigh(matrix))

    def ask() -> None:
        started.wait()
        results.append(cache.get(matrix, "eigh", decompose)[1])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == ["eigh"]
    assert results[0] is results[1] is results[2]


def test_small_matrices_are_decomposed_anew() -> None:
    cache, calls = DecompositionCache(2**20), list[str]()
    for _ in range(2):
        counted(cache, np.eye(MIN_SIZE - 1), calls)
    assert len(calls) == 2


def test_remembered_results_equal_numpy_and_cannot_be_written() -> None:
    matrix = np.random.default_rng(0).normal(size=(MIN_SIZE, MIN_SIZE + 2))
    gram = matrix @ matrix.T
    values, vectors = remembered.eigh(gram)
    assert np.array_equal(values, np.linalg.eigh(gram)[0])
    assert np.array_equal(remembered.singular_values(matrix), np.linalg.svd(matrix, compute_uv=False))
    for full in (True, False):
        expected = np.linalg.svd(matrix, full_matrices=full)
        assert all(map(np.array_equal, remembered.svd(matrix, full_matrices=full), expected))
    with pytest.raises(ValueError, match="read-only"):
        vectors[0] = 0


def test_nuclear_norm_of_single_precision_has_the_accuracy_of_double(rng: np.random.Generator) -> None:
    matrix = rng.standard_normal((MIN_SIZE, 3 * MIN_SIZE)).astype(np.float32)
    expected = float(np.linalg.svd(matrix.astype(np.float64), compute_uv=False).sum())
    assert remembered.nuclear_norm(matrix) == pytest.approx(expected, rel=1e-9)
