"""The page is alive with JavaScript, whole without it, safe with texts of strangers, and short at first."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.reporting.page_data import PairExamples, item_texts, plain_text
from isthmus.reporting.recommended_commands import commands, files_of
from report_pages import HOSTILE, heard, smallest_text

CHROMIUM = shutil.which("chromium")
ARGUMENTS = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    pairs = isthmus.demo.load("plain", split="test")
    captions = [HOSTILE if i == 0 else f"caption {i}" for i in range(pairs.n_items)]
    isthmus.report(pairs, path, comparison=isthmus.compare(pairs, splits=1), captions=captions)
    return path


def test_texts_of_strangers_are_cleaned_and_escaped(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "alert(1)</script>" not in text
    assert "\u202e" not in text
    assert "\x07" not in text
    data = json.loads(re.findall(r'id="clouds-data">(.*?)</script>', text, flags=re.DOTALL)[0])
    assert len(data["captions"]) == len(data["rows"]) == len(data["views"][0]["x"])
    first = data["captions"][data["rows"].index(0)] if 0 in data["rows"] else plain_text(HOSTILE)
    assert first == "</script><script>alert(1)</script> \"quotes\" 'single' gnp.exe <b>"
    assert len(text.encode()) < 2_000_000


def test_long_texts_are_cut() -> None:
    assert plain_text("a" * 500) == "a" * 199 + "…"


def test_texts_of_another_number_are_refused() -> None:
    with pytest.raises(isthmus.InputError, match="captions: got 2 texts for 3 items, expected one for each item"):
        item_texts({"captions": ["a", "b"]}, 3)


def test_views_hold_every_row_map_and_their_distances(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.findall(r'id="clouds-data">(.*?)</script>', text, flags=re.DOTALL)[0])
    names = [view["name"] for view in data["views"]]
    assert names[0] == "raw"
    assert {"Centering", "MeanRotation", "HyperplaneRotation"} <= set(names)
    score_correction = data["views"][names.index("ScoreCalibration")]
    assert score_correction["same"] == 0  # rows stay as they are
    by_name = {view["name"]: view["distance"] for view in data["views"] if "distance" in view}
    assert by_name["Centering"] < 0.3 * by_name["raw"]


def test_examples_are_the_extremes() -> None:
    rows = np.eye(6)
    matching = rows.copy()
    matching[1] = (rows[1] + rows[0]) / 2  # a worse pair, whose x row still finds it first
    matching[2] = rows[3]  # a failure: the x row 2 finds it at the end
    found = PairExamples.of(isthmus.Pairs(image=rows, text=matching), {}, normalize=True)
    assert found.lists["farthest"][0][:2] == ["2", "0.000"]
    assert found.lists["nearest"][0][1] == "1.000"
    assert found.lists["failures"][0][0] == "2"


def test_commands_are_those_of_the_recommended_aligner() -> None:
    pairs = isthmus.demo.load("plain", split="test")
    table = isthmus.compare(pairs, aligners=[isthmus.align.HyperplaneRotation(energy=0.9)], splits=1)
    lines = commands(table.rows[1], pairs.names, files_of(pairs))
    assert lines["shell"].splitlines()[0] == (
        "isthmus fit HyperplaneRotation --set energy=0.9 image.npy text.npy -o correction.safetensors"
    )
    assert "isthmus.align.HyperplaneRotation(energy=0.9).fit(pairs)" in lines["python"]
    compile(lines["python"], "page", "exec")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with playwright_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        yield running
        running.close()


@pytest.fixture(scope="module")
def windows(browser: Any) -> dict[bool, Any]:
    """Return a window with scripts and one without. All tests have the same ones, because their start takes long."""
    options = {"offline": True, "accept_downloads": True}
    return {on: browser.new_context(java_script_enabled=on, **options).new_page() for on in (True, False)}


@pytest.fixture
def opened(windows: dict[bool, Any], page: Path) -> Iterator[Callable[..., tuple[Any, list[str], list[str]]]]:
    """Yield a function that opens the page. It returns the window, what its console says, and what it asks for."""
    with contextlib.ExitStack() as stack:

        def open_page(
            *, width: int = 1280, scheme: str = "light", scripted: bool = True
        ) -> tuple[Any, list[str], list[str]]:
            view = windows[scripted]
            view.set_viewport_size({"width": width, "height": 900})
            view.emulate_media(color_scheme=scheme)
            said, asked = stack.enter_context(heard(view))
            view.goto(page.as_uri())
            return view, said, [url for url in asked if url != page.as_uri()]

        yield open_page


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("scripted", [True, False])
def test_page_is_quiet_readable_and_not_too_wide(opened: Any, width: int, scheme: str, scripted: bool) -> None:
    view, said, asked = opened(width=width, scheme=scheme, scripted=scripted)
    assert (said, asked) == ([], [])
    if scripted:
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        assert smallest_text(view) >= 12


def test_page_is_short_before_anything_is_unfolded(opened: Any) -> None:
    view, _, _ = opened()
    assert view.evaluate("document.documentElement.scrollHeight") <= 4000
    words = view.evaluate("document.body.innerText.split(/\\s+/).length")
    assert words <= 1220


def test_controls_do_what_they_say(opened: Any) -> None:
    view, said, _ = opened()
    clouds = view.locator("#cloud-views figure").first.locator("svg")
    box = clouds.bounding_box()
    point = view.locator("#cloud-views figure svg path.row").nth(5)
    point.scroll_into_view_if_needed()
    spot = point.bounding_box()
    view.mouse.move(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
    assert re.match(r"row \d+ · .*caption \d+", view.locator(".tip").inner_text())
    assert box["width"] > 200
    clouds.focus()
    view.keyboard.press("ArrowRight")
    assert "row" in view.locator(".tip").inner_text()
    after = view.locator("#cloud-views figure").nth(1)
    before = after.locator(".distance").inner_text()
    choice = after.locator("select")
    choice.select_option(label="PartialWhitening")
    assert "PartialWhitening" in after.locator("svg").get_attribute("aria-label")
    assert after.locator(".distance").inner_text() != "" != before
    slider = view.locator("#cosine-slider")
    meaning = view.locator("#cosine-meaning").inner_text()
    slider.fill("190")
    assert view.locator("#cosine-meaning").inner_text() != meaning
    view.locator("button.component").nth(1).click()
    assert "the modality gap proper" in view.locator("#component-meaning").inner_text()
    view.locator(".scheme").click()
    assert view.evaluate("document.documentElement.dataset.scheme") == "light"
    assert said == []


def test_slider_starts_at_a_threshold_with_matches_and_says_its_value(opened: Any) -> None:
    view, _, _ = opened()
    meaning = view.locator("#cosine-meaning").inner_text()
    recall, precision = (float(share) for share in re.findall(r"(?:Recall|Precision): ([\d.]+) %", meaning))
    assert min(recall, precision) > 10
    slider = view.locator("#cosine-slider")
    assert slider.get_attribute("aria-valuetext") == view.locator("#cosine-value").inner_text()
    slider.fill(slider.get_attribute("max"))
    assert "too few pairs to judge the precision" in view.locator("#cosine-meaning").inner_text()


def test_controls_above_the_clouds_do_not_overlap_on_a_phone(opened: Any) -> None:
    view, _, _ = opened(width=390)
    figure = view.locator("#cloud-views figure").nth(1)
    boxes = [control.bounding_box() for control in figure.locator("select, button").all()]
    assert len(boxes) == 3
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            wide = min(a["x"] + a["width"], b["x"] + b["width"]) - max(a["x"], b["x"])
            high = min(a["y"] + a["height"], b["y"] + b["height"]) - max(a["y"], b["y"])
            assert min(wide, high) <= 0


@pytest.mark.parametrize("width", [1280, 390])
def test_buttons_of_figures_do_not_cover_their_headings(opened: Any, width: int) -> None:
    view, _, _ = opened(width=width)
    view.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    headings, covered = view.evaluate(
        """() => {
        const figures = [...document.querySelectorAll('figure:has(> .tools):has(> h3)')].map((figure) => {
          const words = document.createRange();
          words.selectNodeContents(figure.querySelector('h3'));
          const tools = figure.querySelector('.tools').getBoundingClientRect();
          const lines = [...words.getClientRects()];
          return lines.some((box) => box.right > tools.left + 1 && box.left < tools.right - 1
            && box.bottom > tools.top + 1 && box.top < tools.bottom - 1) ? figure.querySelector('h3').textContent : '';
        });
        return [figures.length, figures.filter(Boolean)];
      }"""
    )
    assert headings >= 4
    assert covered == []


def test_tables_are_sorted_filtered_and_saved(opened: Any, page: Path) -> None:
    view, said, _ = opened()
    table = view.locator("section[aria-labelledby=s-table] table").first
    table.locator("button.sort", has_text="Mixed NDCG@10").click()
    values = [float(text) for text in table.locator("tbody td:nth-child(7) span").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    table.locator("button.sort", has_text="Mixed NDCG@10").click()
    values = [float(text) for text in table.locator("tbody td:nth-child(7) span").all_inner_texts()]
    assert values == sorted(values)
    section = view.locator("section[aria-labelledby=s-table]")
    section.locator("input[type=search]").fill("rotation")
    assert table.locator("tbody tr:visible").count() == 2
    with view.expect_download() as saved:
        section.get_by_role("button", name="Save as CSV").click()
    lines = Path(saved.value.path()).read_text().splitlines()
    assert lines[0].startswith('"Aligner","Gap","R@1"')
    assert len(lines) > 5
    with view.expect_download() as saved:
        view.locator("figure").first.get_by_role("button", name="Save SVG").click()
    assert Path(saved.value.path()).read_text().startswith("<svg")
    with view.expect_download() as saved:
        view.locator("#cloud-views figure").last.get_by_role("button", name="Save SVG").click()
    chosen = view.locator("#cloud-views select option:checked").inner_text()
    assert saved.value.suggested_filename == f"after-{chosen.lower()}.svg"
    with view.expect_download() as saved:
        view.locator("figure").first.get_by_role("button", name="Save PNG").click()
    assert Path(saved.value.path()).read_bytes()[:4] == b"\x89PNG"
    view.goto(page.as_uri() + "#s-meaning")
    search = view.get_by_role("searchbox", name="Search the measures")
    search.fill("hubness")
    assert 1 <= view.locator(".measure:visible").count() <= 10
    assert said == []


def test_buttons_of_a_cloud_stand_between_its_heading_and_the_picture_on_a_phone(opened: Any) -> None:
    view, _, _ = opened(width=390)
    figure = "[...document.querySelectorAll('#cloud-views figure')].at(-1)"
    tops = [
        view.evaluate(f"{figure}.querySelector({part!r}).getBoundingClientRect().top")
        for part in ("h3", ".tools", "svg", "figcaption")
    ]
    assert tops == sorted(tops)
