"""Results become frames, Arrow tables and text files from one set of columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import isthmus
from isthmus import Estimate, InputError, Result
from isthmus.utils.tabular import display_table


@pytest.fixture
def result() -> Result:
    metrics = {
        "fisher_ratio": Estimate(0.38123, 0.3681, 0.3912, null=0.0, unit="share"),
        "rank_99_a_b": Estimate(7.0, unit="dimensions", note="a | b & 50 %"),
        "a_b_to_text_R@1": Estimate(float("nan"), unit="share", undefined="no rows"),
    }
    return Result(metrics, {}, {"names": ["a_b", "text"]})


def test_columns_separate_measures_from_modalities(result: Result) -> None:
    columns = result.columns()
    assert columns["measure"] == ["fisher_ratio", "rank_99", "R@1"]
    assert columns["side"] == ["", "x", "x_to_y"]
    assert columns["modality"] == ["", "a_b", "a_b_to_text"]


def test_results_of_other_modality_names_join_on_measure_and_side(result: Result) -> None:
    renamed = {name.replace("a_b", "audio"): estimate for name, estimate in result.metrics.items()}
    other = Result(renamed, {}, {"names": ["audio", "text"]})
    for column in ("measure", "side"):
        assert other.columns()[column] == result.columns()[column]


def test_measures_of_models_with_other_modality_names_join_row_by_row() -> None:
    pandas = pytest.importorskip("pandas")
    x, y = np.random.default_rng(0).normal(size=(2, 60, 5)) + 1
    names = [("image", "text"), ("sound_x", "x"), ("protein_to", "a b")]  # also names that are parts of others
    frames = [
        isthmus.measure(isthmus.Pairs(**{first: x, second: y})).to_frame("pandas").set_index(["measure", "side"])
        for first, second in names
    ]
    assert frames[0].index.is_unique
    for frame in frames[1:]:
        assert list(frame.index) == list(frames[0].index)
        joined = frames[0].merge(frame, on=["measure", "side"], suffixes=("_a", "_b"), validate="one_to_one")
        pandas.testing.assert_series_equal(joined["value_a"], joined["value_b"], check_names=False)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frame_holds_the_columns(result: Result, library: str) -> None:
    pytest.importorskip(library)
    frame = result.to_frame(library)
    assert type(frame).__module__.split(".")[0] == library
    assert frame.shape == (3, 12)
    assert [float(value) for value in frame["value"][:2].to_numpy()] == [0.38123, 7.0]


def test_frame_of_an_unknown_library_is_refused(result: Result) -> None:
    with pytest.raises(InputError, match="library='dplyr', expected one of pandas, polars, pyarrow"):
        result.to_frame("dplyr")


def test_frame_without_a_library_names_what_to_install(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install pandas"):
        result.to_frame()
    with pytest.raises(InputError, match=r"pip install isthmus\[parquet\]"):
        result.__arrow_c_stream__()


def test_arrow_reads_a_result(result: Result) -> None:
    table = pa.table(result)
    assert table.column_names == list(result.columns())
    assert table["measure"].to_pylist() == result.columns()["measure"]


def test_csv_has_full_precision_and_empty_cells(result: Result) -> None:
    header, first, _, last = result.to_csv().splitlines()
    assert header == "measure,side,modality,value,low,high,null,plugin,unit,undefined,note,sampled"
    assert first == "fisher_ratio,,,0.38123,0.3681,0.3912,0.0,0.38123,share,,,0"
    assert last == "R@1,x_to_y,a_b_to_text,,,,,,share,no rows,,0"


def test_markdown_rounds_to_the_interval_and_escapes_bars(result: Result) -> None:
    lines = result.to_markdown().splitlines()
    assert lines[0].startswith("| measure | side | modality | value | 95 % interval |")
    assert "| 0.381 | 0.368 to 0.391 |" in lines[2]
    assert r"a \| b & 50 %" in lines[3]


def test_latex_is_a_booktabs_table_with_escaped_text(result: Result) -> None:
    text = result.to_latex()
    assert text.startswith("\\begin{tabular}{lllrlrlll}\n\\toprule\n")
    assert r"fisher\_ratio" in text
    assert r"a | b \& 50 \%" in text
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")
    assert all(line.count(" & ") == 8 for line in text.splitlines() if line.endswith(r"\\"))


def test_notebook_escapes_names_and_counts_hidden_rows() -> None:
    metrics = {f"<b>{i}": Estimate(float(i)) for i in range(70)}
    html = Result(metrics)._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;0" in html
    assert "10 more rows in .to_frame()" in html


@pytest.mark.parametrize("name", ["result", "result.txt", "result.jsn"])
def test_save_refuses_an_unknown_ending_and_writes_nothing(result: Result, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"is written as \.json, \.csv, \.md or \.tex"):
        result.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_display_leaves_out_empty_columns() -> None:
    columns: dict[str, list[Any]] = {"name": ["a"], "value": [float("nan")], "note": ["why"], "unit": [""]}
    assert display_table(columns) == (["name", "note"], [["a", "why"]])


def test_display_shows_the_size_of_a_sample_alone() -> None:
    columns: dict[str, list[Any]] = {"name": ["a", "b"], "sampled": [0, 0]}
    assert display_table(columns) == (["name"], [["a"], ["b"]])
    assert display_table(columns | {"sampled": [0, 900]})[1] == [["a", "0"], ["b", "900"]]


def test_equal_results_are_equal_and_others_are_not(result: Result) -> None:
    assert result == Result(result.metrics, {}, {"names": ("a_b", "text")})
    assert result != Result({**result.metrics, "fisher_ratio": Estimate(0.4)}, {}, result.pairs)
    assert result != 1
