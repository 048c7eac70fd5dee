"""Every Python block of the README and of docs/ runs, and links between the pages lead somewhere.

A block that begins with "```python needs NAME ..." is a program of its own, which runs where these can be imported.
A block that begins with "```python file" is a complete module in the style of the package. Later blocks use it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import isthmus

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("[!_]*.md")),
]


@pytest.fixture
def registries() -> Iterator[None]:
    """Unregister everything that a page registers."""
    packages = (isthmus.metrics, isthmus.align, isthmus.tasks)
    before = [set(package.registry()) for package in packages]
    formats = set(isthmus.sources.formats)
    stores = set(isthmus.sources.stores)  # all of the package, which a page might be the first to look up
    yield
    for package, names in zip(packages, before, strict=True):
        for name in set(package.registry()) - names:
            package.unregister(name)
    for name in set(isthmus.sources.formats) - formats:
        isthmus.sources.formats.unregister(name)
    for name in set(isthmus.sources.stores) - stores:
        isthmus.sources.stores.unregister(name)


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("page", PAGES[1:], ids=lambda p: p.name)  # test_readme.py runs the README
def test_code_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python( file)?\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}  # dataclasses look their module up
    for number, (is_file, block) in enumerate(blocks):
        code = compile(block, f"{page.name} block {number + 1}", "exec", dont_inherit=True)
        if is_file:
            module = types.ModuleType(f"file_of_block_{number + 1}")
            monkeypatch.setitem(sys.modules, module.__name__, module)
            exec(code, vars(module))
            names |= {name: value for name, value in vars(module).items() if not name.startswith("__")}
        else:
            exec(code, names)


def test_files_of_the_guide_keep_the_style_of_the_package(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "how-to" / "extend.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python file\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 5
    for number, block in enumerate(blocks):
        folder = tmp_path / "src" / "isthmus" / ("metrics" if number == 0 else "align")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"block_{number}.py").write_text(block, encoding="utf-8")
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
    for command in (["check", *config], ["format", "--check", *config]):
        process = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
        )
        assert process.returncode == 0, process.stdout + process.stderr


PROGRAMS = [
    (page, number, *block)
    for page in PAGES
    for number, block in enumerate(
        re.findall(
            r"^```python needs ([\w. ]+)\n(.*?)^```",
            page.read_text(encoding="utf-8"),
            flags=re.DOTALL | re.MULTILINE,
        )
    )
]


#: Training scripts that change the logging and the switches of their process, and so have a process of their own.
OWN_PROCESS = "open_clip_train.main"


@pytest.mark.filterwarnings("ignore")  # programs of other libraries
@pytest.mark.parametrize(
    ("page", "number", "needs", "program"),
    [
        pytest.param(*p, id=f"{p[0].name} {p[2]} {p[1]}", marks=[pytest.mark.slow] if OWN_PROCESS in p[2] else [])
        for p in PROGRAMS
    ],
)
def test_programs_run(
    page: Path, number: int, needs: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    modules = needs.split()
    if OWN_PROCESS not in modules:
        for module in modules:
            pytest.importorskip(module, exc_type=ImportError)
        exec(compile(program, f"{page.name} program {number}", "exec", dont_inherit=True), {"__name__": "__main__"})
        return

    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)

    process = run(program)
    if process.returncode:
        imports = run(f"import {', '.join(modules)}")
        if imports.returncode:
            pytest.skip(imports.stderr.strip().splitlines()[-1])
        raise AssertionError(process.stderr)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        # The build of the site writes the API reference, and checks links to it.
        if not target.startswith("http") and "api/" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_questions_are_one_click_away_and_lead_to_a_section() -> None:
    page = ROOT / "docs" / "how-to" / "questions.md"
    rows = re.findall(r"^\| \[(.*\?)\]\(([^)#]+)#?(.*?)\) \| .+ \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 20
    for question, target, anchor in rows:
        headings = re.findall(r"^#+ (.*)$", (page.parent / target).read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, question
    for start in (ROOT / "README.md", ROOT / "docs" / "index.md"):
        assert "how-to/questions.md)" in start.read_text(encoding="utf-8")
