"""The public names of the room, what importing it costs, and that the page about it knows every loss."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus import train
from isthmus.train._registry import read_losses

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "losses.md"


def test_import_loads_no_torch() -> None:
    code = "import sys, isthmus.train, isthmus; isthmus.train.__all__; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"


def test_public_names_without_torch_raise_with_command() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from isthmus import InputError, train\n"
        "for use in (lambda: train.InfoNCE, lambda: train.registry(), lambda: train.get('CUA')):\n"
        "    try: use()\n"
        "    except InputError as error: print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    lines = out.strip().splitlines()
    assert lines[0] == "isthmus.train.InfoNCE needs torch, which is not installed: pip install 'isthmus[torch]'"
    assert len(lines) == 3
    assert all("needs torch, which is not installed" in line for line in lines)


def test_list_of_losses_imports_no_torch() -> None:
    code = (
        "import sys; from isthmus.cli._catalogue import _LISTS\n"
        "for entries in _LISTS.values(): assert entries()\n"
        "print(len(_LISTS['losses']()), 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split()[1] == "False"
    assert int(out.split()[0]) >= 14


def test_losses_that_are_read_from_the_source_are_those_of_the_registry() -> None:
    pytest.importorskip("torch")
    read = read_losses()
    assert read == {
        name: {attribute: getattr(spec, attribute) for attribute in read[name]}
        for name, spec in train.registry().items()
        if spec.cls.__module__.startswith("isthmus.train.")
    }
    assert {len(description) for description in read.values()} == {4}


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = train.nonsense


def test_public_names_are_defined_and_documented() -> None:
    pytest.importorskip("torch")
    for name in train.__all__:
        value = getattr(train, name)
        assert value.__name__ == name
        assert value.__doc__


def test_public_names_include_every_registered_loss() -> None:
    pytest.importorskip("torch")
    losses = train.registry()
    assert len(losses) == 14
    assert set(losses) < set(train.__all__)
    assert all(getattr(train, name) is spec.cls for name, spec in losses.items())


def test_page_lists_every_loss_with_source_and_weight() -> None:
    pytest.importorskip("torch")
    page = PAGE.read_text(encoding="utf-8")
    for name, declared in train.registry().items():
        assert f"| `{name}` |" in page, name
        for number in re.findall(r"arXiv (\d{4}\.\d{5})", declared.source):
            assert number in page, (name, number)
        if not declared.standalone:
            row = re.search(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
            assert row is not None
            assert f"| {declared.weight:g} |" in row.group(), name


def test_page_lists_every_temperature() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = [name for name in train.__all__ if name.endswith("Temperature")]
    assert len(names) > 2
    for name in names:
        assert f"{name}(" in page, name
