"""Which aligner is recommended, and what the recommendation states about changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import isthmus
from isthmus.diagnosis.recommendation import best_row, improves_beyond_interval, recommendation_sentence
from isthmus.evaluation import Comparison
from isthmus.statistics.result import Estimate


@pytest.fixture
def comparison(rng: np.random.Generator) -> Comparison:
    latent = rng.normal(size=(120, 8))
    x, y = latent + 0.3 * rng.normal(size=(120, 8)) + 2, latent + 0.3 * rng.normal(size=(120, 8)) - 2
    return isthmus.compare(x, y, aligners=["Centering"], tasks=["retrieval", "mixed_search"], splits=2)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("exchange_R@1", "but this change has no interval (only 3 items decide)."),
        ("R@1", "cross-modal R@1 changes by an amount without an interval (+0.1 points)"),
    ],
)
def test_recommendation_names_a_change_without_an_interval(comparison: Comparison, score: str, expected: str) -> None:
    unknown = Estimate(0.001, note="no interval: only 3 items decide")
    rows = [replace(row, changes=row.changes | {score: unknown}) for row in comparison.rows]
    sentence = recommendation_sentence(replace(comparison, rows=rows))
    assert expected in sentence
    assert "nan" not in sentence


def test_aligner_that_improves_beyond_its_interval_comes_before_a_higher_uncertain_value() -> None:
    pairs = isthmus.demo.load("collapsed", split="test")
    tasks = ["retrieval", "mixed_search"]
    table = isthmus.compare(pairs, aligners=["Centering", "MeanRotation"], tasks=tasks, splits=1)
    loses_recall = {"exchange_R@1": Estimate(0.02, 0.01, 0.03), "R@1": Estimate(-0.02, -0.03, -0.01)}
    uncertain = {"exchange_R@1": Estimate(0.03, -0.01, 0.07), "R@1": Estimate(0.0, -0.01, 0.01)}
    raw, *corrected = table.rows
    rows = [
        replace(
            row, scores=row.scores | {"exchange_R@1": Estimate(0.3 + changes["exchange_R@1"].value)}, changes=changes
        )
        for row, changes in zip(corrected, (loses_recall, uncertain), strict=True)
    ]
    table = replace(table, rows=[raw, *rows])
    assert best_row(table) is rows[0]
    assert improves_beyond_interval(table)
    assert "no correction tested raises it without a loss of recall" in recommendation_sentence(table)
    table = replace(table, rows=[raw, rows[1]])
    assert best_row(table) is rows[1]
    assert recommendation_sentence(table).endswith("%) measurably on unseen pairs.")


def test_few_pairs_of_noise_are_called_too_few_to_choose() -> None:
    """A gap is closed without any gain: no correction may be recommended, and a small gain could not be seen."""
    endings = []
    for n, seed in ((8, 0), (12, 1), (20, 2)):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, n, 16)) + 6 * np.eye(16)[:2, None]
        sentence = recommendation_sentence(isthmus.compare(x, y, tasks=["retrieval", "mixed_search"]))
        assert not sentence.startswith("Recommended")
        endings.append(sentence)
    assert any(" held-out pairs are too few to choose: changes below " in sentence for sentence in endings), endings


@pytest.mark.parametrize(("high", "is_named"), [(0.04, False), (0.13, True)])
def test_wide_interval_names_the_changes_that_do_not_show(comparison: Comparison, high: float, is_named: bool) -> None:
    uncertain = Estimate(0.01, -0.02, high)
    rows = [replace(row, changes=row.changes | {"exchange_R@1": uncertain}) for row in comparison.rows]
    sentence = recommendation_sentence(replace(comparison, rows=rows))
    assert ("60 held-out pairs are too few to choose: changes below 8 points do not show." in sentence) is is_named
    assert sentence.startswith("None of the corrections tested raises the exchange score")


def test_recommendation_does_not_call_recall_in_a_mixed_corpus_cross_modal_recall() -> None:
    table = isthmus.compare(
        isthmus.demo.load("collapsed", split="test"), aligners=["ScoreCalibration"], tasks=["mixed_search"], splits=1
    )
    sentence = recommendation_sentence(table)
    assert "R@1 among the candidates of the other modality rises" in sentence
    assert "cross-modal" not in sentence


@pytest.mark.parametrize(("recall", "is_recommended"), [(0.02, False), (0.3, True)])
def test_no_correction_is_recommended_where_recall_is_at_chance(recall: float, is_recommended: bool) -> None:
    pairs = isthmus.demo.load("collapsed", split="test").sample(120)
    table = isthmus.compare(pairs, aligners=["ScoreCalibration"], tasks=["retrieval", "mixed_search"], splits=1)
    rows = [replace(row, scores=row.scores | {"R@1": Estimate(recall)}) for row in table.rows]
    rows[1] = replace(rows[1], changes=rows[1].changes | {"exchange_R@1": Estimate(0.01, 0.002, 0.02)})
    table = replace(table, rows=rows)
    sentence = recommendation_sentence(table)
    assert sentence.startswith("Recommended: ") is improves_beyond_interval(table) is is_recommended
    assert (
        is_recommended
        or "R@1 on unseen pairs is not measurably above chance (raw 2.0 %, ScoreCalibration 2.0 %, chance 1.7 %)"
        in sentence
    )


def test_recall_at_chance_does_not_decide_where_labels_do() -> None:
    pairs = isthmus.demo.load("collapsed", split="test").sample(120)
    tasks = ["retrieval", "mixed_search"]
    table = isthmus.compare(pairs, aligners=["ScoreCalibration"], tasks=tasks, splits=1)
    name, changes = "two_sided_NDCG@10", (Estimate(0.0, 0.0, 0.0), Estimate(0.1, 0.05, 0.15))
    rows = [
        replace(
            row, scores=row.scores | {"R@1": Estimate(0.02), name: Estimate(0.3)}, changes=row.changes | {name: change}
        )
        for row, change in zip(table.rows, changes, strict=True)
    ]
    table = replace(table, rows=rows)
    assert improves_beyond_interval(table)
    assert recommendation_sentence(table).startswith("Recommended: ")
