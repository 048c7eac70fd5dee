"""Journals of interrupted, foreign and other runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus import InputError
from isthmus.utils.journal import Journal


def test_journal_read_again_holds_the_stored_lines(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    journal = Journal(path, "compare", {"seed": 0})
    journal.add({"a": 1})
    journal.add({"b": [2, None]})
    assert Journal(path, "compare", {"seed": 0}).lines == [{"a": 1}, {"b": [2, None]}]


def test_journal_with_an_incomplete_line_drops_it_and_continues(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Journal(path, "compare", {"seed": 0}).add({"a": 1})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"b": "ü')
    journal = Journal(path, "compare", {"seed": 0})
    assert journal.lines == [{"a": 1}]
    journal.add({"c": 3})
    assert Journal(path, "compare", {"seed": 0}).lines == [{"a": 1}, {"c": 3}]


def test_journal_of_another_run_names_the_settings_that_differ(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Journal(path, "compare", {"seed": 0, "splits": 2})
    with pytest.raises(InputError, match=r"is the journal of another run \(new, seed differ\); give another name"):
        Journal(path, "compare", {"seed": 1, "splits": 2, "new": True})


@pytest.mark.parametrize(
    "text", ["not json\n", "[]\n", '{"kind": "compare journal"', '{"kind": "train journal", "run": {}}\n']
)
def test_journal_of_something_else_raises(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match="is no journal of isthmus compare; give another name"):
        Journal(path, "compare", {})
