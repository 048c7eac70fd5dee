"""The commands that a page offers for copying."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import isthmus
from isthmus.reporting.recommended_commands import commands


@pytest.mark.parametrize("name", ["ScoreCalibration", "Centering"])
def test_python_lines_run_and_make_rows_and_queries(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    isthmus.demo.export(tmp_path, "plain", split="test")
    pairs = isthmus.demo.load("plain", split="test")
    table = isthmus.compare(pairs, aligners=[name], tasks=["mixed_search"], splits=1)
    lines = commands(table.rows[-1], ("image", "text"))
    values: dict[str, Any] = {}
    with pytest.warns(UserWarning, match="distinct"):
        exec(lines["python"], values)
    extra = 2 if name == "ScoreCalibration" else 0
    assert [values[rows].shape[1] for rows in ("stored_x", "stored_y", "queries")] == [64 + extra] * 3
    assert lines["shell"].count("--role stored") == (2 if name == "ScoreCalibration" else 0)
