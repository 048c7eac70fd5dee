"""Search within one modality against a slow loop, known answers and the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError
from isthmus.cli import app
from isthmus.compute import score_sweep
from isthmus.tasks import TaskData, WithinModalitySearch, registry

Unit = Callable[[np.ndarray], np.ndarray]


def slow(rows: np.ndarray, labels: np.ndarray, items: np.ndarray) -> dict[int, tuple[int, float]]:
    """Return the rank of the best relevant row and NDCG@10 of every query, from the definition."""
    results = {}
    for query in range(len(rows)):
        others = [j for j in range(len(rows)) if items[j] != items[query]]
        ranking = sorted(others, key=lambda j: -float(rows[query] @ rows[j]))
        hits = [labels[j] == labels[query] for j in ranking]
        if any(hits):
            ideal = sum(1 / math.log2(1 + rank) for rank in range(1, 1 + min(10, sum(hits))))
            gains = sum(1 / math.log2(1 + rank) for rank, is_hit in enumerate(hits[:10], 1) if is_hit)
            results[query] = (min(1 + hits.index(True), 11), gains / ideal)
    return results


def test_within_modality_search_equals_a_slow_loop(rng: np.random.Generator, unit: Unit) -> None:
    rows, items = unit(rng.normal(size=(60, 5))), np.sort(rng.integers(0, 40, 60))
    labels = np.append(rng.integers(0, 6, 40)[items][:-1], 99)  # the last row has a class of its own
    search = WithinModalitySearch.of(rows, labels, items=items)
    expected = slow(rows, labels, items)
    assert np.flatnonzero(search.is_query).tolist() == sorted(expected)
    for query, (rank, ndcg) in expected.items():
        assert search.ranks[query] == rank
        assert search.ndcg[query] == pytest.approx(ndcg, abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 30])  # most tiles have pairs of one class, or few
def test_within_modality_search_in_tiles_equals_one_tile_and_one_direction(
    rng: np.random.Generator, unit: Unit, monkeypatch: pytest.MonkeyPatch, n_classes: int
) -> None:
    rows, items = unit(rng.normal(size=(100, 5))).astype(np.float32), np.sort(rng.integers(0, 70, 100))
    labels = rng.integers(0, n_classes, 70)[items]
    expected = WithinModalitySearch.of(rows, labels, items=items)
    monkeypatch.setattr(score_sweep, "TILE_ROWS", 16)
    in_tiles = WithinModalitySearch.of(rows, labels, items=items)
    one_direction = WithinModalitySearch._search(rows, rows.copy(), labels, items)
    for search in (in_tiles, one_direction):
        np.testing.assert_array_equal(search.ranks, expected.ranks)
        np.testing.assert_allclose(search.ndcg, expected.ndcg, atol=1e-12)


def test_within_modality_search_of_two_tight_classes_is_perfect(unit: Unit) -> None:
    rows = unit(np.eye(2)[[0, 0, 0, 1, 1, 1]] + 0.01 * np.arange(12).reshape(6, 2))
    search = WithinModalitySearch.of(rows, ["cat"] * 3 + ["dog"] * 3)
    assert search.recall(1) == 1.0
    assert search.ndcg.tolist() == [1.0] * 6


def test_within_modality_search_counts_ties_against_the_query() -> None:
    search = WithinModalitySearch.of(np.ones((4, 2)), [0, 0, 1, 1])
    assert search.ranks.tolist() == [3, 3, 3, 3]


def test_within_modality_search_leaves_out_rows_of_the_same_item(unit: Unit) -> None:
    rows = unit(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, 0.3]]))
    search = WithinModalitySearch.of(rows, [0, 0, 0, 1], items=[0, 0, 1, 2])
    assert search.ranks.tolist() == [2, 2, 2, 0]  # the row of class 1 comes first, and the own item does not count


def test_within_modality_search_without_two_items_in_a_class_raises() -> None:
    with pytest.raises(InputError, match="no class has two items"):
        WithinModalitySearch.of(np.eye(3), [0, 1, 2])
    with pytest.raises(InputError, match="2 labels for 3 rows"):
        WithinModalitySearch.of(np.eye(3), [0, 1])


def test_within_modality_task_scores_each_modality(rng: np.random.Generator, unit: Unit) -> None:
    labels = np.arange(40) % 4
    x, y = unit(np.eye(4)[labels] + 0.01 * rng.normal(size=(40, 4))), unit(rng.normal(size=(40, 4)))
    scores = registry()["within_modality_search"].run(TaskData(x, y, labels=labels)).scores()
    assert scores["within_R@1_x"] == 1.0
    assert scores["within_R@1_y"] < 0.6
    assert scores["within_R@1"] == pytest.approx((1 + scores["within_R@1_y"]) / 2)


def test_compare_reaches_within_modality_search_from_the_shell(rng: np.random.Generator, tmp_path: Path) -> None:
    labels = np.arange(60) % 3
    for name, seed in (("image", 0), ("text", 1)):
        rows = np.eye(3, 6)[labels] + 0.2 * np.random.default_rng(seed).normal(size=(60, 6)) + seed
        np.save(tmp_path / f"{name}.npy", rows)
    np.save(tmp_path / "labels.npy", labels)
    files = [str(tmp_path / name) for name in ("image.npy", "text.npy")]
    options = ["--labels", str(tmp_path / "labels.npy"), "--tasks", "within-modality-search", "--splits", "1"]
    result = CliRunner().invoke(app, ["compare", *files, *options, "--aligners", "Centering", "--json"])
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout)
    assert "within_R@1" in json.dumps(table)


def test_compare_of_separate_classes_has_a_high_recall_within_each_modality(rng: np.random.Generator) -> None:
    labels = np.repeat(np.arange(4), 20)
    x = np.eye(4, 8)[labels] + 0.3 * rng.normal(size=(80, 8))
    pairs = isthmus.Pairs(x=x, y=x + 0.1 * rng.normal(size=(80, 8)), labels=labels)
    table = isthmus.compare(pairs, aligners=["Centering"], tasks=["within_modality_search"], splits=1)
    assert table["Identity"].scores["within_R@1"].value > 0.7
