"""Plot functions draw the figures of the report on new axes and on axes of the caller."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import isthmus
from isthmus import InputError, plot
from isthmus.align import Reliability
from isthmus.diagnosis import Explanation
from isthmus.reporting import drawing


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    pairs = isthmus.demo.load("collapsed", split="test")
    return isthmus.explain(pairs, comparison=isthmus.compare(pairs, aligners=[isthmus.align.Centering()], splits=1))


@pytest.mark.parametrize("name", plot.FIGURES[Explanation])
def test_plot_without_axes_returns_new_axes(name: str, explanation: Explanation) -> None:
    ax = getattr(plot, name)(explanation)
    assert isinstance(ax.figure, Figure)
    assert ax.has_data()


@pytest.mark.parametrize("name", plot.FIGURES[Explanation])
def test_plot_on_axes_draws_on_them_with_the_settings_of_the_caller(name: str, explanation: Explanation) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 7.0}):
        ax = Figure().add_subplot()
        assert getattr(plot, name)(explanation, ax=ax) is ax
    assert ax.has_data()
    if name not in ("angle",):
        assert ax.xaxis.label.get_size() == 7.0


def test_plot_of_parts_of_an_explanation_equals_that_of_the_explanation(explanation: Explanation) -> None:
    def lines(ax: Any) -> list[np.ndarray]:
        return [line.get_xydata() for line in ax.lines]

    for name, source in (
        ("angle", explanation.result),
        ("budget", explanation.budget),
        ("spectra", explanation.result),
        ("principal_angles", explanation.result),
        ("clouds", explanation.pairs),
        ("aligners", explanation.comparison),
    ):
        function: Callable[..., Any] = getattr(plot, name)
        expected = lines(function(explanation))
        assert expected, name
        for a, b in zip(lines(function(source)), expected, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)


def test_budget_bars_are_the_components(explanation: Explanation) -> None:
    widths = [bar.get_width() for bar in plot.budget(explanation).patches]
    budget = explanation.budget
    np.testing.assert_allclose(widths, [*(component.value for component in budget.values()), budget.total.value])


def test_reliability_draws_groups_of_hits_in_their_intervals() -> None:
    reliability = Reliability(np.array([0.2, 0.8]), np.array([0.3, 0.7]), np.array([50, 50]))
    axes = plot.reliability(reliability)
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), [[0.2, 0.3], [0.8, 0.7]])
    low, high = axes.collections[0].get_segments()[0][:, 1]
    assert low < 0.3 < high


def test_cosines_and_clouds_of_a_result_equal_those_of_its_pairs(tmp_path: Path) -> None:
    image, text = np.random.default_rng(0).normal(size=(2, 200, 8)) + 1
    pairs = isthmus.Pairs(image=image, text=text)
    result = isthmus.measure(pairs, metrics="centroid_angle")
    expected, drawn = ([line.get_xydata() for line in plot.cosines(data).lines] for data in (pairs, result))
    np.testing.assert_array_equal(drawn, expected)
    expected, drawn = (
        [marks.get_offsets() for marks in plot.clouds(data).collections if len(marks.get_offsets()) > 1]
        for data in (pairs, result)
    )
    np.testing.assert_array_equal(drawn, expected)
    result.save(tmp_path / "result.json")
    with pytest.raises(InputError, match="got Result without rows"):
        plot.cosines(isthmus.load(tmp_path / "result.json"))


def test_cosines_of_an_explanation_of_raw_rows_are_not_normalized() -> None:
    pairs = isthmus.Pairs(image=np.eye(30), text=np.eye(30)[:, ::-1])
    explanation = isthmus.explain(pairs, normalize=False)
    assert plot.cosines(explanation).get_xlabel() == "cosine"


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("angle", "warm", "the angle between the means is undefined: the mean of .* is not distinguishable from zero"),
        ("spectra", 1, "spectra got int, expected a Result"),
        ("principal_angles", 1, "principal_angles got int, expected a Result"),
        ("budget", 1, "budget got int, expected a CosineDecomposition"),
        ("cosines", 1, "cosines got int without rows, expected Pairs"),
        ("clouds", 1, "clouds got int without rows, expected Pairs"),
        ("aligners", 1, "aligners got int without a comparison"),
        ("reliability", 1, "reliability got int, expected the result of Relevance.reliability"),
    ],
)
def test_plot_of_something_else_is_an_error(name: str, wrong: Any, message: str) -> None:
    data = isthmus.measure(isthmus.demo.load("warm", split="test")) if wrong == "warm" else wrong
    with pytest.raises(InputError, match=message):
        getattr(plot, name)(data)


def test_aligners_of_an_explanation_without_comparison_is_an_error(explanation: Explanation) -> None:
    with pytest.raises(InputError, match="aligners got Explanation without a comparison"):
        plot.aligners(isthmus.explain(explanation.pairs))


def test_clouds_after_an_aligner_have_closer_means() -> None:
    pairs = isthmus.demo.load("collapsed", split="test")
    centering = isthmus.align.Centering().fit(pairs)

    def distance(**options: Any) -> float:
        return max(
            np.ptp(line.get_xdata()) for line in plot.clouds(pairs, **options).lines if len(line.get_xdata()) == 2
        )

    assert distance(aligner=centering) < 0.5 * distance()
    assert plot.predicted_cosines().has_data()


def test_study_draws_each_panel_of_an_experiment_and_of_a_training_study() -> None:
    import report_pages
    from isthmus.studies.theorems import run

    studies: list[Any] = [run("certificate", quick=True)]
    if "training" in report_pages.PAGES:
        from isthmus.studies.training import StudyResult

        studies.append(StudyResult({"collapse": report_pages.training_runs("collapse")}))
        assert {"angles", "R@1 by alignment", "gap over epochs, collapse"} <= set(studies[1].panels())
    for study in studies:
        for panel in study.panels():
            ax = Figure().add_subplot()
            assert plot.study(study, panel=panel, ax=ax) is ax
            assert ax.has_data(), panel
    assert plot.study(studies[0]).get_xlabel()
    with pytest.raises(InputError, match="unknown panel 'lef'"):
        plot.study(studies[0], panel="lef")
    with pytest.raises(InputError, match="study got int without panels"):
        plot.study(1)  # type: ignore[arg-type]


def test_style_of_the_report_is_that_of_new_figures_and_leaves_settings_alone(explanation: Explanation) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    ax = plot.spectra(explanation)
    assert dict(matplotlib.rcParams) == before
    assert ax.xaxis.label.get_color() == drawing.INK
    assert ax.xaxis.label.get_size() == drawing.FONT_SIZE
    assert not ax.spines["top"].get_visible()


def test_style_is_switched_off_or_replaced(explanation: Explanation) -> None:
    import matplotlib

    with matplotlib.rc_context({"axes.labelcolor": "red"}), plot.style(None):
        assert plot.spectra(explanation).xaxis.label.get_color() == "red"
    with plot.style([drawing.STYLE_SHEET, {"font.size": 7.0}]):
        ax = plot.spectra(explanation)
    assert ax.xaxis.label.get_size() == 7.0
    assert ax.xaxis.label.get_color() == drawing.INK
    assert plot.spectra(explanation).xaxis.label.get_size() == drawing.FONT_SIZE


def test_style_sheet_is_known_to_matplotlib_by_its_name() -> None:
    import matplotlib
    from matplotlib import style

    with plot.style(), matplotlib.rc_context():
        settings = dict(matplotlib.rcParams)
    with style.context(["default", drawing.STYLE_SHEET]):
        assert dict(matplotlib.rcParams) == settings
    assert settings["font.size"] == drawing.FONT_SIZE
    assert settings["text.color"] == drawing.INK


def test_new_figures_are_those_of_pyplot_if_it_is_in_use(
    explanation: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from matplotlib import pyplot

    pyplot.close("all")
    for _ in range(25):  # without a warning of many open figures
        figure = plot.angle(explanation).figure
    assert figure is pyplot.gcf()
    pyplot.close("all")
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot")
    assert plot.angle(explanation).figure.canvas.manager is None
    assert pyplot.get_fignums() == []


def test_labels_stay_inside_axes_of_any_resolution(explanation: Explanation) -> None:
    for dpi in (72, 200):
        figure = Figure(figsize=(5, 4), dpi=dpi, layout="constrained")
        ax = plot.aligners(explanation, ax=figure.add_subplot())
        figure.draw_without_rendering()
        frame = ax.bbox
        assert ax.texts
        for text in ax.texts:
            box = text.get_window_extent()
            assert frame.x0 - 0.1 * frame.width < box.x0 < box.x1 < frame.x1 + 0.1 * frame.width
