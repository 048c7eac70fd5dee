"""Two-sided search against a slow loop, with labels and with several captions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import InputError
from isthmus.align import ScoreStandardization
from isthmus.diagnosis.recommendation import recommendation_sentence
from isthmus.tasks import TaskData, TwoSidedSearch, has_two_sided_truth, registry

Unit = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def captions(rng: np.random.Generator, unit: Unit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 30 unit rows of x, 70 of y with an offset, and the items of y."""
    owner = rng.integers(0, 30, 70)
    latent = rng.normal(size=(30, 6))
    x = unit(latent + 0.5 * rng.normal(size=(30, 6)))
    return x, unit(latent[owner] + 0.5 * rng.normal(size=(70, 6)) + 0.5 * np.eye(6)[0]), owner


def slow(x: Any, y: Any, owner: Any, classes: Any, score: Callable[..., float]) -> dict[tuple[str, int], Any]:
    """Return both ranks and NDCG@10 of every query, from the definition."""
    rows = [("x", i, classes[i], x[i]) for i in range(len(x))]
    rows += [("y", j, classes[owner[j]], y[j]) for j in range(len(y))]
    results = {}
    for query_modality, number, label, query in rows:
        others = [row for row in rows if row[:2] != (query_modality, number)]
        ranking = sorted(
            (
                (score(query_modality, modality, query, row), modality, name == label)
                for modality, _, name, row in others
            ),
            reverse=True,
        )
        ranks = []
        for is_same in (True, False):
            best = [value for value, m, is_relevant in ranking if is_relevant and (m == query_modality) == is_same]
            if best:
                ranks.append(1 + sum(value > best[0] for value, _, is_relevant in ranking if not is_relevant))
        if len(ranks) == 2:
            n_relevant = sum(is_relevant for _, _, is_relevant in ranking)
            ideal = sum(1 / math.log2(1 + rank) for rank in range(1, min(10, n_relevant) + 1))
            gains = [1 / math.log2(1 + r) for r, (_, _, is_relevant) in enumerate(ranking[:10], 1) if is_relevant]
            results[query_modality, number] = (*(min(rank, 11) for rank in ranks), sum(gains) / ideal)
    return results


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_two_sided_search_equals_a_slow_loop(captions: Any, labelled: bool, corrected: bool) -> None:
    x, y, owner = captions
    classes = np.arange(30) % 7 if labelled else np.arange(30)
    correction = ScoreStandardization().fit(x, y, index=owner) if corrected else None

    def score(query_modality: str, modality: str, query: Any, stored: Any) -> float:
        mean, deviation = (0.0, 1.0) if correction is None else correction.level(query=query_modality, stored=modality)
        return float((query @ stored - mean) / deviation)

    search = TwoSidedSearch.of(x, y, index=owner, labels=classes if labelled else None, correction=correction)
    expected = slow(x, y, owner, classes, score)
    for modality, ranks, ndcg in (("x", search.x_ranks, search.x_ndcg), ("y", search.y_ranks, search.y_ndcg)):
        assert {("x", row) for row in np.flatnonzero(search.x_ranks[:, 0])} == {
            key for key in expected if key[0] == "x"
        }
        for row in np.flatnonzero(ranks[:, 0]):
            assert (*ranks[row], ndcg[row]) == pytest.approx(expected[modality, row])
    by_modality = [np.array([v for (m, _), v in expected.items() if m == modality]) for modality in "xy"]
    by_modality = [values for values in by_modality if len(values)]
    assert len(by_modality) == 1 + labelled  # without labels an x row has no relevant row of x
    assert search.ndcg() == pytest.approx(np.mean([values[:, 2].mean() for values in by_modality]))
    for column, target in enumerate(("same", "other")):
        for k in (1, 10):
            expected_recall = np.mean([(values[:, column] <= k).mean() for values in by_modality])
            assert search.recall(k, target=target) == pytest.approx(expected_recall)
    both = (search.recall(1, target="same"), search.recall(1, target="other"))
    assert search.recall(1) == pytest.approx(np.mean(both))
    scores = registry()["two_sided_search"].run(
        TaskData(x, y, owner=owner, labels=classes if labelled else None, correction=correction)
    )
    assert scores.scores() == pytest.approx(
        {
            "two_sided_NDCG@10": search.ndcg(),
            "two_sided_R@1": search.recall(1),
            "same_target_R@1": both[0],
            "other_target_R@1": both[1],
            "same_target_R@10": search.recall(10, target="same"),
            "other_target_R@10": search.recall(10, target="other"),
        }
    )


