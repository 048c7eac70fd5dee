"""The public names of `isthmus.theory`."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from isthmus import theory


@pytest.mark.parametrize("name", theory.__all__)
def test_public_name_is_defined_in_the_package(name: str) -> None:
    value = getattr(theory, name)
    if isinstance(value, ModuleType):
        assert value.__name__ == f"isthmus.theory.{name}"
    else:
        assert value.__name__ == name
        assert value.__module__.startswith("isthmus.theory.")
    assert value.__doc__


def test_bounds_are_public_names_of_the_package_too() -> None:
    assert all(getattr(theory, name) is getattr(theory.bounds, name) for name in theory.bounds.__all__)


def test_dir_lists_the_public_names() -> None:
    assert dir(theory) == theory.__all__


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = theory.nonsense


def test_import_loads_no_framework() -> None:
    code = (
        "import sys, isthmus.theory as t; [getattr(t, n) for n in t.__all__ if t._NAMES[n] != 'optimisation'];"
        "print([m for m in ('torch', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
