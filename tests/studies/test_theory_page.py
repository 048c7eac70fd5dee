"""The page works offline in a browser, on a wide screen and on a phone, in light and in dark."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from isthmus.studies.theorems import page

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    names = ["batch_size", "saturated_loss", "circles"]
    return page.run_all(tmp_path_factory.mktemp("page"), names=names, quick=True)


def test_page_is_small_and_refers_to_no_other_file(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < 4_000_000
    outside = re.findall(r"""(?:src|href)=["'](?!#|data:)([^"']*)""", text)
    assert outside == []
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttpRequest", text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_every_figure_has_a_text_alternative(path):
    class Images(HTMLParser):
        labels: list[str | None]

        def handle_starttag(self, tag, attributes):
            if tag == "svg":
                self.labels.append(dict(attributes).get("aria-label"))

    reader = Images()
    reader.labels = []
    reader.feed(path.read_text(encoding="utf-8"))
    assert len(reader.labels) == 3
    assert all(label and len(label) > 40 for label in reader.labels)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    arguments = ["--no-sandbox", "--disable-gpu"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no browser here")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_in_a_browser_plays_and_fits_the_screen(browser, path, width, scheme):
    # Without animations, a scroll ends before the click that follows it.
    view = {"width": width, "height": 900}
    context = browser.new_context(viewport=view, color_scheme=scheme, offline=True, reduced_motion="reduce")
    tab = context.new_page()
    messages, requests = [], []
    tab.on("console", lambda message: messages.append(message.text))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.goto(path.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    slider, gap = tab.locator("#frame"), tab.locator("#n-gap")
    before, picture = gap.inner_text(), tab.evaluate("document.getElementById('sphere').toDataURL()")
    slider.focus()
    tab.keyboard.press("End")
    assert gap.inner_text() == "60.0°" != before
    assert tab.evaluate("document.getElementById('sphere').toDataURL()") != picture
    assert "gap 60.0°" in slider.get_attribute("aria-valuetext")
    tab.get_by_label("No constraint").check(force=True)
    assert slider.input_value() == "0"
    tab.locator("#play").click()
    tab.wait_for_function("Number(document.getElementById('frame').value) > 0.5")
    tab.locator("#play").click()
    slider.focus()
    tab.keyboard.press("End")
    assert gap.inner_text() == "undefined"
    # Wide tables and figures scroll inside their own boxes.
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert messages == []
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    context.close()
