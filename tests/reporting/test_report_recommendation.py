"""The report recommends an aligner if and only if the verdict does, and names the score that decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.statistics.result import Estimate
from shifted_pairs import shifted_pairs


def test_report_without_a_recommendation_recommends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    explanation = isthmus.report(shifted_pairs(paired=False), path)
    text = path.read_text(encoding="utf-8")
    assert not any(sentence.startswith("Recommended:") for sentence in explanation.verdict)
    assert ">recommended</span>" not in text
    assert text.count(">best tested</span>") == 2  # in the table of aligners, and in that of the upper bounds
    assert "No correction is recommended" in text
    assert "No aligner improves the exchange score of mixed search beyond its" in text


def test_report_of_changes_without_intervals_writes_no_empty_interval(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    x, y = (rows[:300] for rows in isthmus.demo.load("plain", split="test").unit())
    isthmus.report(x, y[np.random.default_rng(0).permutation(len(y))], path)
    text = path.read_text(encoding="utf-8")
    assert "no interval" in text
    assert "no interval points" not in text
    assert "(95 %: no interval)" not in text


@pytest.mark.filterwarnings("ignore:.*distinct")
def test_report_follows_the_score_that_decides(tmp_path: Path) -> None:
    pairs, path = isthmus.demo.load("warm", split="test"), tmp_path / "report.html"
    tasks = ["retrieval", "mixed_search", "two_sided_search"]
    table = isthmus.compare(pairs, aligners=["KernelBlend"], tasks=tasks, splits=1)
    assert table["KernelBlend"].changes["exchange_R@1"].low < 0 < table["KernelBlend"].changes["two_sided_NDCG@10"].low
    explanation = isthmus.report(pairs, path, comparison=table)
    text = path.read_text(encoding="utf-8")
    assert any(sentence.startswith("Recommended: KernelBlend") for sentence in explanation.verdict)
    assert "Recommended: KernelBlend</h2>" in text
    assert "in the two-sided NDCG@10 with <b>KernelBlend</b> (recommended)" in text
    assert "best tested" not in text
    # The distance has no sampling noise, so that its plug-in is compared with the value of noise alone.
    assert "With sampling noise it is 0.034, where noise alone gives 0.022." in text


@pytest.mark.parametrize(
    ("change", "answer", "is_chance"),
    [
        (Estimate(0.02, note="no interval: only 3 items decide"), ">Unknown</p>", True),
        (Estimate(0.02, -0.01, 0.05), ">Nothing</p>", True),
        (Estimate(-0.02, -0.03, -0.01), ">Nothing</p>", False),
    ],
)
def test_report_of_changes_that_are_no_improvement_states_what_is_known(
    change: Estimate, answer: str, is_chance: bool, tmp_path: Path
) -> None:
    pairs, path = shifted_pairs(), tmp_path / "report.html"
    table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval", "mixed_search"], splits=1)
    rows = [table.rows[0], replace(table.rows[1], changes=table.rows[1].changes | {"exchange_R@1": change})]
    table = replace(table, rows=rows)
    isthmus.report(pairs, path, comparison=table)
    text = path.read_text(encoding="utf-8")
    assert f'<p class="big"{answer}' in text
    assert ("which can be chance." in text) is is_chance


def test_report_of_an_improvement_at_chance_does_not_call_the_change_chance(tmp_path: Path) -> None:
    pairs, path = shifted_pairs(), tmp_path / "report.html"
    table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval", "mixed_search"], splits=1)
    rows = [replace(row, scores=row.scores | {"R@1": Estimate(0.002)}) for row in table.rows]
    rows[1] = replace(rows[1], changes=rows[1].changes | {"exchange_R@1": Estimate(0.02, 0.01, 0.03)})
    isthmus.report(pairs, path, comparison=replace(table, rows=rows))
    text = path.read_text(encoding="utf-8")
    assert ">None</p>" in text
    assert text.count("R@1 is not measurably above chance") == 3  # the card, the recommendation and the table
    assert "which can be chance." not in text
    assert "No aligner improves" not in text


def test_figures_of_aligners_without_mixed_search_are_refused() -> None:
    pairs = isthmus.demo.load("plain", split="test")
    table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1)
    with pytest.raises(isthmus.InputError, match="no exchange_R@1, which the figure shows; run compare with"):
        isthmus.plot.aligners(table)


def test_report_of_a_measure_without_a_source_states_its_unit_alone(tmp_path: Path) -> None:
    metric = isthmus.metrics.Metric("mine", lambda context: Estimate(0.5), "share", (0, 1), "higher", "")
    isthmus.metrics.register(metric)
    try:
        isthmus.report(shifted_pairs(), tmp_path / "report.html")
    finally:
        isthmus.metrics.unregister("mine")
    assert "Unit: share. Higher is better.</dd>" in (tmp_path / "report.html").read_text(encoding="utf-8")
