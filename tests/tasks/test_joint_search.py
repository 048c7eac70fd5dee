"""Retrieval, mixed and two-sided search of one pass have the scores of separate searches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from isthmus.align import InvertedSoftmax, ScoreCalibration, ScoreStandardization
from isthmus.compute.running_top import RunningTop
from isthmus.tasks import TaskData, _joint_search, registry
from isthmus.tasks._joint_search import TILE_ROWS, joint_results, search_together

TASKS = ("retrieval", "mixed_search")
TWO_SIDED = (*TASKS, "two_sided_search")


def unit(rows: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(dtype)


def pairs(n: int, m: int, rng: np.random.Generator, dtype: Any = np.float64) -> tuple[np.ndarray, Any, np.ndarray]:
    owner = np.arange(n) if m == n else rng.integers(0, n, m)
    x = rng.normal(size=(n, 12))
    return unit(x, dtype), unit(x[owner] + rng.normal(size=(m, 12)) + 0.5, dtype), owner


def assert_same_scores(x: np.ndarray, y: np.ndarray, tasks: Any = TASKS, **options: Any) -> None:
    apart, joint = TaskData(x, y, **options), TaskData(x, y, tasks=tasks, **options)
    assert joint_results(apart) is None
    results = joint_results(joint)
    assert results is not None
    assert ("two_sided_search" in tasks) == bool(results.two_sided)
    for name in tasks:
        expected, result = (registry()[name].run(data) for data in (apart, joint))
        for score, values in expected.per_item.items():
            np.testing.assert_allclose(result.per_item[score], values, atol=1e-12, err_msg=score)
        assert dict(result.overall) == pytest.approx(dict(expected.overall))


@pytest.mark.parametrize(("captions", "dtype"), [(1, np.float32), (2, np.float64)])  # float64 is screened in float32
def test_joint_search_more_rows_than_a_tile_is_that_of_separate_searches(captions, dtype):
    n = 2 * TILE_ROWS + 300
    x, y, owner = pairs(n, captions * n, np.random.default_rng(0), dtype)
    assert_same_scores(x, y, owner=owner, seed=3)


def test_joint_search_equal_rows_ties_count_against_the_query():
    x, y, _ = pairs(90, 90, np.random.default_rng(1))
    x[:30], y[20:60] = x[0], y[20]
    assert_same_scores(x, y, seed=5)


def test_joint_search_screened_scores_that_nearly_tie_are_repaired(monkeypatch):
    monkeypatch.setattr(_joint_search, "SCREENED_SCORES", 1)
    rng = np.random.default_rng(6)
    x, y, _ = pairs(120, 120, rng)
    x[1::2] = unit(x[::2] + 1e-9 * rng.normal(size=(60, 12)))  # closer than float32 tells apart
    x[40:60], y[80:100] = x[40], y[80]
    assert_same_scores(x, y, seed=2)
    assert_same_scores(x, y, seed=2, correction=ScoreCalibration().fit(x, y))


def test_joint_search_rows_of_one_item_that_do_not_match_count_in_retrieval_alone():
    rng = np.random.default_rng(2)
    n = 300
    x, y, owner = pairs(n, 2 * n, rng)
    groups = np.arange(2 * n)
    groups[rng.permutation(2 * n)[:12]] = rng.integers(0, 2 * n, 12)
    numbers, first = np.unique(groups, return_index=True)
    y = y[first[np.searchsorted(numbers, groups)]]
    assert len(np.unique(TaskData(x, y, owner=owner, y_groups=groups).matches.x_components)) < n
    assert_same_scores(x, y, owner=owner, y_groups=groups)


@pytest.mark.parametrize(
    "correction", [ScoreStandardization(), ScoreCalibration(row_map="Centering"), InvertedSoftmax()], ids=repr
)
def test_joint_search_corrected_scores_is_that_of_separate_searches(correction):
    rng = np.random.default_rng(3)
    correction.fit(*pairs(200, 200, rng)[:2])
    x, y, owner = pairs(150, 250, rng)
    assert_same_scores(x, y, owner=owner, correction=correction)


@pytest.mark.parametrize("tasks", [TWO_SIDED, ("retrieval", "two_sided_search")])
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_joint_search_with_two_sided_search_is_that_of_separate_searches(tasks, labelled, dtype, monkeypatch):
    monkeypatch.setattr(_joint_search, "SCREENED_SCORES", 1)
    monkeypatch.setattr(_joint_search, "TILE_ROWS", 72)
    rng = np.random.default_rng(9)
    x, y, owner = pairs(150, 400, rng, dtype)
    x[20:24], y[30:36] = x[20], y[30]
    labels = rng.integers(0, 40, 150) if labelled else None
    assert_same_scores(x, y, tasks, owner=owner, labels=labels, seed=1)
    correction = ScoreCalibration().fit(*pairs(200, 200, rng)[:2])
    assert_same_scores(x.astype(float), y.astype(float), tasks, owner=owner, labels=labels, correction=correction)


def test_joint_two_sided_search_queries_with_many_near_ties_are_searched_apart(monkeypatch):
    monkeypatch.setattr(_joint_search, "SCREENED_SCORES", 1)
    rng = np.random.default_rng(10)
    x, y, owner = pairs(60, 180, rng)
    y[:90] = unit(y[0] + 1e-9 * rng.normal(size=(90, 12)))  # closer than float32 tells apart
    results = joint_results(TaskData(x, y, owner=owner, tasks=TWO_SIDED))
    assert 0 < results.two_sided["y"].unsure.sum() < 180
    assert_same_scores(x, y, TWO_SIDED, owner=owner)


def test_joint_search_of_large_classes_leaves_two_sided_search_apart():
    x, y, _ = pairs(150, 150, np.random.default_rng(11))
    data = TaskData(x, y, labels=np.arange(150) % 2, tasks=TWO_SIDED)
    assert joint_results(data).two_sided == {}
    expected = registry()["two_sided_search"].run(TaskData(x, y, labels=data.labels)).scores()
    assert registry()["two_sided_search"].run(data).scores() == expected


@pytest.mark.parametrize("row_map", [None, "Centering"])  # the products of the raw rows serve the first one alone
def test_search_together_of_raw_and_corrected_rows_is_that_of_separate_searches(row_map, monkeypatch):
    monkeypatch.setattr(_joint_search, "SCREENED_SCORES", 1)
    rng = np.random.default_rng(8)
    x, y, owner = pairs(150, 300, rng, np.float32)
    correction = ScoreCalibration(row_map=row_map).fit(*pairs(200, 200, rng, np.float32)[:2])
    raw, together = (TaskData(x, y, owner=owner, tasks=TWO_SIDED, correction=c) for c in (None, correction))
    raw_apart, apart = (TaskData(x, y, owner=owner, correction=c) for c in (None, correction))
    search_together([raw, together])
    for name in TWO_SIDED:
        for data, alone in ((raw, raw_apart), (together, apart)):
            expected, result = (registry()[name].run(inputs) for inputs in (alone, data))
            for score, values in expected.per_item.items():
                np.testing.assert_allclose(result.per_item[score], values, atol=1e-6, err_msg=score)


def test_joint_search_correction_without_terms_searches_apart():
    class Plain:
        def query(self, rows, *, modality, index):
            return rows

        def stored(self, rows, *, modality, queries):
            return rows

    x, y, _ = pairs(40, 40, np.random.default_rng(4))
    data = TaskData(x, y, tasks=TASKS, correction=Plain())
    assert joint_results(data) is None
    assert registry()["mixed_search"].run(data).scores() == registry()["mixed_search"].run(TaskData(x, y)).scores()


@pytest.mark.parametrize("axis", [0, 1])
def test_running_top_tiles_in_any_order_gives_the_largest_scores(axis):
    scores = np.random.default_rng(5).integers(0, 400, (90, 1500)).astype(np.float32)
    top = RunningTop(90, 7, np.float32)
    for start in (700, 0, 200, 1400):
        columns = slice(start, {700: 1400, 0: 200, 200: 700, 1400: 1500}[start])
        tile = scores[:, columns] if axis == 0 else scores[:, columns].T
        top.add(np.ascontiguousarray(tile), **{"columns" if axis else "rows": slice(0, 90)})
    np.testing.assert_array_equal(top.values, -np.sort(-scores, axis=1)[:, :7])


def test_corrections_of_the_same_rows_share_them(monkeypatch):
    monkeypatch.setattr(_joint_search, "SCREENED_SCORES", 1)
    rng = np.random.default_rng(9)
    x, y, _ = pairs(60, 60, rng, np.float32)
    corrections = [c.fit(*pairs(200, 200, rng)[:2]) for c in (ScoreCalibration(), ScoreStandardization())]
    passes: list[Any] = []
    for correction in (None, *corrections):
        passes.append(_joint_search._prepared(TaskData(x, y, tasks=TASKS, correction=correction), passes))
    raw, first, second = passes
    for name in "xy":
        assert getattr(first, name).exact is getattr(second, name).exact
        assert getattr(raw, name).exact.dtype == np.float32  # rows of another precision are not the same
