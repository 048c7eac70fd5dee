"""The public names of the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

from isthmus import theory


@pytest.mark.parametrize("name", theory.__all__)
def test_every_name_is_what_its_module_defines(name):
    value = getattr(theory, name)
    assert value.__name__ == name
    assert value.__module__.startswith("isthmus.")
    assert value.__doc__


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = theory.nonsense


def test_importing_loads_no_framework():
    code = (
        "import sys, isthmus.theory as t; [getattr(t, n) for n in t.__all__ if t._NAMES[n] != 'theory.optimisation'];"
        "print([m for m in ('torch', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
