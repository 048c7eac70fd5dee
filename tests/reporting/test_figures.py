"""Samples, number formats and SVG conversion of the figures."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

import isthmus
from isthmus.reporting import drawing, figures, formatting, samples, svg
from isthmus.statistics.result import Estimate
from shifted_pairs import shifted_pairs


def test_projection_axes_are_mean_difference_and_widest_spread():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 6)) * [0.1, 0.1, 3, 0.1, 0.1, 0.1]
    y = rng.normal(size=(500, 6)) * [0.1, 0.1, 3, 0.1, 0.1, 0.1] + [5, 0, 0, 0, 0, 0]
    projection = samples.CloudProjection.of(x, y)
    assert projection.distance == pytest.approx(np.linalg.norm(x.mean(0) - y.mean(0)))
    assert projection.y[:, 0].mean() - projection.x[:, 0].mean() == pytest.approx(projection.distance)
    assert projection.y[:, 1].mean() - projection.x[:, 1].mean() == pytest.approx(0, abs=1e-9)
    assert projection.x[:, 1].std() == pytest.approx(3, rel=0.1)


def test_projection_of_equal_means_and_of_one_dimension_is_finite():
    x = np.random.default_rng(0).normal(size=(50, 3))
    assert samples.CloudProjection.of(x, x).distance == 0
    assert np.isfinite(samples.CloudProjection.of(x[:, :1], x[:, :1] + 1).x).all()


def test_cosine_densities_integrate_to_one():
    sample = samples.CosineSample.of(shifted_pairs(300))
    width = sample.edges[1] - sample.edges[0]
    for kind, density in sample.densities.items():
        assert density.sum() * width == pytest.approx(1, abs=0.01), kind


@pytest.mark.filterwarnings("ignore:.*distinct")
def test_cosines_of_a_flat_export_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    image = np.repeat(rng.normal(size=(100, 16)), 5, axis=0)
    noise = np.tile([0.2, 1.0, 1.0, 2.0, 2.0], 100)[:, None]  # the first caption is the best
    text = image + noise * rng.normal(size=image.shape) + 1
    pairs = isthmus.open_pairs(image, text, names=("image", "text"))
    result = isthmus.measure(pairs, metrics="mean_paired_cosine, mean_unpaired_cosine")
    sample = samples.CosineSample.of(pairs)
    assert (sample.items, sample.pairs) == (100, 500)
    assert sample.means["paired"] == pytest.approx(result["mean_paired_cosine"].value, abs=1e-6)
    assert sample.means["unpaired"] == pytest.approx(result["mean_unpaired_cosine"].value, abs=0.02)


def test_principal_angles_of_one_dimension_have_whole_numbers_and_a_visible_range():
    x = np.random.default_rng(0).normal(size=(200, 8))
    result = isthmus.measure(np.tile(x[:1], (200, 1)) + 1e-5 * x, x)
    assert len(result.curves["principal_angles"]) == 1
    fig = figures.principal_angles_figure(result, np.full((50, 1), 40.0) + np.linspace(-5, 5, 50)[:, None])
    (ax,) = fig.axes
    assert all(float(tick).is_integer() for tick in ax.get_xticks())
    assert [len(c.get_paths()) for c in ax.collections] == [1, 1]  # the band, and the line of the range


def test_formatting_of_numbers():
    assert formatting.value(Estimate(0.5521, unit="share")) == "55.2\u00a0%"
    assert formatting.value(Estimate(float("nan"), undefined="no")) == "undefined"
    assert formatting.share(float("nan")) == "undefined"
    assert formatting.interval(Estimate(1.0)) == ""
    assert formatting.points(Estimate(-0.026)) == "−2.6"
    assert [formatting.effect(Estimate(0, *ends)) for ends in ((1, 2), (-2, -1), (-1, 1))] == [
        "rises", "falls", "does not change measurably",
    ]  # fmt: skip


def test_svg_merges_equal_marks_to_one_path():
    at = np.random.default_rng(0).random((2, 2, 200))

    @drawing.with_report_style
    def draw(marks):
        fig = drawing.new_figure(400, 280)
        ax = drawing.add_axes(fig, 0, 0, 0, 0)
        ax.set(xlim=(0, 1), ylim=(0, 1))
        for (across, up), marker in zip(at[:, :, :marks], "o^", strict=True):
            ax.plot(across, up, linestyle="none", marker=marker, color=drawing.X)
        return fig

    few, many = (svg.standalone_svg(svg.inline_svg(draw(marks), "f", label="Marks.")) for marks in (7, 200))
    eight = svg.inline_svg(draw(8), "f", label="Marks.")
    assert "<marker" not in few
    assert eight.count("<marker") == 2
    space = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(many)
    markers = {m.get("id"): next(iter(m)).get("href") for m in root.iter(space + "marker")}
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(markers) == 2
    assert len(set(ids)) == len(ids)
    assert {href[1:] for href in markers.values()} <= set(ids)
    drawn = [p for p in root.iter(space + "path") if "marker" in p.get("style", "")]
    assert [re.search(r"url\(#(.*)\)", p.get("style"))[1] for p in drawn] == list(markers)
    for path, (across, up) in zip(drawn, at, strict=True):
        vertices = np.array(path.get("d")[1:].split(), dtype=float).reshape(-1, 2)
        np.testing.assert_allclose(vertices, np.column_stack([400 * across, 280 * (1 - up)]), atol=0.051)
    assert len(many) < 200 * 2 * 40


def test_svg_keeps_text_with_special_characters_and_prefixes_ids():
    @drawing.with_report_style
    def draw():
        fig = drawing.new_figure(200, 100)
        ax = drawing.add_axes(fig, 20, 20, 5, 5)
        ax.text(0.5, 0.5, "a < b & $x$ 'q'", clip_on=True)
        ax.plot([0, 1], [0, 1], color=drawing.ACCENT)
        return fig

    root = ElementTree.fromstring(svg.inline_svg(draw(), "name", label='Label with "quotes" & <tags>'))
    assert root.get("aria-label") == 'Label with "quotes" & <tags>'
    assert "a < b & $x$ 'q'" in [text.text for text in root.iter("text")]
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert ids
    assert all(identifier.startswith("name-") for identifier in ids)
    styles = " ".join(element.get("style", "") for element in root.iter())
    assert "var(--accent)" in styles
    assert drawing.ACCENT not in styles
    assert not [element for element in root.iter() if element.tag in ("metadata", "title")]


def test_figure_to_svg_replaces_the_given_colours_only():
    from matplotlib.figure import Figure

    fig = Figure()
    fig.add_subplot().plot([0, 1], [0, 1], color="#112233")
    text = svg.figure_to_svg(fig, "other", label="A line.", colours={"#112233": "currentColor"})
    assert "currentColor" in text
    assert "#112233" not in text


def test_labels_of_points_close_together_do_not_overlap() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    from isthmus.reporting.labels import place_labels

    fig = Figure(figsize=(5.6, 4.2), dpi=72)
    ax = fig.add_subplot()
    positions = np.array([[48.0, 0.3], [48.2, 0.1], [48.4, 0.2], [48.1, 0.0], [47.0, -2.0], [45.0, -4.0], [30.0, 0.0]])
    ax.plot(*positions.T, "o")
    ax.set(xlim=(0, 55), ylim=(-10, 6))
    place_labels(ax, positions, [f"Correction{i}" for i in range(len(positions))], [False] * len(positions))
    FigureCanvasAgg(fig).draw()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without the lines to the points
    for i in range(len(boxes)):
        for j in range(i):
            common = Bbox.intersection(boxes[i], boxes[j])
            shared = 0.0 if common is None else common.width * common.height
            assert shared < 0.1 * boxes[i].width * boxes[i].height, (i, j)  # sizes are estimated
