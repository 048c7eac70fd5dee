"""The report page: complete, self-contained, safe, honest about what is undefined, readable in a browser."""

from __future__ import annotations

import os
import re
import shutil
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.reporting import figures, formatting, samples
from isthmus.statistics.result import Estimate

CHROMIUM = shutil.which("chromium")


def twins(
    n: int = 120,
    dim: int = 16,
    *,
    gap: float = 1.5,
    paired: bool = True,
    names: tuple[str, str] = ("image", "text"),
    seed: int = 0,
    **options: object,
) -> isthmus.Pairs:
    """Pairs that share most of their content, each side shifted along its own axis by `gap`."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, dim))
    x, y = (shared + 0.4 * rng.normal(size=(n, dim)) for _ in range(2))
    if not paired:
        y = rng.normal(size=(n, dim))
    x[:, 0] += gap * 2
    y[:, 1] += gap * 2
    return isthmus.Pairs(**{names[0]: x, names[1]: y}, **options)


class Page(HTMLParser):
    """The parts of a page that the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._style = False
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

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
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("report") / "report.html"
    isthmus.report(twins(), path)
    return path, path.read_text(encoding="utf-8")


def test_the_page_is_whole_and_small(plain):
    path, text = plain
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    assert path.stat().st_size < 2_000_000
    assert os.listdir(path.parent) == ["report.html"]
    parsed = Page(text)
    assert parsed.all("html")[0]["lang"] == "en"
    assert "The gap between image and text" in parsed.text
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "img", "iframe", "object"}


def test_nothing_points_outside(plain):
    _, text = plain
    assert "http" not in text
    assert "@import" not in text
    for tag, attrs in Page(text).tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert attrs.get(name, "#").startswith("#"), (tag, attrs)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))


def test_every_figure_says_its_numbers_in_words(plain):
    drawings = Page(plain[1]).all("svg")
    assert len(drawings) == 8
    for attrs in drawings:
        assert attrs["role"] == "img"
        assert re.search(r"\d", attrs["aria-label"]), attrs
        assert "nan" not in attrs["aria-label"]
    assert len({attrs["aria-label"] for attrs in drawings}) == 8


def test_ids_are_unique_and_references_resolve(plain):
    _, text = plain
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    targets = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert targets
    assert targets <= set(ids)


def test_the_same_pairs_give_the_same_page(tmp_path):
    first, _ = page(twins(), tmp_path)
    second, _ = page(twins(), tmp_path)
    assert first == second


def test_the_users_matplotlib_settings_change_nothing_and_stay(tmp_path):
    import matplotlib

    before, _ = page(twins(), tmp_path)
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.fonttype": "path"}):
        settings = dict(matplotlib.rcParams)
        assert page(twins(), tmp_path)[0] == before
        assert dict(matplotlib.rcParams) == settings


def test_the_verdict_and_the_headline_numbers_are_on_the_page(tmp_path):
    text, explanation = page(twins(), tmp_path)
    shown = Page(text).text
    for sentence in explanation.verdict:
        assert " ".join(sentence.split()) in shown
    for name in ("centroid_angle", "mean_paired_cosine", "image_to_text_R@1", "text_to_image_R@1"):
        assert formatting.value(explanation.result[name]).replace("\u00a0", " ") in shown
    for name in explanation.result:
        assert name in shown
    for row in explanation.comparison.rows:
        assert row.name in shown.replace("\u200b", "")


def test_what_the_user_named_is_escaped(tmp_path):
    names = ('<b>&"', "$x_1$ {{ 1 }}")
    pairs = twins(names=names)
    text, _ = page(pairs, tmp_path, title="<script>alert('&')</script>")
    assert "<b>&" not in text
    assert "<script" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "$x_1$ {{ 1 }}" in Page(text).text


def test_a_file_name_is_escaped(tmp_path):
    pairs = twins()
    paths = [tmp_path / name for name in ("<i>a.npy", "b & c.npy")]
    for path, source in zip(paths, (pairs.x, pairs.y), strict=True):
        np.save(path, source.rows)
    text, _ = page(isthmus.open_pairs(*paths, names=("image", "text")), tmp_path)
    assert "<i>a" not in text
    assert "b &amp; c.npy" in text


def test_names_that_fonts_and_legends_stumble_over(tmp_path):
    text, _ = page(twins(names=("_hidden", "画像")), tmp_path)
    assert "● _hidden" in text
    assert "画像 ▲" in text


