"""The package: metadata, types for a consumer, and the built wheel and sdist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import isthmus

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: Extras of the people who work on the package.
OF_DEVELOPERS = {"docs", "test", "bench"}

#: A program of a user, with an error of types in its last line.
CONSUMER = """\
import isthmus
from isthmus.align import ScoreCalibration

pairs: isthmus.Pairs = isthmus.demo.load("plain")
result: isthmus.Result = isthmus.measure(pairs, metrics=["centroid_angle"])
value: float = result["centroid_angle"].value
correction: ScoreCalibration = ScoreCalibration(index="lists")
reveal_type(result["centroid_angle"])
wrong: int = result["centroid_angle"]
"""


def test_version_is_the_newest_of_the_changelog() -> None:
    newest = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    citation = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert citation is not None
    assert newest[1] == citation[1] == PROJECT["version"] == isthmus.__version__


def test_changelog_names_no_change_twice() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = [" ".join(entry.split()) for entry in re.split(r"^(?:- |#)", text, flags=re.MULTILINE)[1:]]
    assert len({entry[:40] for entry in entries if entry}) == len([entry for entry in entries if entry])


def test_all_extra_contains_every_extra_of_users() -> None:
    extras = PROJECT["optional-dependencies"]

    def contained(extra: str) -> set[str]:
        listed = re.match(r"isthmus\[(.*)\]", extras[extra][0])
        assert listed is not None
        return set(listed[1].split(","))

    assert set(extras) == {"all"} | contained("all") | contained("stores") | OF_DEVELOPERS
    page = (ROOT / "docs" / "tutorials" / "install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(extras) - OF_DEVELOPERS


@pytest.mark.slow
def test_types_of_the_package_reach_a_consumer(tmp_path: Path) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER, encoding="utf-8")
    package = Path(isthmus.__file__).parent
    options = ["--strict", "--follow-imports=silent", "--ignore-missing-imports", "--cache-dir", str(tmp_path)]
    process = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "consumer.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(package.parent)},
        capture_output=True,
        text=True,
    )
    lines = [line for line in process.stdout.splitlines() if line.startswith("consumer.py")]
    assert 'note: Revealed type is "isthmus.statistics.result.Estimate"' in lines[0], process.stdout
    assert "error: Incompatible types in assignment" in lines[1]
    assert len(lines) == 2, process.stdout
    assert (package / "py.typed").exists()


@pytest.mark.slow
def test_wheel_built_from_the_sdist_is_small_and_runs(tmp_path: Path) -> None:
    pytest.importorskip("build")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(tmp_path), str(ROOT)], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 2.25 * 2**20
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        assert {"isthmus/py.typed", "isthmus/data/demo/data/plain.safetensors.xz"} <= set(archive.namelist())
        assert {name.split("/")[0].split("-")[0] for name in archive.namelist()} == {"isthmus"}
        archive.extractall(target)
    process = subprocess.run(
        [sys.executable, "-m", "isthmus", "demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "isthmus-demo.html").stat().st_size > 100_000
