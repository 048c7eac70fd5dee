"""The public names of `isthmus.linalg`."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from isthmus import linalg


@pytest.mark.parametrize("name", linalg.__all__)
def test_public_name_is_defined_in_the_package(name: str) -> None:
    value = getattr(linalg, name)
    if isinstance(value, ModuleType):
        assert value.__name__ == f"isthmus.linalg.{name}"
    else:
        assert value.__name__ == name
        assert value.__module__.startswith("isthmus.linalg.")
    assert value.__doc__


@pytest.mark.parametrize("name", linalg.bessel.__all__)
def test_bessel_name_is_a_documented_function(name: str) -> None:
    assert getattr(linalg.bessel, name).__doc__


def test_dir_lists_the_public_names() -> None:
    assert dir(linalg) == linalg.__all__


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = linalg.nonsense


def test_import_loads_no_framework() -> None:
    code = (
        "import sys, isthmus.linalg as l; [getattr(l, n) for n in l.__all__];"
        "print([m for m in ('torch', 'matplotlib', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
