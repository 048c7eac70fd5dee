"""Names of a package that are imported on first use."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from isthmus.utils.lazy import lazy_names


def test_names_are_imported_on_first_use() -> None:
    code = (
        "import sys, isthmus.linalg as l; before = 'isthmus.linalg.psd' in sys.modules; l.fidelity;"
        "print(before, 'isthmus.linalg.psd' in sys.modules, 'fidelity' in vars(l))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "False True True\n"


def test_name_that_equals_its_module_stands_for_the_module() -> None:
    getter, _ = lazy_names("isthmus.linalg", {"bessel": "bessel"})
    assert getter("bessel").__name__ == "isthmus.linalg.bessel"


def test_names_are_sorted_and_unknown_names_refused() -> None:
    getter, names = lazy_names("isthmus.linalg", {"b": "psd", "a": "psd"})
    assert names() == ["a", "b"]
    with pytest.raises(AttributeError, match="module 'isthmus.linalg' has no attribute 'c'"):
        getter("c")


@pytest.mark.parametrize(
    ("module", "name", "hint"),
    [
        ("isthmus.train", "infonce", "InfoNCE"),
        ("isthmus.train", "InfoNce", "InfoNCE"),
        ("isthmus.metrics", "Measure", "measure"),
        ("isthmus.evaluation", "evaluate_zeroshot", "evaluate_zero_shot"),
        ("isthmus.plot", "cosine", "cosines"),
        ("isthmus.sources", "open_sources", "open_source"),
        ("isthmus.demo", "loads", "load"),
        ("isthmus.testing", "check_aligners", "check_aligner"),
        ("isthmus.integrations", "Trainer_callback", "trainer_callback"),
        ("isthmus.diagnosis", "Explain", "explain"),
        ("isthmus.tasks", "retrieve", "Retrieval"),
        ("isthmus.align", "Centring", "Centering"),
        ("isthmus.theory", "optimize", "optimise"),
        ("isthmus", "mesure", "measure"),
    ],
)
def test_module_without_a_name_proposes_a_similar_one(module: str, name: str, hint: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute '{name}': did you mean '{hint}'"):
        getattr(importlib.import_module(module), name)
