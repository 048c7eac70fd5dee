"""Names, docstrings and prose keep the rules of CONTRIBUTING.md."""

from __future__ import annotations

from imports import ROOT
from style import function_word_names

#: Function words among 1,000 local names.
MAX_FUNCTION_WORDS = 110


def test_local_names_say_what_they_hold() -> None:
    hits, total = function_word_names(ROOT)
    assert 1000 * len(hits) / total < MAX_FUNCTION_WORDS, [f"{path.name}:{line} {name}" for path, line, name in hits]
