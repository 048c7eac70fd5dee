"""Ranks against a slow loop; ties, tiles and captions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom, norm

from isthmus.align import ScoreStandardization
from isthmus.compute import score_matrix, topk
from isthmus.compute.masks import count_columns, count_rows
from isthmus.compute.score_matrix import even_slices
from isthmus.statistics.intervals import wilson_interval
from isthmus.tasks import Retrieval, TaskData, ranks, registry
from isthmus.tasks.ranks import matching_ranks


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow_ranks(x: np.ndarray, y: np.ndarray, owner: np.ndarray) -> tuple[list[int], list[int]]:
    scores = x.astype(float) @ y.T.astype(float)
    forward = []
    for i in range(len(x)):
        matching = [scores[i, j] for j in range(len(y)) if owner[j] == i]
        non_matching = [scores[i, j] for j in range(len(y)) if owner[j] != i]
        forward.append(1 + sum(s >= max(matching) - 1e-6 for s in non_matching) if matching else 0)
    backward = [
        1 + sum(scores[i, j] >= scores[owner[j], j] - 1e-6 for i in range(len(x)) if i != owner[j])
        for j in range(len(y))
    ]
    return forward, backward


@pytest.mark.parametrize("tile", [(1024, 2048), (16, 24), (7, 13)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("kind", ["one", "sorted", "mixed"])
def test_matching_ranks_equal_a_slow_loop(
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


def test_matching_ranks_of_equal_rows_tie_for_every_tile_shape(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = unit(rng.normal(size=(40, 300))).astype("f4")
    y = np.repeat(unit(x + 0.1 * rng.normal(size=x.shape)).astype("f4")[:1], 40, axis=0)
    for tile in ((1024, 2048), (3, 5), (1, 1), (40, 7)):
        monkeypatch.setattr(score_matrix, "TILE_SHAPE", tile)
        assert matching_ranks(x, y, np.arange(40))[0].tolist() == [40] * 40


def test_matching_ranks_in_several_threads_equal_a_slow_loop(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = np.repeat(np.arange(200), 3)
    x = unit(rng.normal(size=(200, 6)))
    y = unit(x[owner] + rng.normal(size=(600, 6)))
    monkeypatch.setattr(score_matrix, "TILE_SHAPE", (90, 64))
    monkeypatch.setattr(score_matrix, "STRIP_SCORES", 450)
    monkeypatch.setattr(ranks, "SLICE_ROWS", 40)
    monkeypatch.setattr(topk, "PARALLEL_SCORES", 0)
    monkeypatch.setattr(topk, "n_threads", lambda: 4)
    forward, backward = matching_ranks(x, y, owner)
    assert (forward.tolist(), backward.tolist()) == slow_ranks(x, y, owner)


def test_matching_ranks_of_rows_that_are_not_unit_equal_a_slow_loop(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 30, 4)) * 50
    forward, backward = matching_ranks(x, y, np.arange(30))
    assert (forward.tolist(), backward.tolist()) == slow_ranks(x, y, np.arange(30))


@pytest.mark.parametrize("shape", [(3, 8), (600, 16), (10, 2048 * 3), (257, 4104), (5, 13)])
def test_count_rows_and_columns_equal_the_sums_of_the_mask(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    for mask in (rng.random(shape) < 0.4, np.ones(shape, dtype=bool)):
        np.testing.assert_array_equal(count_rows(mask), mask.sum(axis=1))
        np.testing.assert_array_equal(count_columns(mask), mask.sum(axis=0))


def test_retrieval_recall_mrr_and_median_equal_hand_computed_values() -> None:
    ranks_of = Retrieval(np.array([1, 2, 4]), np.array([1, 1, 10, 3]), items=3, rows=4, owner=np.array([0, 0, 1, 2]))
    assert [e.value for e in ranks_of.recall(1)] == pytest.approx([1 / 3, 1 / 2])
    assert ranks_of.mrr() == pytest.approx(((1 + 0.5 + 0.25) / 3, (1 + 1 + 0.1 + 1 / 3) / 4))
    assert ranks_of.median_rank() == (2.0, 2.0)


def test_recall_interval_of_agreeing_captions_is_that_of_the_items() -> None:
    owner = np.repeat(np.arange(200), 5)
    agree = np.repeat(np.where(np.arange(200) % 2, 1, 9), 5)  # all captions of an item agree
    apart = np.tile([1, 9], 500)
    ranks_x = np.ones(200, dtype=int)
    wide = Retrieval(ranks_x, agree, 200, 1000, owner).recall(1)[1]
    narrow = Retrieval(ranks_x, apart, 200, 1000, owner).recall(1)[1]
    assert (wide.low, wide.high) == pytest.approx(wilson_interval(100, 200), abs=2e-3)
    assert (narrow.low, narrow.high) == pytest.approx(wilson_interval(500, 1000), abs=1e-9)
    half = norm.ppf(0.975) * 0.5 / 200**0.5
    assert wide.high - wide.low == pytest.approx(2 * half, rel=0.02)


@pytest.mark.parametrize("scales", [(1, 1), (100, 1), (1, 100)])
@pytest.mark.parametrize(("difference", "rank"), [(2e-7, 2), (1e-5, 1)])
def test_matching_ranks_only_differences_of_rounding_are_ties(
    difference: float, rank: int, scales: tuple[float, float]
) -> None:
    x = scales[0] * np.eye(2, dtype=np.float32)
    y = scales[1] * np.array([[1, 0], [1 - difference, 0]], dtype=np.float32)
    assert matching_ranks(x, y, np.arange(2))[0][0] == rank


def test_recall_interval_without_misses_counts_items_not_captions() -> None:
    """If every caption is a hit, the captions of an item are taken to agree: five captions count as one."""
    result = Retrieval(np.ones(40, dtype=int), np.ones(200, dtype=int), 40, 200, np.repeat(np.arange(40), 5))
    assert (result.recall(1)[1].low, result.recall(1)[1].high) == pytest.approx(wilson_interval(40, 40))


@pytest.mark.parametrize(("k", "n_corpus", "n_relevant"), [(1, 10, 1), (3, 10, 2), (10, 1000, 5), (9, 10, 1)])
def test_recall_null_is_the_hypergeometric_probability(k: int, n_corpus: int, n_relevant: int) -> None:
    n_items = n_corpus // n_relevant
    owner = np.repeat(np.arange(n_items), n_relevant)
    result = Retrieval(np.ones(n_items, dtype=int), np.ones(n_corpus, dtype=int), n_items, n_corpus, owner)
    from_x, from_y = result.recall(k)
    assert from_x.null == pytest.approx(1 - hypergeom.pmf(0, n_corpus, n_relevant, k))
    assert from_y.null == pytest.approx(min(k / n_items, 1))


def test_recall_null_of_unequal_numbers_of_matches_is_the_mean_over_queries(rng: np.random.Generator) -> None:
    counts = np.repeat([1, 8], [30, 10])
    index = np.repeat(np.arange(40), counts)
    shared = np.arange(len(index))
    shared[:5] = 0  # five items have one row of y
    for y_groups, of_x, of_y, n in ((None, counts, np.ones(110), 110), (shared, counts, [5] + [1] * 105, 106)):
        result = Retrieval.of(rng.normal(size=(40, 8)), rng.normal(size=(110, 8)), index=index, y_groups=y_groups)
        for k in (1, 10):
            for null, matches, corpus in ((result.recall(k)[0].null, of_x, n), (result.recall(k)[1].null, of_y, 40)):
                expected = [1 - hypergeom.pmf(0, corpus, m, k) for m in matches]
                assert null == pytest.approx(np.mean(expected), rel=1e-9)


def test_recall_null_is_one_if_every_draw_contains_a_match() -> None:
    result = Retrieval(np.array([1, 1]), np.ones(10, dtype=int), 2, 10, np.repeat([0, 1], 5))
    assert result.recall(6)[0].null == 1
    assert result.recall(5)[0].null == pytest.approx(1 - 1 / 252)


def test_retrieval_task_averages_both_directions(rng: np.random.Generator) -> None:
    owner = np.array([0, 0, 1, 3, 3, 3])  # item 2 has no row of y
    x, y = unit(rng.normal(size=(4, 3))), unit(rng.normal(size=(6, 3)))
    forward, backward = (np.array(r) for r in slow_ranks(x, y, owner))
    forward = forward[forward > 0]
    result = registry()["retrieval"].run(TaskData(x, y, owner=owner))
    for k in (1, 5, 10):
        expected = (np.mean(forward <= k) + np.mean(backward <= k)) / 2
        assert result.scores()[f"R@{k}"] == pytest.approx(expected)
    assert result.scores()["MRR"] == pytest.approx((np.mean(1 / forward) + np.mean(1 / backward)) / 2)
    assert result.scores()["median_rank"] == (np.median(forward) + np.median(backward)) / 2


@pytest.mark.parametrize(
    ("size", "most"), [(0, 8), (1, 8), (25_000, 4192), (5000, 1696), (50, 7), (4192, 4192), (81, 40)]
)
def test_even_slices_cover_everything_once(size: int, most: int) -> None:
    slices = even_slices(size, most)
    assert [i for block in slices for i in range(block.start, block.stop)] == list(range(size))
    assert all(0 < block.stop - block.start <= most for block in slices)


@pytest.mark.filterwarnings("ignore:A row of y has .* near copies")
def test_standardization_keeps_the_ranks_of_float32_rows_that_almost_tie(rng: np.random.Generator) -> None:
    """The correction makes rows longer, which must not make ties wider."""
    rows = rng.normal(size=(2, 40, 64)) + 40 * np.eye(64)[:2, None]  # narrow cones: a small spread of the scores
    x, y = rows / np.linalg.norm(rows, axis=2, keepdims=True)
    y[:20] = y[0] - np.arange(20)[:, None] * 4e-6 * x[0]
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    x, y = x.astype(np.float32), y.astype(np.float32)
    correction = ScoreStandardization().fit(x, y)
    raw, corrected = (
        registry()["retrieval"].run(TaskData(x, y, correction=value)).scores() for value in (None, correction)
    )
    assert corrected == raw


def test_recall_intervals_of_one_to_one_pairs_exchange_with_the_modalities(rng: np.random.Generator) -> None:
    x = unit(rng.normal(size=(40, 6)))
    y = unit(x + rng.normal(size=x.shape))
    forward, backward = Retrieval.of(x, y).recall(1), Retrieval.of(y, x).recall(1)
    for estimate, other in zip(forward, backward[::-1], strict=True):
        assert (estimate.low, estimate.high) == (other.low, other.high)
