"""The columns of all modalities of a table are aligned in one pass, and the others are copied."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError, align
from isthmus.align._whole_table import _Sample, apply_to_table, table_columns
from isthmus.cli import app
from isthmus.data.sources import open_source

pa = pytest.importorskip("pyarrow")

N, D = 40, 4
COLUMNS = {"image": "image_embedding", "text": "txt_emb"}


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    x, y = np.random.default_rng(0).normal(size=(2, N, D)).astype(np.float32) + 1
    return x, y


@pytest.fixture
def aligner(rows: tuple[np.ndarray, np.ndarray]) -> Any:
    return align.Centering().fit(image=rows[0], text=rows[1])


def write_table(path: Path, x: np.ndarray, y: np.ndarray) -> Path:
    """Write a table of four columns in the format of the suffix."""
    columns: dict[str, Any] = {"id": list(range(len(x))), "caption": [f'a "{i}", b' for i in range(len(x))]}
    if path.suffix in (".csv", ".jsonl"):
        pandas = pytest.importorskip("pandas")
        as_cells = json.dumps if path.suffix == ".csv" else list
        frame = pandas.DataFrame(
            columns
            | {name: [as_cells(row) for row in m.tolist()] for name, m in zip(COLUMNS.values(), (x, y), strict=True)}
        )
        frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_json(path, orient="records", lines=True)
        return path
    for name, matrix in zip(COLUMNS.values(), (x, y), strict=True):
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), D)
    table = pa.table(columns)
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, path, row_group_size=11)
    else:
        import pyarrow.feather as feather

        feather.write_feather(table, path, chunksize=11)
    return path


@pytest.mark.parametrize("written", [".parquet", ".arrow", ".csv"])
@pytest.mark.parametrize("read", [".parquet", ".arrow", ".csv", ".jsonl"])
def test_both_columns_of_any_table_are_aligned_and_the_others_copied(
    tmp_path: Path,
    rows: tuple[np.ndarray, np.ndarray],
    aligner: Any,
    read: str,
    written: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("isthmus.data.sources._whole_tables.BATCH_ROWS", 7)
    table, output = write_table(tmp_path / f"table{read}", *rows), tmp_path / f"out{written}"
    columns = table_columns(str(table), (), aligner.modalities)
    assert columns == COLUMNS
    applied = apply_to_table(aligner, table, output, columns)
    assert (applied.n_rows, applied.n_dropped, applied.widths) == (N, 0, {"image": D, "text": D})
    for column, expected in zip(COLUMNS.values(), aligner.transform(*rows), strict=True):
        found = open_source(f"{output}::{column}")
        np.testing.assert_allclose(found.read(0, N), expected, atol=1e-6)
    assert isthmus.open_pairs(f"{output}::image_embedding", f"{output}::txt_emb", key="id").n_pairs == N
    if written != ".csv":
        captions = open_table(output).column("caption").to_pylist()
        assert captions == [f'a "{i}", b' for i in range(N)]
    assert {path.name for path in tmp_path.iterdir()} == {table.name, output.name}


def open_table(path: Path) -> Any:
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    return pq.read_table(path) if path.suffix == ".parquet" else feather.read_table(path)


def test_score_correction_of_a_table_needs_a_role_and_widens_the_columns(
    tmp_path: Path, rows: tuple[np.ndarray, np.ndarray]
) -> None:
    correction = align.ScoreCalibration().fit(image=rows[0], text=rows[1])
    table, output = write_table(tmp_path / "table.parquet", *rows), tmp_path / "out.parquet"
    with pytest.raises(InputError, match="rows have two forms; give role='stored'"):
        apply_to_table(correction, table, output, COLUMNS)
    assert not output.exists()
    applied = apply_to_table(correction, table, output, COLUMNS, role="stored")
    expected = correction.stored(rows[1], modality="text")
    assert applied.widths["text"] == expected.shape[1] > D
    np.testing.assert_allclose(open_source(f"{output}::txt_emb").read(0, N), expected, atol=1e-6)


def test_invalid_rows_of_a_table_are_named_or_left_out(
    tmp_path: Path, rows: tuple[np.ndarray, np.ndarray], aligner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.data.sources._whole_tables.BATCH_ROWS", 7)
    rows[0][9], rows[1][30] = np.nan, 0
    table, output = write_table(tmp_path / "table.parquet", *rows), tmp_path / "out.parquet"
    with pytest.raises(InputError, match=r"image_embedding: row 9 "):
        apply_to_table(aligner, table, output, COLUMNS)
    assert [path.name for path in tmp_path.iterdir()] == ["table.parquet"]
    applied = apply_to_table(aligner, table, output, COLUMNS, drop_bad=True)
    assert (applied.n_rows, applied.n_dropped) == (N - 2, 2)
    assert open_table(output).column("id").to_pylist() == [i for i in range(N) if i not in (9, 30)]


def test_table_that_does_not_fit_the_aligner_is_refused(
    tmp_path: Path, rows: tuple[np.ndarray, np.ndarray], aligner: Any
) -> None:
    table = write_table(tmp_path / "table.parquet", *rows)
    wide = align.Centering().fit(image=np.ones((9, 6)) + np.eye(9, 6), text=np.eye(9, 6) + 2)
    with pytest.raises(InputError, match="got rows of dimension 4, expected 6 for image"):
        apply_to_table(wide, table, tmp_path / "out.parquet", COLUMNS)
    for output, message in (("out.npy", "is written as .parquet"), ("table.parquet", "is the file that is being read")):
        with pytest.raises(InputError, match=message):
            apply_to_table(aligner, table, tmp_path / output, COLUMNS)
    for chosen, message in (
        (("id", "txt_emb"), "names no modality of the aligner"),
        (("txt",), "has no column 'txt'"),
        (("txt_emb", "txt_emb"), "are both columns of text"),
    ):
        with pytest.raises(InputError, match=message):
            table_columns(str(table), chosen, aligner.modalities)
    assert table_columns(str(tmp_path / "rows.npy"), (), aligner.modalities) == {}


def test_apply_verb_aligns_the_columns_of_a_table_and_warns_of_drift(
    tmp_path: Path, rows: tuple[np.ndarray, np.ndarray], aligner: Any
) -> None:
    many = [np.tile(matrix, (4, 1)) + np.random.default_rng(1).normal(size=(4 * N, D)) for matrix in rows]
    table = write_table(tmp_path / "table.parquet", (many[0] + 3).astype(np.float32), many[1].astype(np.float32))
    aligner.save(tmp_path / "a.safetensors")
    call = ["apply", str(tmp_path / "a.safetensors"), str(table), str(tmp_path / "out.parquet")]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = CliRunner().invoke(app, [*call, "--json"])
    assert any("image" in str(warning.message) for warning in caught)
    content = json.loads(done.stdout)
    assert (content["rows"], content["columns"]) == (4 * N, COLUMNS)
    error = CliRunner().invoke(app, [*call, "--resume"]).exception
    assert str(error).startswith("--resume is for one column")


def test_sample_of_a_stream_is_evenly_spaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.align._whole_table.MAX_SAMPLE", 50)
    sample, numbers = _Sample(), np.arange(1000.0)[:, None]
    for start in range(0, 1000, 37):
        sample.add(numbers[start : start + 37])
    steps = np.diff(sample.rows()[:, 0])
    assert 50 <= len(sample.rows()) <= 100
    assert set(steps) == {16.0}
