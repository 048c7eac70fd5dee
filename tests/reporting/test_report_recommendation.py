"""The report recommends an aligner if and only if the verdict does, and names the score that decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
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
    x, y = isthmus.demo.load("plain", split="test").unit()
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
