"""The how-to on vector indexes: its code block runs, prints what the page says, and agrees with the package's task."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "mixed-index.md"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_block_of_the_page_prints_the_stated_recall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("faiss", exc_type=ImportError)
    text = PAGE.read_text(encoding="utf-8")
    _, block = re.findall(r"^```py\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(block, PAGE.name, "exec"), names)
    stated = re.search(r"`(R@1: raw [\d.]+, aligned [\d.]+)`", text)
    assert stated is not None
    assert capsys.readouterr().out.strip() == stated[1]
    from isthmus.tasks import MixedSearch

    aligner = names["aligner"]
    sides = aligner.transform_x(names["images"]), aligner.transform_y(names["captions"])
    search = MixedSearch.of(*sides, share=0.4999, rng=0)  # one choice of who is stored as a picture
    asked = [ranks[ranks > 0] == 1 for ranks in (search.x_ranks, search.y_ranks)]
    mine = sum(map(sum, asked)) / sum(map(len, asked))
    # faiss lets one of several equal captions win, the package counts ties against the query.
    assert mine <= names["aligned"] <= mine + 0.03


def test_block_of_corrected_scores_prints_the_stated_recall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("faiss", exc_type=ImportError)
    text = PAGE.read_text(encoding="utf-8")
    block, _ = re.findall(r"^```py\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(block, PAGE.name, "exec"), names)
    stated = re.search(r"`(R@1: corrected scores [\d.]+)`", text)
    assert stated is not None
    assert capsys.readouterr().out.strip() == stated[1]
    from isthmus.tasks import MixedSearch

    search = MixedSearch.of(names["images"], names["captions"], share=0.4999, rng=0, correction=names["calibration"])
    is_first = [ranks[ranks > 0] == 1 for ranks in (search.x_ranks, search.y_ranks)]
    recall = sum(map(sum, is_first)) / sum(map(len, is_first))
    # faiss lets one of several equal captions win, the package counts ties against the query.
    assert recall <= (names["first"] == np.arange(len(names["first"]))).mean() <= recall + 0.03
