"""The nearest rows from tiles of scores, and one pass for all that looks at scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.compute import score_sweep, topk
from isthmus.compute.score_sweep import sweep_blocks, sweep_scores
from isthmus.compute.streaming_topk import StreamingTopK
from isthmus.metrics import _score_sweep
from isthmus.metrics._negative_ends import NegativeEnds
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import PairwiseSums
from isthmus.metrics._score_sweep import sweep_rows
from isthmus.metrics.recall import SampledRetrieval


def tiles_of(scores: np.ndarray, k: int, blocks: list[slice], order: np.ndarray, *, transposed: bool) -> StreamingTopK:
    nearest = StreamingTopK(blocks, k, scores.dtype)
    for number in order:
        row, column = divmod(int(number), len(blocks))
        tile = np.ascontiguousarray(scores[blocks[row], blocks[column]])
        if transposed:
            nearest.add_transposed(np.ascontiguousarray(tile.T), row, blocks[column])
        else:
            nearest.add(tile, row, blocks[column])
    return nearest


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("levels", [3, 40, 10**6])  # few levels make ties
def test_streaming_topk_equals_a_sort_with_ties_by_column(
    rng: np.random.Generator, dtype: str, transposed: bool, levels: int
) -> None:
    n, k = 200, 7
    scores = (np.round(rng.normal(size=(n, n)) * levels) / levels).astype(dtype)
    expected = np.lexsort((np.broadcast_to(np.arange(n), scores.shape), -scores), axis=1)[:, :k]
    blocks = [slice(start, start + 40) for start in range(0, n, 40)]
    order = rng.permutation(len(blocks) ** 2)
    result = tiles_of(scores, k, blocks, order, transposed=transposed).result()
    np.testing.assert_array_equal(result.scores, np.take_along_axis(scores, expected, axis=1))
    if levels > 3:  # of a tile that is nearly all ties any of them are kept
        np.testing.assert_array_equal(result.index, expected)


def test_sweep_on_several_threads_gives_the_same_bits(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rng.normal(size=(2, 150, 6)).astype(np.float32)
    rows = PairedRows(x, y, unit=False)
    monkeypatch.setattr(score_sweep, "TILE_ROWS", 24)
    expected = sweep_rows(rows, Neighbours, PairwiseSums)
    monkeypatch.setattr(topk, "PARALLEL_SCORES", 0)
    monkeypatch.setattr(topk, "n_threads", lambda: 4)
    result = sweep_rows(rows, Neighbours, PairwiseSums)
    for kind in ("xx", "xy", "yx", "yy"):
        a, b = (getattr(results[Neighbours], kind) for results in (expected, result))
        np.testing.assert_array_equal(a.index, b.index)
        np.testing.assert_array_equal(a.scores, b.scores)
        sums = [getattr(results[PairwiseSums], kind) for results in (expected, result)]
        for name in sums[0]:
            np.testing.assert_array_equal(sums[0][name], sums[1][name])
    for name in ("rank_x", "rank_y", "before_x", "before_y"):
        np.testing.assert_array_equal(getattr(expected[Neighbours], name), getattr(result[Neighbours], name))


def test_sweep_covers_each_score_once(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = rng.normal(size=(2, 50, 3))
    monkeypatch.setattr(score_sweep, "TILE_ROWS", 16)
    tables = {kind: np.zeros((50, 50)) for kind in ("xx", "yy", "xy")}

    class Copy:
        kinds = "xx", "yy", "xy"

        def tile(self, kind: str, scores: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
            return scores.copy()

        def add(self, kind: str, partial: Any, rows: slice, columns: slice) -> None:
            tables[kind][rows, columns] += partial

    sweep_scores(x, y, [Copy()])
    assert len(sweep_blocks(50)) == 4
    np.testing.assert_allclose(tables["xy"], x @ y.T)
    upper = np.kron(np.triu(np.ones((4, 4))), np.ones((16, 16)))[:50, :50]
    np.testing.assert_allclose(tables["xx"], upper * (x @ x.T))
    np.testing.assert_allclose(tables["yy"], upper * (y @ y.T))


def test_neighbours_count_equal_rows_as_ties_in_every_tile(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = rng.normal(size=(100, 5)).astype(np.float32)
    y = np.tile(rng.normal(size=5).astype(np.float32), (100, 1))
    monkeypatch.setattr(score_sweep, "TILE_ROWS", 24)
    neighbours = Neighbours.of(x, y, k=3)
    assert np.all(neighbours.rank_x >= 100)  # all rows of y tie with the matching one
    assert neighbours.xy.scores.shape == (100, 3)


def test_kernel_of_centred_distances_with_far_means_equals_the_direct_one(rng: np.random.Generator) -> None:
    x, y = 0.01 * rng.normal(size=(2, 60, 4)) + np.eye(4)[:2, None]  # narrow cones: the factors would overflow
    for rows in (PairedRows(x, y, unit=False), PairedRows(x, y + np.eye(4)[0] - np.eye(4)[1], unit=False)):
        sums = PairwiseSums.of(rows)
        centred = rows.x[:, None] - rows.y - sums.gap
        kernel = np.exp(-np.sum(centred**2, axis=2) / (2 * sums.median**2))
        np.fill_diagonal(kernel, 0)
        np.testing.assert_allclose(sums.xy["centred_rbf_1"], kernel.sum(axis=1), rtol=1e-9)


def test_sums_of_centred_distances_equal_the_direct_ones_and_equal_rows_add_nothing(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 60, 4))
    sums = PairwiseSums.of(PairedRows(x, y, unit=False))
    distances = np.linalg.norm(x[:, None] - y - sums.gap, axis=2)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_allclose(sums.yx["centred_inverse"], (1 / distances).sum(axis=0), rtol=1e-9)
    np.fill_diagonal(distances, 0)
    np.testing.assert_allclose(sums.xy["centred_distance"], distances.sum(axis=1), rtol=1e-9)
    constant = PairwiseSums.of(PairedRows(np.ones((20, 4)), np.eye(4)[np.zeros(20, dtype=int)], unit=False))
    for name in ("centred_inverse", "centred_distance"):
        assert not constant.xy[name].any()


def test_all_that_looks_at_scores_multiplies_each_pair_of_blocks_once(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = rng.normal(size=(2, 48, 5))
    rows = PairedRows(x, y, unit=False)
    alone = sweep_rows(rows, SampledRetrieval)[SampledRetrieval].retrieval
    monkeypatch.setattr(score_sweep, "TILE_ROWS", 16)
    shapes: list[tuple[int, ...]] = []
    matmul = np.matmul

    def counted(a: np.ndarray, b: np.ndarray, *, out: np.ndarray) -> np.ndarray:
        shapes.append(out.shape)
        result: np.ndarray = matmul(a, b, out=out)
        return result

    monkeypatch.setattr(np, "matmul", counted)
    together = sweep_rows(rows, Neighbours, PairwiseSums, NegativeEnds, SampledRetrieval)
    assert shapes == [(16, 16)] * (6 + 6 + 9)  # the upper triangles within x and within y, and all blocks between
    for name in ("x_to_y", "y_to_x"):
        np.testing.assert_array_equal(getattr(together[SampledRetrieval].retrieval, name), getattr(alone, name))


def test_measure_sweeps_the_scores_once(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    consumers: list[list[str]] = []

    def counted(x: np.ndarray, y: np.ndarray, used: list[Any]) -> None:
        consumers.append(sorted(type(consumer).__name__ for consumer in used))
        sweep_scores(x, y, used)

    monkeypatch.setattr(_score_sweep, "sweep_scores", counted)
    names = ["mixing_rate", "energy_distance", "siglip_margin", "cknna", "{x}_to_{y}_R@1", "uniformity_{side}"]
    isthmus.measure(rng.normal(size=(60, 5)), rng.normal(size=(60, 5)), metrics=names)
    assert consumers == [["NegativeTiles", "NeighbourTiles", "PairwiseTiles"]]
