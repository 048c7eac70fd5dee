"""`Registry`: discovery, duplicates, entry points and hints."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from isthmus import InputError, IsthmusWarning
from isthmus.utils import registry as module
from isthmus.utils.registry import Registry


def test_register_name_twice_is_refused() -> None:
    tools: Registry[object] = Registry("tool")
    tools.register("saw", object())
    with pytest.raises(InputError, match="tool 'saw' is registered twice"):
        tools.register("saw", object())
    tools.unregister("saw")
    tools.register("saw", object())
    with pytest.raises(InputError, match=r"unknown tool 'sow': did you mean 'saw'\?"):
        tools["sow"]
    with pytest.raises(InputError, match="unknown tool 'axe'"):
        tools.unregister("axe")


def test_register_redefinition_replaces_itself() -> None:
    tools: Registry[type] = Registry("tool")

    def define() -> type:
        class Saw: ...

        return Saw

    first, second = define(), define()
    tools.register("Saw", first)
    assert tools.register("Saw", second) is tools["Saw"] is second


def test_find_ignores_case_and_separators() -> None:
    tools: Registry[int] = Registry("tool")
    tools.register("RidgeMap", 1)
    assert tools.find("ridge-map") == tools.find("RIDGE_map") == 1
    with pytest.raises(InputError, match="did you mean 'RidgeMap'"):
        tools.find("ridge-mop")


def test_discover_imports_public_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "toolbox_for_test"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from isthmus.utils.registry import Registry\nTOOLS = Registry('tool', package=__name__)\n"
    )
    (package / "saw.py").write_text("from toolbox_for_test import TOOLS\nTOOLS.register('saw', 1)\n")
    (package / "_private.py").write_text("raise RuntimeError\n")
    monkeypatch.syspath_prepend(tmp_path)
    import toolbox_for_test  # type: ignore[import-not-found]

    assert dict(toolbox_for_test.TOOLS) == {"saw": 1}
    assert "toolbox_for_test._private" not in sys.modules


def test_discover_warns_of_a_module_that_registers_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "empty_plugin_of_a_test.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint("empty", "empty_plugin_of_a_test", "isthmus.tools")]
    monkeypatch.setattr(module, "_entry_points", lambda: EntryPoints(points))
    tools: Registry[int] = Registry("tool", group="isthmus.tools")
    message = "the tool 'empty' of another package: the module empty_plugin_of_a_test registers none"
    with pytest.warns(IsthmusWarning, match=message):
        assert len(tools) == 0


def test_discover_loads_entry_points_and_survives_a_broken_one(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("good", "math:pi", "isthmus.tools"),
        EntryPoint("bad", "no_such_module_here:x", "isthmus.tools"),
    ]
    monkeypatch.setattr(module, "_entry_points", lambda: EntryPoints(points))
    tools: Registry[int] = Registry("tool", group="isthmus.tools")
    with pytest.warns(IsthmusWarning, match="tool 'bad' of another package cannot be loaded from no_such_.*: Mod"):
        assert len(tools) == 0
    assert "good" not in tools


def test_files_of_installed_packages_are_read_once_for_all_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def count() -> EntryPoints:
        calls.append(1)
        return EntryPoints()

    monkeypatch.setattr(module, "entry_points", count)
    module._entry_points.cache_clear()
    for noun in ("tool", "colour"):
        Registry(noun, group=f"isthmus.{noun}s").discover()
    module._entry_points.cache_clear()
    assert len(calls) == 1