def test_unpaired_data_are_called_out(tmp_path, plain):
    assert "callout" not in [attrs.get("class") for attrs in Page(plain[1]).all("aside")]
    text, explanation = page(twins(paired=False), tmp_path)
    assert isthmus.diagnosis.retrieval_at_chance(explanation.result)
    assert [attrs["class"] for attrs in Page(text).all("aside")] == ["callout"]
    assert text.index("Retrieval is at chance") < text.index("How big is the gap?")


def test_an_undefined_angle_is_words_and_never_nan(tmp_path):
    text, explanation = page(twins(gap=0.0), tmp_path)
    assert explanation.result["centroid_angle"].undefined
    shown = Page(text).text
    assert "undefined" in shown
    assert explanation.result["centroid_angle"].undefined in shown
    assert not re.search(r"\bnan\b", text, flags=re.IGNORECASE)
    assert len(Page(text).all("svg")) == 7  # no arrows without an angle


def test_a_table_in_which_everything_refuses(tmp_path):
    pairs = twins()
    table = isthmus.compare(pairs, aligners=[isthmus.align.SharedSpaceProjection(estimator="published")], splits=1)
    text, _ = page(pairs, tmp_path, comparison=table)
    assert "Not fitted:" in text
    assert "No aligner could be fitted" in text


def test_aligners_fitted_on_other_pairs(tmp_path):
    text, explanation = page(twins(), tmp_path, comparison=None, fit=twins(80, seed=1))
    assert "fitted on 80 other pairs and judged on 120 pairs" in Page(text).text
    assert explanation.comparison.splits == 1


def test_several_captions_and_an_item_without_one(tmp_path):
    rng = np.random.default_rng(0)
    owner = np.delete(np.repeat(np.arange(40), 3), [0, 1, 2])  # item 0 has no caption
    x = rng.normal(size=(40, 8)) + 1
    y = x[owner] + 0.3 * rng.normal(size=(117, 8)) - 2
    text, _ = page(isthmus.Pairs(image=x, text=y, index=owner), tmp_path)
    assert "117 of 40 items" in Page(text).text


def test_few_pairs_in_two_dimensions(tmp_path):
    page(twins(10, 2), tmp_path)


def test_large_pairs_are_sampled(tmp_path, monkeypatch):
    pairs = twins(2_600, 8)
    table = isthmus.compare(pairs, splits=1)
    monkeypatch.setattr(pairs, "unit", lambda **_: pytest.fail("read all rows"))
    sample = samples.CosineSample.of(pairs)
    assert sample.items == 2_000
    before, after = samples.before_and_after(pairs, row=table.rows[1])
    assert len(before.x) == 1_300
    assert len(before.visible_points()[0]) == 400
    assert after is not None


