"""Explanation and inspection of collapsed modalities say so and do not blame the order of the rows."""

from __future__ import annotations

import numpy as np
import pytest

import isthmus
from isthmus.data.sources import Source
from isthmus.diagnosis.inspection import inspect
from isthmus.statistics.pairing import looks_paired

N, DIM = 80, 16
BLAME = ("does not match row", "check the order", "never trained together", "matrix", "eigenvalue")


def rows(seed: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, DIM)) + 0.5


def narrow(seed: int) -> np.ndarray:
    return rows(seed)[:1] + 1e-3 * rows(seed + 1)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.tile(rows(0)[:1], (N, 1)), rows(1), "All rows of image are the same"),
        (rows(0), np.tile(rows(1)[:1], (N, 1)), "All rows of text are the same"),
        (np.tile(rows(0)[:1], (N, 1)), np.tile(rows(1)[:1], (N, 1)), "and all rows of text are the same"),
        (narrow(0), narrow(5), "The rows of image are nearly all the same"),
        (rows(0, 3), rows(1, 3), "There are only 3 items"),
    ],
)
def test_verdict_on_degenerate_data_names_the_collapse_and_not_the_order(
    x: np.ndarray, y: np.ndarray, message: str
) -> None:
    verdict = " ".join(isthmus.explain(isthmus.Pairs(image=x, text=y)).verdict)
    assert message in verdict
    assert not [word for word in BLAME if word in verdict]


def test_verdict_on_ordinary_unpaired_rows_still_doubts_the_order() -> None:
    verdict = " ".join(isthmus.explain(isthmus.Pairs(image=rows(0), text=rows(1))).verdict)
    assert "No sign that the rows match" in verdict
    assert "cannot be judged" not in verdict


@pytest.mark.parametrize("x", [np.tile(rows(0)[:1], (N, 1)), narrow(20)])
def test_looks_paired_of_collapsed_rows_cannot_judge_the_order(x: np.ndarray) -> None:
    for pair in ((x, rows(1)), (rows(1), x)):
        pairing = looks_paired(*(Source(modality, address="") for modality in pair))
        assert not pairing.looks_paired
        assert pairing.reason.startswith("cannot be judged: ")
        assert "the same" in pairing.reason
        assert "order" not in pairing.reason


def test_looks_paired_of_a_narrow_cone_with_matching_rows_is_true() -> None:
    x = narrow(0)
    assert looks_paired(Source(x, address=""), Source(x + 1e-4 * rows(9), address="")).looks_paired


@pytest.mark.parametrize("x", [np.tile(rows(0)[:1], (N, 1)), narrow(0)])
def test_collapse_report_of_collapsed_rows_decides_on_no_explanation(x: np.ndarray) -> None:
    report = isthmus.explain(isthmus.Pairs(image=x, text=rows(1))).collapse
    assert [hypothesis.verdict for hypothesis in report.hypotheses] == ["undecided", "undecided"]
    assert all("rows of image" in s and "same" in s for s in report.sentences()), report.sentences()


def test_looks_paired_of_equal_cosines_has_no_warning() -> None:
    rows_of_two = np.tile([[1.0, 0.0]], (10, 1)), np.tile([[0.0, 1.0]], (10, 1))
    with np.errstate(all="raise"):
        assert not looks_paired(*(Source(modality, address="") for modality in rows_of_two)).looks_paired


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.tile(rows(0)[:1], (N, 1)), "all rows of x.npy are the same"),
        (narrow(0), "the rows of x.npy are nearly all the same"),
        (rows(0)[:, :3] @ rows(1)[:3], "the rows of x.npy vary in only 3 of 16 directions"),
        (rows(0), ""),
    ],
)
def test_inspect_of_one_file_names_its_collapse(x: np.ndarray, message: str) -> None:
    assert inspect(Source(x, address="folder/x.npy")).collapse.startswith(message)
    assert bool(inspect(Source(x, address="folder/x.npy")).collapse) == bool(message)


def test_looks_paired_of_a_file_with_itself_says_so() -> None:
    pairing = looks_paired(Source(rows(0), address=""), Source(rows(0), address=""), names=("image", "text"))
    assert pairing.reason.endswith("; every row of image is the same as its matching row of text")


def test_looks_paired_of_two_repeated_rows_shows_no_endless_z() -> None:
    x, y = (rows(seed)[np.arange(N) % 2] for seed in (0, 1))
    pairing = looks_paired(Source(x, address=""), Source(y, address=""))
    assert "more than 10,000 standard" in pairing.reason or "less than -10,000 standard" in pairing.reason
    assert "check the order" not in pairing.reason


def test_verdict_on_few_directions_does_not_blame_the_order() -> None:
    basis = rows(9)[:3]
    pair = isthmus.Pairs(image=rows(0)[:, :3] @ basis, text=rows(1)[:, :3] @ basis)
    verdict = " ".join(isthmus.explain(pair).verdict)
    assert "vary in only 3 of 16 directions" in verdict
    assert not [word for word in BLAME if word in verdict]


@pytest.mark.parametrize("side", ["image", "text"])
def test_relevance_of_a_collapsed_side_is_unknown_with_its_reason(side: str, rng: np.random.Generator) -> None:
    rows = {name: rng.normal(size=(200, 16)) for name in ("image", "text")}
    rows[side] = np.repeat(rows[side][:1], 200, axis=0)
    (sentence,) = isthmus.explain(isthmus.Pairs(**rows)).relevance_sentences(0.3)
    assert sentence.startswith("The relevance of corrected scores is unknown")
