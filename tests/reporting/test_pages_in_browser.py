"""Every page states its conclusion first, works in a browser at both widths, and is safe with names from outside."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
import report_pages as pages
from isthmus.reporting.comparison_page import comparison_page
from isthmus.reporting.models_page import models_page

CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, write in pages.PAGES.items():
        write(folder / f"{name}.html", (pages.HOSTILE, "text"))
    return {name: folder / f"{name}.html" for name in pages.PAGES}


@pytest.mark.parametrize("name", pages.PAGES)
def test_names_from_outside_are_escaped(written: dict[str, Path], name: str) -> None:
    text = written[name].read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    assert not re.search("[\u202e\x07]", text)
    assert len(text.encode()) < 2_000_000


@pytest.mark.parametrize("name", pages.PAGES)
def test_conclusion_with_numbers_comes_first(written: dict[str, Path], name: str) -> None:
    text = written[name].read_text(encoding="utf-8")
    conclusion = re.findall(r'<div class="conclusion">(.*?)</div>', text, flags=re.DOTALL)[0]
    assert 1 <= conclusion.count("<p>") <= 2
    assert re.search(r"\d", conclusion)
    assert text.index('class="conclusion"') < text.index("<table")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with playwright_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def shared_view(browser: Any) -> Any:
    return browser.new_context(offline=True, accept_downloads=True).new_page()


@pytest.fixture
def view(shared_view: Any) -> Any:
    """Return a wide window. All tests have the same one, because each start of a window takes long."""
    shared_view.set_viewport_size({"width": 1280, "height": 900})
    shared_view.emulate_media(media="screen", color_scheme="light", reduced_motion="no-preference")
    return shared_view


@pytest.mark.parametrize("name", pages.PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_is_quiet_and_readable(view: Any, written: dict[str, Path], name: str, width: int, scheme: str) -> None:
    view.set_viewport_size({"width": width, "height": 900})
    view.emulate_media(color_scheme=scheme)
    with pages.heard(view) as (messages, requests):
        view.goto(written[name].as_uri())
    assert (messages, requests) == ([], [written[name].as_uri()])
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert pages.smallest_text(view) >= 12


def test_tables_of_models_fit_into_a_wide_window(view: Any, tmp_path: Path) -> None:
    runs = {run: isthmus.demo.load(run) for run in ("plain", "warm", "collapsed")}
    models_page(isthmus.compare_models(runs), tmp_path / "models.html")
    view.goto((tmp_path / "models.html").as_uri())
    view.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    widths = "[...document.querySelectorAll('.scroll')].map((table) => table.scrollWidth - table.clientWidth)"
    assert view.evaluate(widths) == [0, 0, 0]


def test_a_comparison_of_ten_scores_fits_into_a_wide_window(view: Any, tmp_path: Path) -> None:
    pairs = isthmus.demo.load("collapsed")
    pairs.labels = np.arange(pairs.n_items) % 5
    table = isthmus.compare(pairs, aligners=["Centering", "SharedSpaceProjection"], tasks=["mixed_search"], splits=2)
    comparison_page(table, tmp_path / "comparison.html")
    view.goto((tmp_path / "comparison.html").as_uri())
    view.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    counts = "[...document.querySelectorAll('.scroll')].map((table) => table.querySelectorAll('thead th').length)"
    assert max(view.evaluate(counts)) >= 10
    widths = "[...document.querySelectorAll('.scroll')].map((table) => table.scrollWidth - table.clientWidth)"
    assert set(view.evaluate(widths)) == {0}


def test_wide_figures_on_a_phone_state_that_they_scroll(view: Any, written: dict[str, Path]) -> None:
    for width, is_stated in ((1280, False), (390, True)):
        view.set_viewport_size({"width": width, "height": 900})
        for name in ("models", "interventions", "theory"):
            view.goto(written[name].as_uri())
            hint = view.evaluate("getComputedStyle(document.querySelector('.wide-figure'), '::before').content")
            assert ("Scroll the figure sideways" in hint) == is_stated, name


def test_cells_without_a_value_are_left_out_on_a_phone(view: Any, written: dict[str, Path]) -> None:
    view.set_viewport_size({"width": 390, "height": 900})
    view.goto(written["theory"].as_uri())
    view.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    empty = "[...document.querySelectorAll('td')].filter((cell) => cell.offsetParent && !cell.innerText.trim())"
    assert view.evaluate(f"{empty}.length") == 0


@pytest.fixture(scope="module")
def report_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    pairs = isthmus.demo.load("plain", split="test")
    isthmus.report(pairs, path, comparison=isthmus.compare(pairs, splits=1), captions=[pages.HOSTILE] * pairs.n_items)
    return path


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scripted", [True, False])
def test_text_of_figures_is_large_enough_and_apart(
    view: Any, written: dict[str, Path], report_page: Path, width: int, scripted: bool
) -> None:
    """Text of figures has at least 12 px (9 points), stays inside its figure, and no two texts overlap."""
    view.set_viewport_size({"width": width, "height": 900})
    for name, path in {**written, "report": report_page}.items():
        text = path.read_text(encoding="utf-8")
        view.set_content(text if scripted else re.sub("<script>.*?</script>", "", text, flags=re.DOTALL))
        smallest, overlaps, outside = pages.figure_texts(view)
        assert (name, overlaps, outside) == (name, [], [])
        assert smallest >= 11.9, name


@pytest.mark.parametrize("name", pages.PAGES)
def test_printed_page_is_light_and_without_controls(view: Any, written: dict[str, Path], name: str) -> None:
    view.set_viewport_size({"width": 720, "height": 900})
    view.goto(written[name].as_uri())
    view.emulate_media(media="print", color_scheme="dark")
    assert view.locator("button.tool:visible, nav.contents:visible, input:visible, select:visible").count() == 0
    colour = view.evaluate("getComputedStyle(document.body).color")
    assert max(int(part) for part in re.findall(r"\d+", colour)[:3]) < 100  # dark ink
    assert view.evaluate("document.documentElement.scrollWidth") <= 720
    assert view.pdf(format="A4").startswith(b"%PDF")


def test_page_moves_only_without_reduced_motion(view: Any, written: dict[str, Path]) -> None:
    for path in written.values():
        view.emulate_media(reduced_motion="reduce")
        view.goto(path.as_uri())
        assert view.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
        styles = "[...document.querySelectorAll('*')].map((e) => getComputedStyle(e))"
        moving = "parseFloat(style.transitionDuration) || style.animationName !== 'none'"
        assert view.evaluate(f"{styles}.filter((style) => {moving}).length") == 0
        view.emulate_media(reduced_motion="no-preference")
        assert view.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "smooth"


def test_tables_of_a_page_are_sorted_and_saved(view: Any, written: dict[str, Path]) -> None:
    view.goto(written["comparison"].as_uri())
    section = view.locator("section:has(> h2:text-is('The table'))")
    section.locator("button.sort", has_text="exchange R@1").click()
    values = [float(text.split()[0]) for text in section.locator("tbody td:nth-child(4) span").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    with view.expect_download() as saved:
        section.get_by_role("button", name="Save as CSV").click()
    assert saved.value.suggested_filename == "the-table.csv"
    lines = Path(saved.value.path()).read_text().splitlines()
    assert lines[0].startswith('"Aligner","gap angle","gap closed","exchange R@1 ↑","exchange R@1 ↑ (2)"')
    assert view.get_by_role("button", name="Copy these lines").is_visible()


def test_cells_that_look_like_formulas_are_quoted(view: Any, written: dict[str, Path]) -> None:
    view.goto(written["comparison"].as_uri())
    cell = view.locator("section:has(> h2:text-is('The table')) tbody th").first
    cell.evaluate("(cell) => { cell.textContent = '=HYPERLINK(\"x\")'; }")
    with view.expect_download() as saved:
        view.get_by_role("button", name="Save as CSV").first.click()
    assert Path(saved.value.path()).read_text().splitlines()[1].startswith('"\'=HYPERLINK(""x"")"')


NEEDS_AXE = pytest.mark.skipif(not pages.AXE.is_file(), reason="axe-core is not installed: `make test` uses npm for it")


@NEEDS_AXE
@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_violation_on_any_page(
    browser: Any, written: dict[str, Path], report_page: Path, width: int, scheme: str
) -> None:
    for name, path in {**written, "report": report_page}.items():
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        view = context.new_page()
        view.goto(path.as_uri())
        assert (name, pages.violations(view)) == (name, [])
        context.close()


@NEEDS_AXE
@pytest.mark.slow
def test_axe_finds_a_known_violation(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><html lang='en'><title>t</title><main><h1>t</h1><button></button></main></html>")
    view = browser.new_page()
    view.goto(page.as_uri())
    assert [found.split(":")[0] for found in pages.violations(view)] == ["button-name"]
    view.close()
