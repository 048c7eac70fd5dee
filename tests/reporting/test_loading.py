"""Every kind of result is saved, loaded again and drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import isthmus
from isthmus import InputError
from isthmus.align._hit_model import Reliability
from isthmus.evaluation import evaluate_zero_shot, intervene
from isthmus.reporting.plot import FIGURES
from isthmus.train.history import GapHistory
from isthmus.train.snapshot import GapSnapshot

#: Figures that need the rows, which a loaded explanation does not have.
OF_ROWS = {"clouds", "cosines"}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    pairs = isthmus.demo.load("collapsed", split="test")
    comparison = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval", "mixed_search"], splits=1)
    X, Y, Z = np.random.default_rng(0).normal(size=(3, 40, 4)) + np.eye(4)[:3, None] * 3
    modalities = isthmus.Modalities(image=X, text=Y, audio=Z)
    return {
        "Result": isthmus.measure(pairs, metrics="fast"),
        "Explanation": isthmus.explain(pairs, comparison=comparison),
        "Comparison": comparison,
        "Calibration": isthmus.calibrate(pairs),
        "InterventionCurve": intervene(pairs, interventions=["translate"]),
        "PairwiseResults": modalities.measure(metrics="centroid_angle"),
        "explained modalities": modalities.explain(),
        "GapSnapshot": GapSnapshot.of(isthmus.Moments.of(pairs), step=3),
        "ModelComparison": isthmus.compare_models(
            {"step_1": pairs, "step_2": isthmus.demo.load("plain", split="test")}
        ),
        "Reliability": Reliability(np.array([0.2, 0.9]), np.array([0.1, 0.8]), np.array([50, 50])),
        "GapHistory": GapHistory(tuple(GapSnapshot.of(isthmus.Moments.of(pairs), step=step) for step in (1, 2))),
        "ZeroShotReport": evaluate_zero_shot(Y[:6], Z[:3], np.array(list("abcabb")), class_names=np.array(list("abc"))),
        "Drift": isthmus.align.Centering().fit(pairs).drift(pairs.x.read(0, 100)),
    }


def test_every_class_of_results_is_tested(results: dict[str, Any]) -> None:
    assert {type(result) for result in results.values()} == set(FIGURES)


def test_load_returns_an_equal_result(results: dict[str, Any], tmp_path: Path) -> None:
    for name, result in results.items():
        path = tmp_path / "result.json"
        result.save(path)
        loaded = isthmus.load(path)
        assert type(loaded) is type(result), name
        assert loaded == result, name
        assert repr(loaded) == repr(result), name
        assert len(repr(result).splitlines()) <= 30, name


def test_every_result_has_all_forms(results: dict[str, Any], tmp_path: Path) -> None:
    for name, result in results.items():
        rows = len(next(iter(result.columns().values())))
        assert rows > 0, name
        assert len(result.to_frame()) == rows, name
        shown = len(next(iter(result.display_columns().values())))
        assert result._repr_html_().count("<tr>") == 1 + min(shown, 60), name
        for ending, count in ((".csv", rows), (".md", shown), (".tex", shown)):
            result.save(tmp_path / f"result{ending}")
            assert (tmp_path / f"result{ending}").read_text(encoding="utf-8").count("\n") >= count, name


def test_every_result_iterates_over_its_rows_or_its_entries(results: dict[str, Any]) -> None:
    for name, result in results.items():
        entries = list(result)
        if isinstance(entries[0], dict):
            columns = result.columns()
            assert [list(entry) for entry in entries] == [list(columns)] * len(entries), name
            assert [entry[next(iter(columns))] for entry in entries] == next(iter(columns.values())), name
        else:
            assert len(entries) == len(result), name


@pytest.mark.parametrize("name", ["Comparison", "ModelComparison"])
def test_table_for_a_paper_has_one_line_for_each_subject(results: dict[str, Any], name: str) -> None:
    result = results[name]
    lines = result.to_markdown().splitlines()
    assert len(lines) == 2 + len(result)
    assert len(lines[2]) < 200
    assert len(result.columns()["value"]) > 10 * len(result)
    assert "R@1" in lines[0]
    assert "[" in lines[-1]  # intervals


def test_every_figure_of_a_result_is_drawn_on_the_given_axes(results: dict[str, Any]) -> None:
    for name, result in results.items():
        for figure in (None, *FIGURES[type(result)]):
            ax = Figure().add_subplot()
            assert result.plot(figure, ax=ax) is ax, (name, figure)
            assert ax.has_data(), (name, figure)


def test_loaded_explanation_draws_what_needs_no_rows(results: dict[str, Any], tmp_path: Path) -> None:
    results["Explanation"].save(tmp_path / "explanation.json")
    loaded = isthmus.load(tmp_path / "explanation.json")
    assert loaded.pairs is None
    for figure in FIGURES[type(loaded)]:
        if figure in OF_ROWS:
            with pytest.raises(InputError, match="without rows, expected Pairs, or a Result"):
                loaded.plot(figure)
        else:
            assert loaded.plot(figure).has_data(), figure


def test_plot_of_an_unknown_figure_names_those_that_exist(results: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="Result has no figure 'clouds'; it has angle, spectra, principal_angles"):
        results["Result"].plot("clouds")


def test_load_of_an_aligner_and_of_moments_still_works(tmp_path: Path) -> None:
    pairs = isthmus.demo.load("plain", split="test")
    isthmus.align.Centering().fit(pairs).save(tmp_path / "aligner")
    isthmus.Moments.of(pairs).save(tmp_path / "moments")
    assert isthmus.load(tmp_path / "aligner").names_ == ("image", "text")
    assert isthmus.load(tmp_path / "moments").n == pairs.n_pairs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON; expected a result"),
        ('{"kind": "cake", "format": 1}', "holds something else; expected a result, an aligner or moments"),
        ('{"kind": "result", "format": 99}', "has format 99, this version reads up to 1; update isthmus"),
        ('{"kind": "result", "format": 1}', "a part of this result is missing or wrong"),
    ],
)
def test_load_of_something_else_says_what_it_is(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        isthmus.load(path)
    assert str(path) in str(caught.value)


def test_json_files_hold_no_python_objects(results: dict[str, Any], tmp_path: Path) -> None:
    for result in results.values():
        result.save(tmp_path / "a.json")
        json.loads((tmp_path / "a.json").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_calibration_from_a_file_gives_the_same_sentences(results: dict[str, Any], tmp_path: Path) -> None:
    results["Calibration"].save(tmp_path / "calibration.json")
    loaded = isthmus.load(tmp_path / "calibration.json")
    assert loaded.sentences(0.7) == results["Calibration"].sentences(0.7)
