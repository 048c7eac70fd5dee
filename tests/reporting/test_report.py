"""The report page is complete, self-contained, escaped, correct where numbers are undefined, and readable."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.reporting import comparison_page, formatting, samples
from isthmus.reporting.held_out_clouds import HeldOutClouds
from isthmus.reporting.theorem_sentences import theorem_sentences
from shifted_pairs import shifted_pairs

CHROMIUM = shutil.which("chromium")


def without_script(text: str) -> str:
    """Return the page as a reader without JavaScript has it."""
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._style = False
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page(pairs: isthmus.Pairs, folder: Path, **options: object) -> tuple[str, isthmus.diagnosis.Explanation]:
    # type: ignore[name-defined]
    path = folder / "report.html"
    options.setdefault("comparison", isthmus.compare(pairs, splits=1))
    explanation = isthmus.report(pairs, path, **options)
    return path.read_text(encoding="utf-8"), explanation


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, isthmus.diagnosis.Explanation]:
    """Return a page with the default comparison, and what `report` returned. Read the page, and leave it as it is."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    return path, isthmus.report(shifted_pairs(), path)


@pytest.fixture(scope="module")
def plain(explained: tuple[Path, isthmus.diagnosis.Explanation]) -> tuple[Path, str]:
    return explained[0], explained[0].read_text(encoding="utf-8")


def test_report_is_one_complete_small_page(plain):
    path, text = plain
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert path.stat().st_size < 2_000_000
    assert os.listdir(path.parent) == ["report.html"]
    parsed = Page(text)
    assert parsed.all("html")[0]["lang"] == "en"
    assert "The gap between image and text" in parsed.text
    assert not {tag for tag, _ in parsed.tags} & {"link", "img", "iframe", "object"}


def test_report_refers_to_nothing_outside(plain):
    _, text = plain
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")  # the name of SVG, which is no address
    assert "@import" not in text
    for request in ("fetch(", "XMLHttpRequest", "import(", "WebSocket", "sendBeacon"):
        assert request not in text
    for tag, attrs in Page(text).tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert attrs.get(name, "#").startswith("#"), (tag, attrs)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))


def test_report_figures_have_text_alternatives_with_numbers(plain):
    drawings = Page(plain[1]).all("svg")
    assert len(drawings) == 8
    for attrs in drawings:
        assert attrs["role"] == "img"
        assert re.search(r"\d", attrs["aria-label"]), attrs
        assert "nan" not in attrs["aria-label"]
    assert len({attrs["aria-label"] for attrs in drawings}) == 8


def test_report_ids_are_unique_and_references_resolve(plain):
    _, text = plain
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert targets
    assert targets <= set(ids)


def test_report_of_the_same_pairs_is_the_same_with_other_matplotlib_settings(plain, tmp_path):
    import matplotlib

    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.fonttype": "path"}):
        settings = dict(matplotlib.rcParams)
        assert page(shifted_pairs(), tmp_path, comparison=None)[0] == plain[1]
        assert dict(matplotlib.rcParams) == settings


def test_report_contains_verdict_and_headline_numbers(explained, plain):
    explanation, shown = explained[1], Page(plain[1]).text
    for sentence in explanation.verdict:
        if sentence.startswith("The match ranks first"):  # the numbers above say so
            continue
        assert " ".join(sentence.removeprefix("Recommended: ").split(". ", 1)[-1].split()) in shown
    for name in ("centroid_angle", "mean_paired_cosine", "image_to_text_R@1", "text_to_image_R@1"):
        assert formatting.value(explanation.result[name]).replace("\u00a0", " ") in shown
    for name in explanation.result:
        assert name in shown
    for row in explanation.comparison.rows:
        assert row.name in shown.replace("\u200b", "")


def test_report_escapes_names_and_title_and_file_names(tmp_path):
    pairs = shifted_pairs()
    paths = [tmp_path / name for name in ("<i>a.npy", "b & c.npy")]
    for path, source in zip(paths, (pairs.x, pairs.y), strict=True):
        np.save(path, source.rows)
    pairs = isthmus.open_pairs(*paths, names=('<b>&"', "$x_1$ {{ 1 }}"))
    text, _ = page(pairs, tmp_path, title="<script>alert('&')</script>")
    assert "<b>&" not in text
    assert "alert('&')" not in text
    assert [attrs.get("type") for attrs in Page(text).all("script")] == ["application/json"] * 2 + [None]
    assert "&lt;b&gt;&amp;" in text
    assert "$x_1$ {{ 1 }}" in Page(text).text
    assert "<i>a" not in text
    assert "b &amp; c.npy" in text


def test_report_shows_names_with_underscore_and_without_latin_letters(tmp_path):
    text, _ = page(shifted_pairs(names=("_hidden", "画像")), tmp_path)
    assert "● _hidden" in text
    assert "画像 ▲" in text


