"""Lines and tables of the terminal."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import isthmus
from command_line import isthmus_
from isthmus.cli import printing
from isthmus.cli.fit_facts import fit_lines
from isthmus.cli.matrices import print_matrices
from isthmus.cli.measure_table import print_measures
from isthmus.diagnosis import COMPONENTS
from isthmus.statistics.result import Estimate

WORDS = "Of 250 pairs 95 % keep-their-match, and " + 9 * "more words "


def narrow(monkeypatch: pytest.MonkeyPatch, width: int | None) -> None:
    monkeypatch.setattr(printing, "terminal_width", lambda: width)


def test_wrap_line_indents_later_lines_and_keeps_percentages() -> None:
    lines = printing.wrap_line(f"  {WORDS}", 24)
    assert " ".join(line.strip() for line in lines) == WORDS.strip()
    assert all(line.startswith("    ") for line in lines[1:])
    assert max(map(len, lines)) <= 24
    assert not any(line.strip().startswith("%") for line in lines)
    assert printing.wrap_line(WORDS, None) == [WORDS]


def test_split_message_ends_at_sentences_and_not_at_abbreviations() -> None:
    text = "Liang et al. 2022 measure the gap. It is 0.5 wide. `isthmus fit` closes it."
    assert printing.split_message(text, 55) == [text[:50], text[51:]]
    assert printing.split_message(text) == [text]
    assert printing.split_message(text, 10)[0] == "Liang et al. 2022 measure the gap."


def test_no_message_of_explain_compare_and_report_is_longer_than_300_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words about a collapsed run, a narrow one, and rows without a match are the longest."""
    monkeypatch.chdir(tmp_path)
    for run in ("collapsed", "warm"):
        rows = isthmus.demo.arrays(run, split="test")
        for name, table in (("image", rows.image), ("text", rows.text)):
            np.save(f"{run}_{name}.npy", table[:300])
    for name, table in zip(("image", "text"), np.random.default_rng(0).normal(size=(2, 60, 40)), strict=True):
        np.save(f"random_{name}.npy", table)
    collapsed, warm, random = ([f"{run}_image.npy", f"{run}_text.npy"] for run in ("collapsed", "warm", "random"))
    calls = [
        ["explain", *collapsed, "--cosine", "0.25"],
        ["explain", *warm, "--cosine", "0.25"],
        ["explain", *random, "--unpaired"],
        ["explain", *random],
        ["compare", *collapsed, "--splits", "2", "--aligners", "ScoreCalibration,Centering"],
        ["report", *collapsed],
    ]
    for call in calls:
        process = isthmus_(*call)
        assert process.returncode == 0, process.stderr
        lengths = {line: len(line) for line in [*process.stdout.splitlines(), *process.stderr.splitlines()]}
        assert {line for line, length in lengths.items() if length > printing.MAX_MESSAGE} == set()


def test_print_table_wider_than_the_terminal_is_printed_in_blocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    header, rows = ("name", "value", "change", "gain"), [("first", "0.12", "+0.10", "1"), ("second", "0.5", "-1", "2")]
    narrow(monkeypatch, None)
    assert printing.print_table(header, rows) == []
    assert capsys.readouterr().out.splitlines()[0].split() == list(header)
    narrow(monkeypatch, 22)
    printing.print_table(header, rows, units=[2, 1])
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.splitlines()[0].split() == ["name", "value", "change"]
    assert second.splitlines()[2].split() == ["second", "2"]
    assert printing.print_table(header, rows, optional=("change", "value")) == ["change"]
    assert capsys.readouterr().out.splitlines()[1].split() == ["first", "0.12", "1"]


def test_print_table_with_long_text_wraps_its_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow(monkeypatch, 50)
    printing.print_table(("text", "value"), [(WORDS, "0.5")], text=0)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 50
    assert lines[1].endswith("0.5")
    assert " ".join(" ".join(lines[1:]).replace("0.5", "").split()) == WORDS.strip()
    name = "ScoreCalibration(row_map=Centering)"
    printing.print_table(("text", "value", "note"), [(name, "0.5", 10 * "-")], text=0)
    assert "".join(line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]) == name


def test_fit_lines_describe_facts_and_leave_out_options() -> None:
    info = {"k": 3, "ranks": (7, 8), "gain": {"text": [0.0411, 0.0064]}, "hubness_weights": {"x": 0}, "new": [1, 2.0]}
    assert fit_lines(info, ("image", "text")) == [
        "dimensions of the subspace of each modality: 7 (image), 8 (text)",
        "gain of the hubness weight between image and text: +0.041 (standard error 0.006) in the mean reciprocal "
        "rank of pairs that were left out of the bank",
        "new: 1, 2",
    ]


@pytest.mark.parametrize(
    ("count", "names"), [(3, "a, b, c: "), (4, "a, b, c, d: "), (5, "a, b, c and 2 more: ")], ids=str
)
def test_remark_names_the_fourth_measure_or_counts_several(
    count: int, names: str, capsys: pytest.CaptureFixture[str]
) -> None:
    estimates = {name: Estimate(0.5, no_interval="few rows") for name in "abcde"[:count]}
    print_measures(estimates, dict.fromkeys(estimates, "spectrum"), {})
    assert capsys.readouterr().out.splitlines()[-1] == f"{names}no interval: few rows"


def test_matrix_of_modalities_has_the_digits_of_its_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    estimate = Estimate(0.000556, 0.0000172, 0.01771, null=0.000615)
    results: Any = SimpleNamespace(
        names=("a", "b"), estimates=lambda _: {("a", "b"): estimate, ("b", "a"): Estimate(2.0)}
    )
    print_matrices(results, ["share"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:5] == ["  a          0.0006", "  b  2.0000", "  a, b: 95 % 0.00002 to 0.0177; null 0.000615"]
    assert lines[-1] == "null: the value expected by chance."
    print_matrices(results, ["total", "centre"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "total: 1 minus the mean cosine, the sum of these four components"
    assert f"centre: {COMPONENTS['centre']}" in lines
