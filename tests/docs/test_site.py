"""The documentation site: checks of the built pages, and of the checks that the build itself makes.

`make docs` builds the site and runs these tests. Those of its pages are skipped unless ISTHMUS_SITE names its folder.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

import isthmus

EXTENSIONS = Path(__file__).parents[2] / "docs" / "_ext"


def extension(name: str) -> ModuleType:
    """Import a module of the site's builder."""
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location(f"site_{name}", EXTENSIONS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site() -> Path:
    """The folder of the built site."""
    folder = os.environ.get("ISTHMUS_SITE")
    if not folder:
        pytest.skip("ISTHMUS_SITE is not set; `make docs` builds the site")
    return Path(folder).resolve()


def test_site_documents_every_public_name(site: Path) -> None:
    page = (site / "api" / "isthmus.html").read_text(encoding="utf-8")
    names = [name for name in isthmus.__all__ if not name.startswith("__") and name not in isthmus._MODULES]
    assert [name for name in names if f'id="isthmus.{name}"' not in page] == []
    for name, path in isthmus._MODULES.items():
        module = importlib.import_module(f"isthmus.{path}")
        page = (site / "api" / f"isthmus.{name}.html").read_text(encoding="utf-8")
        assert [public for public in module.__all__ if f"{public}</span>" not in page] == []


def test_site_loads_nothing_from_elsewhere(site: Path) -> None:
    assert extension("offline").broken_links(site) == []
    theory = (site / "explanation" / "theory.html").read_text(encoding="utf-8")
    assert 'src="../_static/tex-svg.js' in theory
    assert (site / "_static" / "tex-svg.js").stat().st_size > 1_000_000
    assert [page.name for page in site.rglob("*.html") if "cdn." in page.read_text(encoding="utf-8")] == []


def test_site_has_search_copied_code_and_a_gallery(site: Path) -> None:
    assert "mixed" in (site / "searchindex.js").read_text(encoding="utf-8")
    page = (site / "how-to" / "mixed-index.html").read_text(encoding="utf-8")
    assert "copybutton.js" in page
    assert len(list((site / "_images").glob("sphx_glr_*.svg"))) >= 6


def test_broken_links_names_missing_pages_anchors_and_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html">x</a><a href="#bottom">x</a><a href="#top">x</a>'
        '<a href="https://example.org">x</a><script src="https://example.org/x.js"></script>'
    )
    assert extension("offline").broken_links(tmp_path) == [
        "a.html: #bottom has no such heading",
        "a.html: b.html does not exist",
        "a.html: loads https://example.org/x.js",
    ]


def test_formulas_of_docstrings_are_no_markup() -> None:
    lines = ["The gap |mean x| of `a*b` in gap/p_, x_i and *args", "value : x|y", "", ">>> a | b", "a | b"]
    extension("api_pages").escape_formulas(None, "", "", None, None, lines)
    assert lines == [
        "The gap \\|mean x\\| of `a*b` in gap/p\\_, x_i and \\*args",
        "value : x|y",
        "",
        ">>> a | b",
        "a | b",
    ]