def test_report_of_unpaired_data_starts_with_a_warning(tmp_path, plain):
    assert "callout" not in [attrs.get("class") for attrs in Page(plain[1]).all("aside")]
    text, explanation = page(shifted_pairs(paired=False), tmp_path)
    assert isthmus.diagnosis.retrieval_at_chance(explanation.result)
    assert [attrs["class"] for attrs in Page(text).all("aside")] == ["callout"]
    assert text.index("Retrieval is at chance") < text.index("How big is the gap?")


def test_report_of_an_undefined_angle_gives_the_reason_instead_of_nan(tmp_path):
    text, explanation = page(shifted_pairs(gap=0.0), tmp_path)
    assert explanation.result["centroid_angle"].undefined
    shown = Page(text).text
    assert "undefined" in shown
    assert explanation.result["centroid_angle"].undefined in shown
    assert not re.search(r"\bnan\b", without_script(text), flags=re.IGNORECASE)
    assert len(Page(text).all("svg")) == 7  # no arrows without an angle


def test_report_without_fitted_aligner_gives_the_reasons(tmp_path):
    pairs = shifted_pairs()
    table = isthmus.compare(pairs, aligners=[isthmus.align.SharedSpaceProjection(estimator="published")], splits=1)
    text, _ = page(pairs, tmp_path, comparison=table)
    assert "Not fitted:" in text
    assert "No aligner could be fitted" in text


def test_report_with_separate_fit_pairs_gives_their_number(tmp_path):
    text, explanation = page(shifted_pairs(), tmp_path, comparison=None, fit=shifted_pairs(80, seed=1))
    assert "fitted on 80 other pairs and judged on 120 pairs" in Page(text).text
    assert explanation.comparison.splits == 1


def test_report_of_several_captions_counts_pairs_and_items(tmp_path):
    rng = np.random.default_rng(0)
    owner = np.delete(np.repeat(np.arange(40), 3), [0, 1, 2])  # item 0 has no caption
    x = rng.normal(size=(40, 8)) + 1
    y = x[owner] + 0.3 * rng.normal(size=(117, 8)) - 2
    text, _ = page(isthmus.Pairs(image=x, text=y, index=owner), tmp_path)
    assert "117 of 40 items" in Page(text).text


def test_report_of_ten_pairs_in_two_dimensions_is_written(tmp_path):
    page(shifted_pairs(10, 2), tmp_path)


def test_samples_of_large_pairs_read_no_other_rows(tmp_path, monkeypatch):
    pairs = shifted_pairs(2_600, 8)
    table = isthmus.compare(pairs, splits=1)
    monkeypatch.setattr(pairs, "unit", lambda **_: pytest.fail("read all rows"))
    sample = samples.CosineSample.of(pairs)
    assert sample.items == 2_000
    clouds = HeldOutClouds(pairs)
    before, after = clouds.raw, clouds.mapped(table["Centering"])
    assert len(before.x) == 1_300
    assert len(before.visible_points()[0]) == 400
    assert after is not None


def test_numbers_of_a_sample_are_marked_in_the_verdict_and_on_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.evaluation.comparison.MAX_ITEMS", 80)
    pairs = shifted_pairs(200, 6)
    text, explanation = page(pairs, tmp_path, sample=100)
    plain_text, mark = Page(text).text, "a random sample of 100 of 200 items, standard error"
    assert any(f"among {mark}" in sentence for sentence in explanation.verdict)
    assert f"of {mark}" in plain_text
    assert "judged on the other (40 pairs) of a random sample of 80 of 200 items" in plain_text
    # Numbers of all items have no mark, and those of rows have one.
    entries = dict(re.findall(r"<dt><code>(\w+)</code>.*?</dt>\s*<dd[^>]*>(.*?)</dd>", text))
    assert "random sample" in entries["alignment"]
    assert "random sample" not in entries["centroid_distance"]


