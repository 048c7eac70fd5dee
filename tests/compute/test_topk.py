"""Tiles of scores, selections and counts against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus import config_context
from isthmus.compute import score_matrix
from isthmus.compute import topk as topk_module
from isthmus.compute.score_matrix import ScoreMatrix, block_slices
from isthmus.compute.streaming_topk import lowest_key, scores_of_keys
from isthmus.compute.topk import count_at_least, nearest_euclidean, score_matrices, search_spans, topk

torch = pytest.importorskip("torch")


@pytest.fixture(params=["numpy", "torch"])
def backend(request: pytest.FixtureRequest) -> Any:
    if request.param == "numpy":
        yield request.param
        return
    with config_context(device="cpu"):
        yield request.param


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_matrix, "BLOCK_SCORES", 100)
    monkeypatch.setattr(score_matrix, "TILE_SHAPE", (8, 16))
    monkeypatch.setattr(score_matrix, "STRIP_SCORES", 40)
    monkeypatch.setattr("isthmus.compute.torch_kernels.DEVICE_BLOCK_SCORES", 100)


@pytest.mark.usefixtures("small_blocks")
def test_topk_equals_a_sort_of_all_scores(backend: str, rng: np.random.Generator) -> None:
    queries, corpus = rng.normal(size=(31, 5)), rng.normal(size=(45, 5))
    scores = queries @ corpus.T
    nearest = topk(queries, corpus, k=4, exclude_self=False)
    np.testing.assert_array_equal(nearest.index, np.argsort(-scores, axis=1)[:, :4])
    np.testing.assert_allclose(nearest.scores, -np.sort(-scores, axis=1)[:, :4])


def test_topk_of_no_queries_is_empty(backend: str) -> None:
    nearest = topk(np.empty((0, 5)), np.ones((4, 5)), k=3, exclude_self=False)
    assert nearest.scores.shape == nearest.index.shape == (0, 3)


@pytest.mark.usefixtures("small_blocks")
def test_topk_with_exclude_self_leaves_out_the_diagonal(backend: str, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(31, 5))
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    np.testing.assert_array_equal(topk(rows, rows, k=3, exclude_self=True).index, np.argsort(-scores, axis=1)[:, :3])


@pytest.mark.parametrize("exclude_self", [False, True])
@pytest.mark.parametrize("shape", [(61, 61), (23, 90), (90, 37)])
@pytest.mark.parametrize("threads", [1, 3])
def test_topk_of_tiles_equals_a_sort_with_ties_by_column(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], threads: int, exclude_self: bool
) -> None:
    monkeypatch.setattr(topk_module, "STREAMED_SCORES", 1)
    monkeypatch.setattr(topk_module, "STREAMED_QUERIES", 1)
    monkeypatch.setattr(topk_module, "SEARCH_TILE", (8, 32))
    monkeypatch.setattr(topk_module, "OWN_TILE", 24)
    monkeypatch.setattr(topk_module, "MIN_TILE_ROWS", 8)
    monkeypatch.setattr(topk_module, "PARALLEL_SCORES", 1 if threads > 1 else 10**9)
    monkeypatch.setattr(topk_module, "n_threads", lambda: threads)
    rows = rng.integers(-9, 9, size=(max(shape), 4)).astype(np.float32)  # sums of integers are exact in any tile
    for queries, corpus in ((rows[: shape[0]], rows[: shape[1]]), (rows, rows)):
        scores = queries @ corpus.T
        if exclude_self:
            np.fill_diagonal(scores, -np.inf)
        nearest = topk(queries, corpus, k=2, exclude_self=exclude_self)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :2]
        np.testing.assert_array_equal(nearest.scores, np.take_along_axis(scores, order, axis=1))
        np.testing.assert_array_equal(nearest.index, order)


@pytest.mark.parametrize("n_queries", [64, 2_000, 10_000, 1_000_000])
@pytest.mark.parametrize("n_corpus", [320, 9_999, 1_000_000])
def test_tiles_of_a_search_cover_all_scores_in_bounded_memory(n_queries: int, n_corpus: int) -> None:
    for itemsize in (4, 8):
        slices = search_spans(n_queries, n_corpus, itemsize)
        for spans, size in zip(slices, (n_queries, n_corpus), strict=True):
            assert [span.start for span in spans] == [0, *(span.stop for span in spans[:-1])]
            assert spans[-1].stop == size
        height, width = (spans[0].stop for spans in slices)
        assert height * width * itemsize < 51e6


@pytest.mark.usefixtures("small_blocks")
def test_count_at_least_equals_a_comparison_of_all_scores(backend: str, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(20, 4)), rng.normal(size=(50, 4))
    order = rng.permutation(50)
    owner = np.sort(rng.integers(0, 20, size=50))
    thresholds_x, thresholds_y = rng.normal(size=20), rng.normal(size=50)
    scores = x @ y[order].T
    unpaired = np.arange(20)[:, None] != owner
    counts_x, counts_y = count_at_least(
        x, y, thresholds_x=thresholds_x, thresholds_y=thresholds_y, owner=owner, order=order
    )
    np.testing.assert_array_equal(counts_x, np.sum((scores >= thresholds_x[:, None]) & unpaired, axis=1))
    np.testing.assert_array_equal(counts_y, np.sum((scores >= thresholds_y) & unpaired, axis=0))


def test_count_at_least_counts_a_score_that_equals_the_threshold(backend: str) -> None:
    options = {"thresholds_x": np.zeros(2), "thresholds_y": np.zeros(2), "owner": np.arange(2)}
    counts_x, counts_y = count_at_least(np.eye(2), np.eye(2), **options)
    assert (counts_x.tolist(), counts_y.tolist()) == ([1, 1], [1, 1])


@pytest.mark.usefixtures("small_blocks")
def test_rank_relevant_equals_a_sort_of_all_scores(backend: str, rng: np.random.Generator) -> None:
    queries, corpus = rng.normal(size=(12, 4)), rng.normal(size=(30, 4))
    columns = np.stack([rng.choice(30, size=3, replace=False) for _ in range(12)])
    is_relevant = np.stack([np.arange(3) < count for count in rng.integers(1, 4, size=12)])
    (matrix,) = score_matrices(queries, corpus)
    for rows in matrix.blocks():
        block = matrix.tile(rows)
        relevant, above = matrix.rank_relevant(block, rows, columns, is_relevant, slack=0.0)
        nearest = matrix.topk_set(block, 2)
        for position, query in enumerate(range(rows.start, rows.stop)):
            scores = corpus @ queries[query]
            own_columns = columns[query][is_relevant[query]]
            other_columns = np.delete(np.arange(30), own_columns)
            expected = -np.sort(-scores[own_columns])
            np.testing.assert_allclose(relevant[position][: len(own_columns)], expected)
            assert np.isneginf(relevant[position][len(own_columns) :]).all()
            assert above[position][: len(own_columns)].tolist() == [
                int(np.sum(scores[other_columns] >= s)) for s in expected
            ]
            assert set(nearest[position]) == set(other_columns[np.argsort(-scores[other_columns])[:2]])


@pytest.mark.usefixtures("small_blocks")
def test_nearest_euclidean_of_equal_rows_is_the_first(rng: np.random.Generator) -> None:
    corpus = rng.normal(size=(40, 3))
    corpus[35] = corpus[2]
    assert nearest_euclidean(corpus[[2, 35]], corpus).tolist() == [2, 2]
    queries = rng.normal(size=(20, 3))
    distances = np.linalg.norm(queries[:, None] - corpus, axis=2)
    np.testing.assert_array_equal(nearest_euclidean(queries, corpus), np.argmin(distances, axis=1))


def test_score_matrix_of_two_dtypes_computes_in_the_wider_one(rng: np.random.Generator) -> None:
    queries, corpus = rng.normal(size=(4, 3)).astype("f4"), rng.normal(size=(5, 3))
    scores = ScoreMatrix(queries, corpus).tile(slice(0, 4))
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, queries @ corpus.T)


def test_block_slices_have_at_least_one_row() -> None:
    assert block_slices(1_000, 2, 5, block_scores=10) == [slice(2, 3), slice(3, 4), slice(4, 5)]
    assert block_slices(10, 0, 7, block_scores=30) == [slice(0, 3), slice(3, 6), slice(6, 7)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_places_without_a_score_are_read_without_a_warning(dtype: type) -> None:
    scores, numbers = scores_of_keys(np.full(3, lowest_key(np.dtype(dtype))), np.dtype(dtype))
    assert not np.isfinite(scores).any()
    assert numbers.dtype == np.int64
