"""The lazy names of the package can be imported as modules too."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import isthmus


@pytest.mark.parametrize(
    ("name", "path"), [("demo", "data.demo"), ("plot", "reporting.plot"), ("sources", "data.sources")]
)
def test_import_of_a_lazy_name_gives_the_module_itself(name: str, path: str) -> None:
    module = importlib.import_module(f"isthmus.{path}")
    assert importlib.import_module(f"isthmus.{name}") is module
    assert getattr(isthmus, name) is module


def test_import_statement_of_sources_works_first() -> None:
    code = "from isthmus.sources import open_source; import isthmus.sources as s; assert s.open_source is open_source"
    subprocess.run([sys.executable, "-c", code], check=True)
