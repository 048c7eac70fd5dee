"""Ranks against a slow loop; ties, tiles and captions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from isthmus.compute import score_matrix, topk
from isthmus.compute.score_matrix import count_columns, count_rows, even_slices
from isthmus.statistics.intervals import wilson_interval
from isthmus.tasks import Retrieval, ranks
from isthmus.tasks.ranks import matching_ranks


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow_ranks(x: np.ndarray, y: np.ndarray, owner: np.ndarray) -> tuple[list[int], list[int]]:
    scores = x.astype(float) @ y.T.astype(float)
    forward = []
    for i in range(len(x)):
        own = [scores[i, j] for j in range(len(y)) if owner[j] == i]
        others = [scores[i, j] for j in range(len(y)) if owner[j] != i]
        forward.append(1 + sum(s >= max(own) - 1e-6 for s in others) if own else 0)
    backward = [
        1 + sum(scores[i, j] >= scores[owner[j], j] - 1e-6 for i in range(len(x)) if i != owner[j])
        for j in range(len(y))
    ]
    return forward, backward


@pytest.mark.parametrize("tile", [(1024, 2048), (16, 24), (7, 13)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kind", ["one", "sorted", "mixed"])
def test_ranks_are_those_of_a_slow_loop(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, tile: tuple[int, int], dtype: str, kind: str
) -> None:
    monkeypatch.setattr(score_matrix, "TILE_SHAPE", tile)
    monkeypatch.setattr(score_matrix, "STRIP_SCORES", 100 if tile[0] < 50 else 2**19)
    n = 50
    owner = {"one": np.arange(n), "sorted": np.repeat(np.arange(n), 3), "mixed": rng.integers(0, n, 120)}[kind]
    x = rng.normal(size=(n, 5))
    y = x[owner] + rng.normal(size=(len(owner), 5))
    y[7], y[20] = y[30], y[31]  # equal rows: ties
    x[3] = x[9]
    x, y = unit(x).astype(dtype), unit(y).astype(dtype)
    forward, backward = matching_ranks(x, y, owner)
    expected = slow_ranks(x, y, owner)
    assert forward.tolist() == expected[0]
    assert backward.tolist() == expected[1]


def test_equal_rows_tie_however_the_product_is_cut(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x = unit(rng.normal(size=(40, 300))).astype("f4")
    y = np.repeat(unit(x + 0.1 * rng.normal(size=x.shape)).astype("f4")[:1], 40, axis=0)
    for tile in ((1024, 2048), (3, 5), (1, 1), (40, 7)):
        monkeypatch.setattr(score_matrix, "TILE_SHAPE", tile)
        assert matching_ranks(x, y, np.arange(40))[0].tolist() == [40] * 40


def test_threads_count_the_same(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = np.repeat(np.arange(200), 3)
    x = unit(rng.normal(size=(200, 6)))
    y = unit(x[owner] + rng.normal(size=(600, 6)))
    monkeypatch.setattr(score_matrix, "TILE_SHAPE", (90, 64))
    monkeypatch.setattr(score_matrix, "STRIP_SCORES", 450)
    monkeypatch.setattr(ranks, "SLICE_ROWS", 40)
    monkeypatch.setattr(topk, "PARALLEL_SCORES", 0)
    monkeypatch.setattr(topk, "blas_threads", lambda: 4)
    forward, backward = matching_ranks(x, y, owner)
    assert (forward.tolist(), backward.tolist()) == slow_ranks(x, y, owner)


def test_rows_that_are_not_unit(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 30, 4)) * 50
    forward, backward = matching_ranks(x, y, np.arange(30))
    assert (forward.tolist(), backward.tolist()) == slow_ranks(x, y, np.arange(30))


@pytest.mark.parametrize("shape", [(3, 8), (600, 16), (10, 2048 * 3), (257, 4104), (5, 13)])
def test_counts_of_masks(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    for mask in (rng.random(shape) < 0.4, np.ones(shape, dtype=bool)):
        np.testing.assert_array_equal(count_rows(mask), mask.sum(axis=1))
        np.testing.assert_array_equal(count_columns(mask), mask.sum(axis=0))


def test_summaries_of_ranks() -> None:
    found = Retrieval(np.array([1, 2, 4]), np.array([1, 1, 10, 3]), items=3, rows=4, owner=np.array([0, 0, 1, 2]))
    assert [e.value for e in found.recall(1)] == pytest.approx([1 / 3, 1 / 2])
    assert found.mrr() == pytest.approx(((1 + 0.5 + 0.25) / 3, (1 + 1 + 0.1 + 1 / 3) / 4))
    assert found.median_rank() == (2.0, 2.0)


def test_interval_of_recall_counts_items_not_captions() -> None:
    owner = np.repeat(np.arange(200), 5)
    agree = np.repeat(np.where(np.arange(200) % 2, 1, 9), 5)  # all captions of an item have one fate
    apart = np.tile([1, 9], 500)
    ranks_x = np.ones(200, dtype=int)
    wide = Retrieval(ranks_x, agree, 200, 1000, owner).recall(1)[1]
    narrow = Retrieval(ranks_x, apart, 200, 1000, owner).recall(1)[1]
    assert (wide.low, wide.high) == pytest.approx(wilson_interval(100, 200), abs=2e-3)
    assert (narrow.low, narrow.high) == pytest.approx(wilson_interval(500, 1000), abs=1e-9)
    half = norm.ppf(0.975) * 0.5 / 200**0.5
    assert wide.high - wide.low == pytest.approx(2 * half, rel=0.02)


@pytest.mark.parametrize(
    ("size", "most"), [(0, 8), (1, 8), (25_000, 4192), (5000, 1696), (50, 7), (4192, 4192), (81, 40)]
)
def test_cuts_cover_everything_once(size: int, most: int) -> None:
    cuts = even_slices(size, most)
    assert [i for cut in cuts for i in range(cut.start, cut.stop)] == list(range(size))
    assert all(0 < cut.stop - cut.start <= most for cut in cuts)
