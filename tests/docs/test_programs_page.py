"""Each program of docs/how-to/programs.md is short, complete, and runs."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "programs.md"
PROGRAMS = re.findall(
    r"^## ([^\n]*)\n(?:(?!^## ).)*?^```python program([\w ]*)\n(.*?)^```",
    PAGE.read_text(encoding="utf-8"),
    flags=re.DOTALL | re.MULTILINE,
)


def test_page_holds_ten_programs_of_less_than_20_lines() -> None:
    assert len(PROGRAMS) == 10
    assert {
        title for title, _, code in PROGRAMS if len([line for line in code.splitlines() if line.strip()]) >= 20
    } == set()


@pytest.mark.parametrize(("title", "needs", "code"), PROGRAMS, ids=[title for title, _, _ in PROGRAMS])
def test_program_runs(title: str, needs: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in needs.split():
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    with warnings.catch_warnings():
        if needs.strip() in ("torch", "datasets"):  # their own warnings of the machine
            warnings.filterwarnings("ignore", category=DeprecationWarning)
        exec(compile(code, title, "exec", dont_inherit=True), names)
    if "matplotlib" in code:
        import matplotlib.pyplot as plt

        plt.close("all")
