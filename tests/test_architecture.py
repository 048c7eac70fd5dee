"""The package keeps its layers: no import cycle, no import of a higher layer, nothing heavy on import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import isthmus
from imports import ROOT, cycles, import_graph, imports_of, module_paths, package_of

#: Packages from the lowest layer to the highest. A module imports from its own package and from lower layers.
LAYERS = [
    "utils",
    "compute",
    "linalg",
    "data",
    "statistics",
    "theory",
    "tasks",
    "metrics",
    "align",
    "encode",
    "evaluation",
    "diagnosis",
    "train",
    "integrations",
    "reporting",
    "testing",
    "",  # the public names of the root
    "studies",
    "cli",
]
#: Files of the root that are not packages.
ROOT_FILES = {"__init__.py", "__main__.py", "py.typed"}


def test_cycles_of_a_graph_are_its_strong_components() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}
    assert cycles(graph) == [["a", "b", "c"]]
    assert cycles({"a": {"b"}, "b": set()}) == []


def test_imports_of_a_file_include_lazy_and_type_checking_ones(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "from isthmus.data import pairs\n"
        "if TYPE_CHECKING:\n    from isthmus.align.auto import Auto\n"
        "def load():\n    import isthmus.reporting\n"
    )
    targets = set(imports_of(path, module_paths()))
    assert targets == {"isthmus.data.pairs", "isthmus.align.auto", "isthmus.reporting"}


def test_import_graph_has_no_cycle() -> None:
    assert cycles(import_graph()) == []


def test_imports_point_to_lower_layers() -> None:
    upward = []
    for module, targets in import_graph().items():
        if module == "isthmus.__main__":
            continue
        for target in sorted(targets):
            if LAYERS.index(package_of(target)) > LAYERS.index(package_of(module)):
                upward.append(f"{module} imports {target}")
    assert upward == []


def test_root_has_the_declared_entries() -> None:
    entries = {path.name for path in ROOT.iterdir() if path.name != "__pycache__"}
    assert entries == {*LAYERS, *ROOT_FILES} - {""}
    assert len(entries) <= 21


def test_public_names_are_defined() -> None:
    defined = {*isthmus._NAMES, *isthmus._MODULES, "__version__"}
    assert sorted(defined) == isthmus.__all__
    for name in isthmus.__all__:
        assert getattr(isthmus, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = isthmus.nothing  # type: ignore[attr-defined]


def test_import_loads_no_third_party_package() -> None:
    code = "import sys, isthmus; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "sklearn", "scipy", "numpy"} & set(out.stdout.split())


def test_measure_loads_no_torch_matplotlib_or_sklearn() -> None:
    code = (
        "import sys, isthmus; isthmus.measure(isthmus.demo.load('plain', split='test')); import isthmus.cli;"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "sklearn"} & set(out.stdout.split())


def test_file_without_a_scheme_is_opened_without_stores_and_aligners(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from isthmus.data.sources import open_source;"
        "np.save(sys.argv[1], np.eye(3)); open_source(sys.argv[1]); print(*sorted(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x.npy")]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "isthmus.data.sources" in modules
    assert not [name for name in modules if name.startswith(("isthmus.align", "isthmus.integrations", "isthmus.tasks"))]


def test_no_file_is_longer_than_400_lines() -> None:
    long = [path.name for path in ROOT.rglob("*.py") if len(path.read_text(encoding="utf-8").splitlines()) > 400]
    assert long == []