@pytest.mark.parametrize("bad", ["no/such/folder/report.html", "."])
def test_a_path_that_cannot_be_written_is_refused_before_the_work(bad, tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.reporting.report_page.compare", lambda *_, **__: pytest.fail("worked first"))
    monkeypatch.setattr("isthmus.reporting.report_page.explain", lambda *_, **__: pytest.fail("worked first"))
    with pytest.raises(isthmus.InputError, match="folder"):
        isthmus.report(twins(), tmp_path / bad)
    assert not os.listdir(tmp_path)


def test_a_failure_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("isthmus.reporting.page.render", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        page(twins(), tmp_path)
    assert not os.listdir(tmp_path)


def test_a_failure_leaves_the_old_page(tmp_path, monkeypatch):
    old = page(twins(), tmp_path)[0]
    monkeypatch.setattr("isthmus.reporting.page.render", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        page(twins(), tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == old


def test_clouds_know_their_axes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 6)) * [0.1, 0.1, 3, 0.1, 0.1, 0.1]
    y = rng.normal(size=(500, 6)) * [0.1, 0.1, 3, 0.1, 0.1, 0.1] + [5, 0, 0, 0, 0, 0]
    found = samples.CloudProjection.of(x, y)
    assert found.distance == pytest.approx(np.linalg.norm(x.mean(0) - y.mean(0)))
    assert found.y[:, 0].mean() - found.x[:, 0].mean() == pytest.approx(found.distance)
    assert found.y[:, 1].mean() - found.x[:, 1].mean() == pytest.approx(0, abs=1e-9)
    assert found.x[:, 1].std() == pytest.approx(3, rel=0.1)


def test_clouds_of_equal_means_and_of_one_dimension():
    x = np.random.default_rng(0).normal(size=(50, 3))
    assert samples.CloudProjection.of(x, x).distance == 0
    assert np.isfinite(samples.CloudProjection.of(x[:, :1], x[:, :1] + 1).x).all()


def test_densities_integrate_to_one():
    sample = samples.CosineSample.of(twins(300))
    width = sample.edges[1] - sample.edges[0]
    for kind, density in sample.densities.items():
        assert density.sum() * width == pytest.approx(1, abs=0.01), kind


def test_numbers_for_people():
    assert formatting.value(Estimate(0.5521, unit="share")) == "55.2\u00a0%"
    assert formatting.value(Estimate(float("nan"), undefined="no")) == "undefined"
    assert formatting.interval(Estimate(1.0)) == ""
    assert formatting.points(Estimate(-0.026)) == "−2.6"
    assert [formatting.effect(Estimate(0, *ends)) for ends in ((1, 2), (-2, -1), (-1, 1))] == [
        "rises", "falls", "no measurable change",
    ]  # fmt: skip


def test_marks_of_one_look_are_one_path():
    from isthmus.reporting import drawing, svg

    at = np.random.default_rng(0).random((2, 2, 200))

    @drawing.with_report_style
    def draw(marks):
        fig = drawing.new_figure(400, 280)
        ax = drawing.add_axes(fig, 0, 0, 0, 0)
        ax.set(xlim=(0, 1), ylim=(0, 1))
        for (across, up), marker in zip(at[:, :, :marks], "o^", strict=True):
            ax.plot(across, up, linestyle="none", marker=marker, color=drawing.X)
        return fig

    few, many = (svg.standalone_svg(svg.inline_svg(draw(marks), "f", label="Marks.")) for marks in (3, 200))
    assert "<marker" not in few
    space = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(many)
    found = {m.get("id"): next(iter(m)).get("href") for m in root.iter(space + "marker")}
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(found) == 2
    assert len(set(ids)) == len(ids)
    assert {href[1:] for href in found.values()} <= set(ids)
    drawn = [p for p in root.iter(space + "path") if "marker" in p.get("style", "")]
    assert [re.search(r"url\(#(.*)\)", p.get("style"))[1] for p in drawn] == list(found)
    for path, (across, up) in zip(drawn, at, strict=True):
        vertices = np.array(path.get("d")[1:].split(), dtype=float).reshape(-1, 2)
        np.testing.assert_allclose(vertices, np.column_stack([400 * across, 280 * (1 - up)]), atol=0.051)
    assert len(many) < 200 * 2 * 40


def test_the_overview_is_one_svg_for_both_schemes(tmp_path):
    pairs = twins()
    explanation = isthmus.explain(pairs, comparison=isthmus.compare(pairs, splits=1))
    figures.save_overview(explanation, pairs, tmp_path / "overview.svg")
    text = (tmp_path / "overview.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.get("width") == "900"
    assert "prefers-color-scheme: dark" in text
    assert text.count("http") == 1  # the namespace
    assert "Three panels" in root.get("aria-label")


def test_the_overview_needs_a_comparison(tmp_path):
    pairs = twins()
    with pytest.raises(isthmus.InputError, match="has no comparison"):
        figures.save_overview(isthmus.explain(pairs), pairs, tmp_path / "overview.svg")


@pytest.mark.skipif("ISTHMUS_FIXTURES" not in os.environ, reason="needs ISTHMUS_FIXTURES")
def test_real_embeddings(tmp_path):
    folder = Path(os.environ["ISTHMUS_FIXTURES"]) / "clip_coco"
    text, _ = page(isthmus.open_pairs(folder / "image.npy", folder / "text.npy"), tmp_path)
    shown = Page(text).text
    assert "72.0°" in shown
    assert "0.310" in shown
    assert "55.2" in shown


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser_offline(browser, plain, width, scheme):
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


def test_the_page_carries_the_evidence_of_the_explanation(plain):
    """Intervals of the budget, ceilings before and after each aligner, the collapse report, and what a cosine means."""
    explanation = isthmus.explain(twins())
    text = Page(plain[1]).text
    for name, part in explanation.budget.items():
        assert f"95 %: {formatting.interval(part)}; chance gives {formatting.null(part)}" in text, name
    assert (
        f"above {explanation.ceiling.centred:.3f}. These matching pairs have {explanation.ceiling.mean_cosine:.3f}"
        in text
    )
    for sentence in explanation.collapse.sentences():
        assert sentence in text
    for theorem in explanation.assumptions.theorems.values():
        assert theorem.message in text
    assert explanation.calibration is not None
    assert "Meaning of a cosine" in text
    for sentence in explanation.calibration.threshold_sentences():
        assert sentence in text
    ceilings = plain[1].split("Upper bound of the mean cosine, before and after each aligner")[1].split("</table>")[0]
    assert "Identity (raw)" in ceilings
    assert "Centering" in ceilings


def test_too_few_items_to_calibrate(tmp_path):
    text, explanation = page(twins(n=19, dim=4), tmp_path)
    assert explanation.calibration is None
    assert "Meaning of a cosine" not in text
