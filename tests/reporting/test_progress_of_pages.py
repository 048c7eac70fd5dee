"""The drawing of pages reports each step, so that its per cent moves."""

from __future__ import annotations

from pathlib import Path

import isthmus
from isthmus.studies.theorems.page import collect, write
from isthmus.utils.progress import DRAWING, listening

Told = list[tuple[int, int | None, str, str]]


def drawing(told: Told) -> list[tuple[int, int | None, str]]:
    """The reports of the drawing, without repetitions."""
    return list(dict.fromkeys((done, total, detail) for done, total, stage, detail in told if stage == DRAWING))


def test_report_draws_its_page_in_eight_steps(tmp_path: Path) -> None:
    told: Told = []
    run = isthmus.demo.load("plain", split="test")
    with listening(lambda *state: told.append(state)):
        isthmus.report(run, tmp_path / "r.html", comparison=isthmus.compare(run, aligners=["Identity"], splits=1))
    assert drawing(told) == [(number, 8, "") for number in range(9)]


def test_page_of_the_theory_names_each_figure(tmp_path: Path) -> None:
    told: Told = []
    results = collect(["certificate"], quick=True)
    with listening(lambda *state: told.append(state)):
        write(results, tmp_path)
    steps = drawing(told)
    assert steps[:2] == [(0, 2, "certificate"), (1, 2, "animations")]
    assert steps[-1] == (2, 2, "")
    assert {stage for _, _, stage, _ in told} == {DRAWING}  # also that of the optimisations of the animations
