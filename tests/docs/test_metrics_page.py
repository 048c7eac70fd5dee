"""The page of the measures is what the registry says."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

import isthmus
from isthmus.metrics.document import main, page

FILE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


def test_file_is_what_the_registry_gives() -> None:
    assert FILE.read_text(encoding="utf-8") == page(), (
        "run `python -m isthmus.metrics.document docs/reference/metrics.md`"
    )


def test_every_measure_has_its_facts() -> None:
    sections = page().split("\n### ")[1:]
    assert [s.splitlines()[0].strip("`") for s in sections] == list(isthmus.metrics.registry())
    for section in sections:
        for fact in ("Unit", "Range", "Better", "Needs", "Interval", "Null", "Invariant", "Source"):
            assert section.count(f"\n- {fact}: ") == 1, section
        assert ">>>" not in section
    families = [line.removeprefix("## ").lower() for line in page().splitlines() if line.startswith("## ")]
    assert families == [f for f in isthmus.metrics.FAMILIES if f != "others"]


def test_writes_a_file(tmp_path: Path) -> None:
    main([str(tmp_path / "m.md")])
    assert (tmp_path / "m.md").read_text(encoding="utf-8") == page()
    with pytest.raises(SystemExit, match="usage"):
        main([])


def test_module_run_as_a_script_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["document", str(tmp_path / "m.md")])
    monkeypatch.delitem(sys.modules, "isthmus.metrics.document")
    runpy.run_module("isthmus.metrics.document", run_name="__main__")
    assert (tmp_path / "m.md").read_text(encoding="utf-8") == page()
