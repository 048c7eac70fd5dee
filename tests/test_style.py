"""Names, docstrings and prose keep the rules of CONTRIBUTING.md."""

from __future__ import annotations

import pytest

from imports import ROOT
from style import docstring_errors, function_word_names, prose_findings

#: Function words among 1,000 local names.
MAX_FUNCTION_WORDS = 10


def test_local_names_say_what_they_hold() -> None:
    hits, total = function_word_names(ROOT)
    assert 1000 * len(hits) / total < MAX_FUNCTION_WORDS, [f"{path.name}:{line} {name}" for path, line, name in hits]


#: Packages whose public names have complete numpydoc docstrings.
PACKAGES = (
    "isthmus",
    "isthmus.align",
    "isthmus.compute",
    "isthmus.data",
    "isthmus.data.demo",
    "isthmus.data.sources",
    "isthmus.diagnosis",
    "isthmus.encode",
    "isthmus.evaluation",
    "isthmus.integrations",
    "isthmus.linalg",
    "isthmus.metrics",
    "isthmus.reporting",
    "isthmus.reporting.plot",
    "isthmus.statistics",
    "isthmus.studies.theorems",
    "isthmus.studies.training",
    "isthmus.tasks",
    "isthmus.testing",
    "isthmus.theory",
    "isthmus.train",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_have_numpydoc_sections(package: str) -> None:
    assert docstring_errors(package) == []


def test_prose_has_short_sentences_and_standard_terms() -> None:
    findings = [f"{path}:{line}: {text}" for path in sorted(ROOT.rglob("*.py")) for line, text in prose_findings(path)]
    assert findings == []