def test_report_after_its_comparison_fits_no_aligner_again(tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.reporting.held_out_clouds.moments_of", lambda *_, **__: pytest.fail("fits again"))
    isthmus.report(shifted_pairs(60, 6), tmp_path / "report.html")
    assert "Gap angle" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("bad", ["no/such/folder/report.html", "."])
def test_report_to_a_path_that_cannot_be_written_fails_first(bad, tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.reporting.report_page.compare", lambda *_, **__: pytest.fail("worked first"))
    monkeypatch.setattr("isthmus.reporting.report_page.explain", lambda *_, **__: pytest.fail("worked first"))
    with pytest.raises(isthmus.InputError, match="folder"):
        isthmus.report(shifted_pairs(), tmp_path / bad)
    with pytest.raises(isthmus.InputError, match="sample=99: expected 100 items or more"):
        isthmus.report(shifted_pairs(), tmp_path / "report.html", sample=99)
    assert not os.listdir(tmp_path)


def test_report_failure_leaves_no_file_and_keeps_the_old_page(tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.reporting.page.render", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        page(shifted_pairs(), tmp_path)
    assert not os.listdir(tmp_path)
    (tmp_path / "report.html").write_text("the old page", encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        page(shifted_pairs(), tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "the old page"


@pytest.mark.slow
@pytest.mark.skipif("ISTHMUS_FIXTURES" not in os.environ, reason="needs ISTHMUS_FIXTURES")
def test_report_of_clip_contains_its_golden_numbers(tmp_path):
    folder = Path(os.environ["ISTHMUS_FIXTURES"]) / "clip_coco"
    text, _ = page(isthmus.open_pairs(folder / "image.npy", folder / "text.npy"), tmp_path)
    shown = Page(text).text
    for number in ("72.0°", "0.310", "55.2"):
        assert number in shown


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_report_in_a_browser_offline_is_readable(browser, plain, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True)
    try:
        view = context.new_page()
        troubles: list[str] = []
        requests: list[str] = []
        view.on("console", lambda message: troubles.append(message.text))
        view.on("pageerror", lambda error: troubles.append(str(error)))
        view.on("request", lambda request: requests.append(request.url))
        view.goto(plain[0].as_uri())
        assert requests == [plain[0].as_uri()]
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        boxes = view.locator("svg").evaluate_all(
            "all => all.map(s => [s.getBoundingClientRect(), s.getBBox()].flatMap(r => [r.width, r.height]))"
        )
        assert len(boxes) == 8
        assert min(side for box in boxes for side in box) > 50
        # Letters in figures stay readable: their size on the screen, not in the drawing.
        small = view.evaluate(
            "Math.min(...[...document.querySelectorAll('svg text')].map(t =>"
            " parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a || 99))"
        )
        assert small >= 9
        ink, paper = view.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        light = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ink, paper)]
        assert (light[0] < light[1]) == (scheme == "light")
        view.emulate_media(media="print")  # dark on white whatever the scheme
        assert view.evaluate("getComputedStyle(document.body).color") == "rgb(29, 34, 40)"
        assert not troubles
    finally:
        context.close()


def test_report_contains_intervals_bounds_collapse_and_thresholds(explained, plain):
    """Compare the page with the explanation of the same pairs."""
    explanation = explained[1]
    text = Page(plain[1]).text
    for name, part in explanation.budget.items():
        plugin = f"plug-in {formatting.plugin(part)}, " if formatting.plugin(part) else ""
        assert f"95 %: {formatting.interval(part)}; {plugin}chance gives {formatting.null(part)}" in text, name
    assert (
        f"above {explanation.ceiling.centred:.3f}. These matching pairs have {explanation.ceiling.mean_cosine:.3f}"
        in text
    )
    for sentence in explanation.collapse.sentences():
        assert sentence in text
    theorems = theorem_sentences(explanation.assumptions)
    for sentence in itertools.chain(*theorems.values()):
        assert sentence in text
    assert all(". Here " in sentence for sentence in theorems["Do not describe these embeddings"])
    assert explanation.calibration is not None
    assert "Meaning of a cosine" in text
    for sentence in explanation.calibration.threshold_sentences():
        assert sentence in text
    ceilings = plain[1].split("Upper bound of the mean cosine, before and after each aligner")[1].split("</table>")[0]
    assert "Identity (raw)" in ceilings
    assert "Centering" in ceilings


def test_report_of_too_few_items_has_no_calibration(tmp_path):
    text, explanation = page(shifted_pairs(n=19, dim=4), tmp_path)
    assert explanation.calibration is None
    assert "Meaning of a cosine" not in text


def test_report_leads_with_the_score_correction_and_its_use_in_an_index(tmp_path):
    text, explanation = page(isthmus.demo.load("plain", split="test"), tmp_path)
    start = Page(text).text[:4000]
    assert "Recommended: ScoreCalibration" in start
    change = explanation.comparison["ScoreCalibration"].changes["exchange_R@1"]
    assert f"(recommended) on unseen pairs (95 %: {formatting.points_interval(change)})" in start
    commands = re.findall(r'<pre class="code" tabindex="0"><code>(.*?)</code>', text, flags=re.DOTALL)
    assert "isthmus fit ScoreCalibration image.npy text.npy -o correction.safetensors" in commands[0]
    assert "queries = correction.query(y, modality=" in commands[1]


def test_report_of_a_comparison_without_mixed_search_is_refused(tmp_path):
    pairs = shifted_pairs()
    table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1)
    with pytest.raises(isthmus.InputError, match="no exchange_R@1, which the page shows"):
        isthmus.report(pairs, tmp_path / "page.html", comparison=table)


@pytest.mark.parametrize(
    ("better", "low", "high", "is_worse"),
    [
        ("higher", -0.2, -0.1, True), ("higher", -0.1, 0.1, False), ("lower", 0.1, 0.2, True),
        ("lower", -0.2, -0.1, False), ("neither", 0.1, 0.2, False),
    ],
)  # fmt: skip
def test_change_of_a_score_is_worse_against_its_better_direction(better, low, high, is_worse):
    change = isthmus.Estimate((low + high) / 2, low, high)
    assert comparison_page._is_worse(change, better) is is_worse


@pytest.mark.parametrize("extra", [["a"], "a", 3, None])
def test_sections_of_another_type_are_refused(extra: Any, tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 60, 5))
    with pytest.raises(isthmus.InputError, match=r"extra=.*, expected a list of sections: "):
        isthmus.report(x, y, tmp_path / "page.html", extra=extra)
