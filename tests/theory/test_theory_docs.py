"""Every code block of the page on the theory runs."""

import re
from pathlib import Path

import matplotlib
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "theory.md"
FENCE = re.compile(r"^```python\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
BLOCKS = FENCE.findall(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def names():
    matplotlib.use("Agg")
    return {}


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_block_runs(block, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "docs/theory.md", "exec"), names)
