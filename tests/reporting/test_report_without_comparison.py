"""The report of data that no aligner can be judged on: a page without the comparison, which states why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError
from isthmus.evaluation import intervene


def rows(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6)) + 1


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (rows(3, 0), rows(3, 1), "3 items are too few to fit on one half and evaluate on the other"),
        (np.tile(rows(1, 0), (30, 1)), rows(30, 1), "all rows of image are the same: 1 different item is too few"),
    ],
)
def test_report_of_too_few_items_is_a_page_without_the_comparison(
    x: np.ndarray, y: np.ndarray, reason: str, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    explanation = isthmus.report(isthmus.Pairs(image=x, text=y), page)
    html = page.read_text(encoding="utf-8")
    assert explanation.verdict[-1].startswith(f"No correction was compared: {reason}")
    assert html.count(reason) == 3  # in the verdict, in place of the effect, and in place of the table
    assert "Every correction (aligner) was" not in html
    assert "95 %: ;" not in html
    assert "Glossary: the meaning of all" in html


def test_numbers_without_intervals_say_so(tmp_path: Path) -> None:
    """A third of the pairs share one row of text, so that there are no intervals."""
    text = rows(60, 1)
    text[:20] = text[0]
    isthmus.report(isthmus.Pairs(image=rows(60, 0), text=text), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "95 %: ;" not in html
    assert html.count("</b>no interval; ") == 3


def test_compare_of_too_few_items_raises_too_few_items_error() -> None:
    with pytest.raises(isthmus.utils.errors.TooFewItemsError, match="expected 8 or more"):
        isthmus.compare(rows(7, 0), rows(7, 1))


@pytest.mark.parametrize("verb", [intervene, isthmus.compare])
@pytest.mark.parametrize("constant", ["image", "text"])
def test_verbs_on_one_repeated_row_of_either_modality_count_the_different_items(
    verb: Callable[..., object], constant: str
) -> None:
    modalities = {name: rows(60, seed) for seed, name in enumerate(("image", "text"))}
    modalities[constant] = np.tile(modalities[constant][:1], (60, 1))
    with (
        pytest.warns(isthmus.IsthmusWarning, match=f"All rows of {constant} are the same"),
        pytest.raises(isthmus.utils.errors.TooFewItemsError, match=f"all rows of {constant} are the same: 1 different"),
    ):
        verb(isthmus.Pairs(**modalities))


def test_report_without_a_path_names_what_is_missing() -> None:
    with pytest.raises(InputError, match="the last argument is a ndarray, expected the path of the page"):
        isthmus.report(np.eye(3), np.eye(3))
