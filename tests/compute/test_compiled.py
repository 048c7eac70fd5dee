"""Compiled loops give what NumPy gives."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from isthmus.compute import compiled, score_sweep
from isthmus.compute.running_top import RunningTop
from isthmus.compute.score_sweep import sweep_blocks
from isthmus.compute.streaming_topk import StreamingTopK
from isthmus.metrics import _pairwise_sums
from isthmus.metrics._negative_ends import NegativeEnds
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import PairwiseSums
from isthmus.tasks.within_modality_search import WithinModalitySearch
from isthmus.utils.errors import IsthmusWarning

loops = pytest.importorskip("isthmus.compute._loops", reason="needs numba", exc_type=ImportError)


@pytest.fixture
def compiles(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Return a switch: compiled loops for every size, or for none."""
    monkeypatch.setattr(score_sweep, "TILE_ROWS", 43)  # the last word of a row is not full
    return lambda on: monkeypatch.setattr(compiled, "MIN_SCORES", 0 if on else np.inf)


def unit_rows(rng: np.random.Generator, n: int, dim: int = 12) -> np.ndarray:
    rows = rng.normal(size=(n, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def tied_rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows whose inner products are small integers, of which most are equal."""
    x, y = rng.integers(-1, 2, size=(2, n, 6)).astype(np.float32)
    return x, y


def test_small_work_and_double_precision_have_no_compiled_loops() -> None:
    assert compiled.compiled_loops(compiled.MIN_SCORES - 1, np.float32) is None
    assert compiled.compiled_loops(compiled.MIN_SCORES, np.float64) is None
    assert compiled.compiled_loops(compiled.MIN_SCORES, np.float32) is loops


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("k", [3, 22])
def test_neighbours_and_ranks_have_the_same_bits(
    rng: np.random.Generator, compiles: Callable[[bool], None], ties: bool, k: int
) -> None:
    x, y = tied_rows(rng, 170) if ties else (unit_rows(rng, 170), unit_rows(rng, 170))
    results = []
    for on in (False, True):
        compiles(on)
        results.append(Neighbours.of(x, y, k=k))
    expected, found = results
    for name in ("xx", "xy", "yx", "yy"):
        np.testing.assert_array_equal(getattr(found, name).scores, getattr(expected, name).scores)
        if not ties:  # of a tile that is nearly all ties any of them are kept
            np.testing.assert_array_equal(getattr(found, name).index, getattr(expected, name).index)
    for name in ("rank_x", "rank_y", "before_x", "before_y"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_search_within_a_modality_has_the_same_bits(rng: np.random.Generator, compiles: Callable[[bool], None]) -> None:
    rows, labels = unit_rows(rng, 170), np.arange(170) % 7
    results = []
    for on in (False, True):
        compiles(on)
        results.append(WithinModalitySearch.of(rows, labels))
    np.testing.assert_array_equal(results[1].ranks, results[0].ranks)
    np.testing.assert_array_equal(results[1].ndcg, results[0].ndcg)


@pytest.mark.parametrize("ties", [False, True])
def test_ends_of_negatives_have_the_same_bits(
    rng: np.random.Generator, compiles: Callable[[bool], None], ties: bool
) -> None:
    x, y = tied_rows(rng, 170) if ties else (unit_rows(rng, 170), unit_rows(rng, 170))
    results = []
    for on in (False, True):
        compiles(on)
        results.append(NegativeEnds.of(PairedRows(x, y)))
    assert results[0] == results[1]


def test_scores_are_split_at_two_limits() -> None:
    scores = np.array([[1, 2, 3], [4, 5, -1]], dtype=np.float32)
    out = np.zeros(6, np.float32)
    n_above, n_stored, largest = loops.split_scores(scores, 1.0, 3.0, np.zeros(1, np.uint64), out)
    assert (n_above, n_stored, largest) == (2, 2, 5)
    assert out[:2].tolist() == [2, 3]


@pytest.mark.parametrize("exponent", [0.0, -0.49, -0.5, -0.51, -1.0, -7.3, -125.9, -126.0])
def test_powers_of_two_have_the_precision_of_float32(exponent: float) -> None:
    assert loops._exp2(np.float32(exponent)) == pytest.approx(2.0 ** np.float32(exponent), rel=1.2e-7)


def test_powers_below_the_range_of_float32_are_its_smallest_number() -> None:
    assert loops._exp2(np.float32(-np.inf)) == loops._exp2(np.float32(-126)) == np.finfo(np.float32).tiny


@pytest.mark.parametrize("unit", [True, False])
def test_sums_equal_those_of_double_precision(
    rng: np.random.Generator, compiles: Callable[[bool], None], unit: bool
) -> None:
    x, y = unit_rows(rng, 170), unit_rows(rng, 170) + np.float32(0.0 if unit else 0.3)
    compiles(False)
    expected = PairwiseSums.of(PairedRows(x.astype(float), y.astype(float), unit=False))
    compiles(True)
    found = PairwiseSums.of(PairedRows(x, y, unit=False))
    for kind in ("xx", "xy", "yx", "yy"):
        for name, sums in getattr(expected, kind).items():
            np.testing.assert_allclose(getattr(found, kind)[name], sums, rtol=3e-5, err_msg=f"{kind} {name}")


def test_sums_of_scores_use_the_loops(
    rng: np.random.Generator, compiles: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    def recorded(name: str) -> Callable[..., Any]:
        function = getattr(loops, name)
        return lambda *arguments: used.append(name) or function(*arguments)

    others = ("find_neighbours", "insert_keys", "cells_above", "insert_values", "split_scores")
    for name in ("sum_within", "sum_across", *others):
        monkeypatch.setattr(loops, name, recorded(name))
    compiles(True)
    x, y = unit_rows(rng, 100), unit_rows(rng, 100)
    PairwiseSums.of(PairedRows(x, y))
    Neighbours.of(x, y, k=2)
    WithinModalitySearch.of(x, np.arange(100) % 3)
    NegativeEnds.of(PairedRows(x, y))
    n_blocks = len(sweep_blocks(100))
    n_across, n_within = n_blocks**2, n_blocks * (n_blocks + 1)
    assert (used.count("sum_within"), used.count("sum_across")) == (n_within, n_across)
    assert used.count("find_neighbours") == n_within + n_across
    assert used.count("split_scores") == n_across
    assert {"insert_keys", "cells_above", "insert_values"} <= set(used)


def test_more_candidates_than_memory_are_left_to_numpy(
    rng: np.random.Generator, compiles: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    compiles(True)
    x, y = unit_rows(rng, 100), unit_rows(rng, 100)
    expected = Neighbours.of(x, y, k=2)
    monkeypatch.setattr("isthmus.metrics._neighbours.MAX_CANDIDATES", 0)
    found = Neighbours.of(x, y, k=2)
    np.testing.assert_array_equal(found.xy.index, expected.xy.index)
    np.testing.assert_array_equal(found.before_x, expected.before_x)


@pytest.mark.parametrize("axis", [0, 1])
def test_running_top_of_tiles_is_that_of_a_sort(rng: np.random.Generator, axis: int) -> None:
    scores = np.round(rng.normal(size=(30, 77)), 1).astype(np.float32)
    scores[3] = -np.inf
    tiles = scores if axis == 0 else np.ascontiguousarray(scores.T)
    top = RunningTop(30, 5, np.float32, loops)
    for part in (slice(0, 40), slice(40, 77)):
        tile = tiles[:, part] if axis == 0 else tiles[part]
        top.add(np.ascontiguousarray(tile), **{"columns" if axis else "rows": slice(0, 30)})
    np.testing.assert_array_equal(top.values, -np.sort(-scores, axis=1)[:, :5])


def test_scores_equal_to_a_threshold_reach_it() -> None:
    scores = np.array([[1, 2], [3, 4]], dtype=np.float32)
    memory, cells = np.zeros(1, np.uint64), np.zeros((2, 16), np.int64)
    counts, counts_columns = np.zeros((2, 2), np.int32), np.zeros((2, 2), np.int32)
    limits = (np.array(pair, dtype=np.float32) for pair in ((2, 3), (1, 4), (2, 4), (3, 2)))
    found = loops.find_neighbours(scores, *limits, memory, *cells, counts, counts_columns)
    assert found == (3, 3)
    right, below, last = 1, 1 << 32, (1 << 32) + 1  # the row of a place in the high bits, the column in the low ones
    assert [row[:3].tolist() for row in cells] == [[right, below, last], [0, below, last]]
    assert counts.tolist() == [[1, 1], [1, 2]]
    assert counts_columns.tolist() == [[0, 2], [1, 2]]


def test_inserted_scores_raise_the_thresholds(rng: np.random.Generator) -> None:
    scores = rng.normal(size=(6, 50)).astype(np.float32)
    nearest = StreamingTopK([slice(0, 6)], 4, scores.dtype)
    thresholds = nearest.thresholds(scores, 0)
    rows, columns = np.nonzero(scores >= thresholds[:, None])
    nearest.insert(loops, scores, (rows << 32) + columns, thresholds, 0, 10)
    ordered = np.sort(scores, axis=1)[:, ::-1]
    np.testing.assert_array_equal(nearest.thresholds(scores, 0), ordered[:, 3])
    result = nearest.result()
    np.testing.assert_array_equal(result.scores, ordered[:, :4])
    np.testing.assert_array_equal(np.take_along_axis(scores, result.index - 10, axis=1), result.scores)


def test_equal_rows_are_left_to_numpy(rng: np.random.Generator, compiles: Callable[[bool], None]) -> None:
    compiles(True)
    x, y = unit_rows(rng, 100), unit_rows(rng, 100)
    assert _pairwise_sums.PairwiseTiles(PairedRows(x, y))._loops is loops
    assert _pairwise_sums.PairwiseTiles(PairedRows(x, np.repeat(y[:50], 2, axis=0)))._loops is None


def test_without_numba_numpy_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled._loops.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    try:
        assert compiled.compiled_loops(compiled.MIN_SCORES, np.float32) is None
    finally:
        compiled._loops.cache_clear()


def test_a_numba_that_cannot_be_imported_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError("Numba needs NumPy 2.4 or less")

    compiled._loops.cache_clear()
    monkeypatch.setattr(importlib, "import_module", fail)
    try:
        with pytest.warns(IsthmusWarning, match="numba cannot be imported.*Numba needs NumPy 2.4 or less"):
            assert compiled.compiled_loops(compiled.MIN_SCORES, np.float32) is None
    finally:
        compiled._loops.cache_clear()


def test_without_a_folder_for_compiled_code_nothing_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    def njit(cache: bool = False, **options: Any) -> Callable[..., Any]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba.core.decorators.njit(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert loops._compiled(lambda value: value + 1)(1) == 2


@pytest.mark.parametrize("n_columns", [5, 8, 13, 16])
def test_flags_behind_the_last_column_are_no_cells(n_columns: int) -> None:
    scores = np.ones((3, n_columns), np.float32)
    memory = np.full(n_columns // 8 + 1, np.iinfo(np.uint64).max)
    cells = np.zeros((2, scores.size), np.int64)
    bounds = (np.zeros(3, np.float32), np.full(n_columns, 2, np.float32))
    assert loops.cells_above(scores, *bounds, memory, *cells) == (scores.size, 0)
    assert (cells[0] & (2**32 - 1)).tolist() == 3 * list(range(n_columns))