def test_a_score_that_prefers_one_modality_finds_no_target_of_the_other(rng: np.random.Generator, unit: Unit) -> None:
    classes = np.arange(40) % 4
    rows = 3 * np.eye(9)[classes] + rng.normal(size=(40, 9)) / 3
    offset = 50 * np.eye(9)[8]
    search = TwoSidedSearch.of(unit(rows + offset), unit(rows - offset), labels=classes)
    assert (search.recall(1, target="same"), search.recall(1, target="other")) == (1, 0)
    assert TwoSidedSearch.of(unit(rows), unit(rows), labels=classes).recall(1, target="other") == 1


def test_ties_count_against_the_query(unit: Unit) -> None:
    rows = np.tile(unit(np.ones((1, 3))), (12, 1))
    search = TwoSidedSearch.of(rows, rows, labels=np.arange(12) % 2)
    assert (search.recall(10), search.ndcg()) == (0, 0)


def test_pairs_without_labels_and_captions_are_refused(rng: np.random.Generator, unit: Unit) -> None:
    x, y = unit(rng.normal(size=(12, 3))), unit(rng.normal(size=(12, 3)))
    with pytest.raises(InputError, match="two-sided search needs labels or several rows of y for one item"):
        TwoSidedSearch.of(x, y)
    with pytest.raises(InputError, match="two_sided_search needs labels or several rows of y for one item"):
        registry()["two_sided_search"].run(TaskData(x, y))
    with pytest.raises(InputError, match="the task two_sided_search needs labels, or items with several rows of y"):
        isthmus.compare(isthmus.Pairs(image=x, text=y), tasks=["two_sided_search"])
    with pytest.raises(InputError, match="k=11, expected 1 to 10"):
        TwoSidedSearch.of(x, y, labels=np.arange(12) % 2).recall(11)


def test_compare_evaluates_items_with_several_captions(captions: Any) -> None:
    x, y, owner = captions
    pairs = isthmus.Pairs(image=x, text=y, index=owner)
    table = isthmus.compare(pairs, aligners=["Centering"], tasks=["two_sided_search"], splits=2)
    assert 0 < table["Identity"].scores["two_sided_NDCG@10"].value < 1
    assert table["Centering"].changes["two_sided_NDCG@10"].low > -1


def test_large_groups_are_searched_like_small_ones(captions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, owner = captions
    few = TwoSidedSearch.of(x, y, index=owner)
    monkeypatch.setattr("isthmus.tasks._two_sided_corpus.MAX_MEMBERS", 1)
    many = TwoSidedSearch.of(x, y, index=owner)
    for name in ("x_ranks", "y_ranks", "x_ndcg", "y_ndcg"):
        np.testing.assert_allclose(getattr(few, name), getattr(many, name), rtol=1e-12)


def test_two_sided_truth_needs_a_few_relevant_rows_for_most_queries() -> None:
    owner = np.repeat(np.arange(40), 3)
    assert has_two_sided_truth(40, 120, index=owner)
    assert has_two_sided_truth(40, 40, labels=owner[:40])
    assert not has_two_sided_truth(40, 40)
    assert not has_two_sided_truth(40, 40, labels=np.arange(40) % 2)  # twenty items of a class
    assert not has_two_sided_truth(40, 40, labels=np.arange(40))
    assert not has_two_sided_truth(12, 12, labels=owner[:12])
    assert not has_two_sided_truth(40, 40, y_groups=np.maximum(np.arange(40) - 1, 0))  # one caption repeats
    assert not has_two_sided_truth(1, 5, index=np.zeros(5, dtype=int))


def test_captions_decide_what_is_recommended_and_chosen(rng: np.random.Generator, unit: Unit) -> None:
    owner, latent = np.repeat(np.arange(80), 2), rng.normal(size=(80, 8))
    x = unit(latent + 0.5 * rng.normal(size=(80, 8)) + 3 * np.eye(8)[0])
    pairs = isthmus.Pairs(image=x, text=unit(latent[owner] + 0.5 * rng.normal(size=(160, 8))), index=owner)
    table = isthmus.compare(pairs, aligners=["ScoreCalibration", "Centering"], splits=1)
    assert table.settings["tasks"] == ["retrieval", "mixed_search", "two_sided_search"]
    sentence = recommendation_sentence(table)
    assert "The two-sided NDCG@10 decides, because captions or labels make rows of both modalities" in sentence
    auto = isthmus.align.Auto(aim="search").fit(pairs)
    assert "has the two-sided NDCG@10" in auto.reasons_[0]
    assert auto.table_[0]["value"] < auto.table_[1]["value"]
    one_match = isthmus.Pairs(image=x, text=pairs.y.read(0, 160)[::2])
    assert "has the exchange score" in isthmus.align.Auto(aim="search").fit(one_match).reasons_[0]
    table = isthmus.compare(one_match, aligners=["ScoreCalibration"], splits=1)
    assert table.settings["tasks"] == ["retrieval", "mixed_search"]
    assert "The exchange score of mixed search decides, because" in recommendation_sentence(table)
