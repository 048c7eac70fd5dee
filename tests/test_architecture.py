"""The house keeps its shape: imports point to the left, names are public on purpose, nothing heavy loads early."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import isthmus

ROOT = Path(isthmus.__file__).parent

#: Rooms from left to right; a file may import from its own room and from rooms to the left of it.
LEVELS = [
    {"checks", "arrays"},
    {"files", "devices"},
    {"resources", "device_blocks"},
    {"sources", "theory", "encode", "journal"},
    {"joining"},
    {"pairs"},
    {"sums"},
    {"moments", "grouping"},
    {"result"},
    {"intervals", "following"},
    {"tasks"},
    {"metrics"},
    {"align", "inspection"},
    {"distributed"},
    {"comparison"},
    {"diagnosis", "dose"},
    {"modalities"},
    {"reporting"},
    {"demo"},
    {"train"},
    {"cli"},
]
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
#: Steps back that are meant, each with its reason beside the import.
EXCEPTIONS = {("demo", "train"), ("pairs", "moments"), ("theory", "align"), ("theory", "intervals")}


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[0]


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "isthmus":
            modules = [f"isthmus.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            modules = [node.module]
        found |= {m.split(".")[1] for m in modules if m.startswith("isthmus.") and m != "isthmus.__version__"}
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_to_the_left(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        return
    for other in imported_rooms(path) - {here}:
        if other in LEVEL and (here, other) not in EXCEPTIONS:
            assert LEVEL[other] < LEVEL[here], f"{path.name} imports {other}"


def test_every_room_is_placed() -> None:
    rooms = {room(p) for p in ROOT.rglob("*.py")} - {"__init__"}
    assert rooms == set(LEVEL)


def test_theory_stands_alone() -> None:
    for path in (ROOT / "theory").rglob("*.py"):
        # Writing its page takes the one way in which files are written.
        allowed = {"theory", "arrays", "checks"} | ({"files"} if path.name == "page.py" else set())
        # The assumptions are measured on Pairs, with the tests and estimators of other rooms.
        assert imported_rooms(path) <= allowed or path.name == "assumptions.py", path


def test_losses_stand_alone() -> None:
    # What watches a training, and the experiment, use the rest of the house.
    others = {"collapse_watch", "monitor", "reading", "sums", "logs", "commands"}
    for path in (ROOT / "train").glob("*.py"):
        assert path.stem in others or imported_rooms(path) <= {"train", "theory", "arrays", "checks"}, path


def test_public_names_are_what_is_defined() -> None:
    defined = {*isthmus._NAMES, *isthmus._MODULES, "__version__"}
    assert sorted(defined) == isthmus.__all__
    for name in isthmus.__all__:
        assert getattr(isthmus, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = isthmus.nothing  # type: ignore[attr-defined]


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, isthmus; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "sklearn", "scipy", "numpy"} & set(out.stdout.split())


def test_measuring_loads_no_torch_matplotlib_or_sklearn() -> None:
    code = (
        "import sys, isthmus; isthmus.measure(isthmus.demo.load('plain')); import isthmus.cli;"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "sklearn"} & set(out.stdout.split())


def test_no_file_is_long_without_a_reason() -> None:
    reasons: set[str] = set()
    long = {p.name for p in ROOT.rglob("*.py") if len(p.read_text(encoding="utf-8").splitlines()) > 400}
    assert long <= reasons
