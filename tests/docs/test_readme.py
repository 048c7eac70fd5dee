"""The README: its commands run, and its numbers are the measured ones."""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIGURE = ROOT / "docs" / "figures" / "overview.svg"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def assert_same_text(printed: str, expected: str) -> None:
    """Compare two texts: the same words, and numbers that differ by at most 2 in the last digit that is stated."""
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", expected)
    for value, stated in zip(NUMBER.findall(printed), NUMBER.findall(expected), strict=True):
        decimals = len(stated.partition(".")[2])
        assert abs(float(value) - float(stated)) <= 2.001 * 10**-decimals, f"{printed!r} is stated as {expected!r}"


@pytest.mark.filterwarnings("ignore::isthmus.IsthmusWarning")
def test_python_of_the_readme_is_short_and_prints_the_stated_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    assert block is not None
    assert len([line for line in block[1].splitlines() if line.strip()]) <= 10
    names: dict[str, Any] = {}
    for line in block[1].splitlines():
        exec(line, names)
        output, (_, _, comment) = capsys.readouterr().out.strip(), line.partition("  # ")
        if NUMBER.search(comment):
            assert_same_text(output, comment)
    assert names["stored"].shape == (597, 66)


@pytest.mark.slow
def test_commands_of_the_readme_run(tmp_path: Path) -> None:
    data = isthmus.demo.arrays("collapsed", split="test")
    for folder in (tmp_path, tmp_path / "vit-b-32", tmp_path / "vit-l-14"):
        folder.mkdir(exist_ok=True)
        np.save(folder / "image.npy", data.image)
        np.save(folder / "text.npy", data.text)
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    commands = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    assert commands.pop(0) == ["pip", "install", "."]  # tests/test_package.py installs the package
    assert len(commands) == 8
    for program, *arguments in commands:
        assert program == "isthmus"
        answer = subprocess.run(
            [sys.executable, "-m", "isthmus", *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert answer.returncode == 0, f"{arguments}: {answer.stderr}"
    written = {path.name for path in tmp_path.iterdir()}
    assert {"isthmus-demo.html", "gap.html", "measures.csv", "models.html"} <= written
    assert np.load(tmp_path / "stored_text.npy").shape == (597, 66)


@pytest.mark.slow
def test_numbers_of_the_picture_are_the_measured_ones(clip_coco: isthmus.Pairs) -> None:
    program = runpy.run_path(str(ROOT / "docs" / "_figures" / "overview.py"))
    scores = program["percentages"](clip_coco)
    gap = isthmus.measure(clip_coco, metrics=["centroid_angle"])["centroid_angle"].value
    text = re.search(r"^On 500 COCO pairs .*?(?=\n\n)", README, re.DOTALL | re.MULTILINE)
    assert text is not None
    (mixed_before, mixed_after), (recall_before, recall_after) = scores["mixed_R@1"], scores["R@1"]
    stated = [float(number) for number in NUMBER.findall(text[0])]
    np.testing.assert_allclose(stated, [500, gap, mixed_before, mixed_after, recall_before, recall_after], atol=1)
    picture = FIGURE.read_text(encoding="utf-8")
    drawn = [float(number) for number in re.findall(r">(\d+) %<", picture)]
    np.testing.assert_allclose(drawn, [value for pair in scores.values() for value in pair], atol=1)
    assert f"{gap:.0f} degrees between" in picture
    assert "prefers-color-scheme: dark" in picture
