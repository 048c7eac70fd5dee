"""Embeddings in tables: lists, text and bytes in cells, one column for each dimension, and rows that do not fit."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import isthmus
from isthmus.data.sources import open_source, text

WIDTH, N = 7, 90
ROWS = np.random.default_rng(5).normal(size=(N, WIDTH)) * 10.0 ** np.random.default_rng(6).integers(-9, 5, size=(N, 1))


def write_cells(path: Path, cells: list[Any], header: bool = True) -> Path:
    """Write a csv of numbers and cells."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        if header:
            writer.writerow(["id", "vector"])
        writer.writerows(enumerate(cells))
    return path


def write_parquet(path: Path, **columns: Any) -> Path:
    """Write a Parquet file with a column of ids."""
    pq.write_table(pa.table({"id": np.arange(N), **columns}), path, row_group_size=25)
    return path


def write_arrow(path: Path, **columns: Any) -> Path:
    """Write an Arrow file or stream with a column of ids, the first batch of which is empty."""
    table = pa.table({"id": np.arange(N), **columns})
    open_new = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
    with open_new(str(path), table.schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema=table.schema))
        writer.write_table(table, max_chunksize=25)
    return path


def write_lines(path: Path, lines: list[str]) -> Path:
    """Write lines of text."""
    path.write_text("\n".join(lines) + "\n")
    return path


def json_lines(rows: list[Any]) -> list[str]:
    """Return one JSON object for each row."""
    return [json.dumps({"id": number, "vector": row}) for number, row in enumerate(rows)]


WRITERS: dict[str, Callable[[Path], Path]] = {
    "cells of lists": lambda d: write_cells(d / "a.csv", [str(row) for row in ROWS.tolist()]),
    "cells as NumPy prints them": lambda d: write_cells(
        d / "a.csv", [np.array2string(row, floatmode="unique", max_line_width=10_000) for row in ROWS]
    ),
    "wide without header": lambda d: write_lines(d / "a.csv", [",".join(map(repr, row)) for row in ROWS.tolist()]),
    "json lines": lambda d: write_lines(d / "a.jsonl", json_lines(ROWS.tolist())),
    "text": lambda d: write_lines(d / "a.txt", [" ".join(map(repr, row)) for row in ROWS.tolist()]),
    "text with commas": lambda d: write_lines(d / "a.txt", [",".join(map(repr, row)) for row in ROWS.tolist()]),
    "Parquet of text": lambda d: write_parquet(d / "a.parquet", vector=[str(row) for row in ROWS.tolist()]),
    "Parquet of bytes": lambda d: write_parquet(d / "a.parquet", vector=[row.tobytes() for row in ROWS]),
    "Parquet of nested lists": lambda d: write_parquet(d / "a.parquet", vector=[[row] for row in ROWS.tolist()]),
    "wide Parquet": lambda d: write_parquet(d / "a.parquet", **{f"dim_{j}": ROWS[:, j] for j in range(WIDTH)}),
    "Feather of bytes": lambda d: write_arrow(d / "a.feather", vector=[row.tobytes() for row in ROWS]),
    "Arrow stream of text": lambda d: write_arrow(d / "a.arrows", vector=[str(row) for row in ROWS.tolist()]),
    "Arrow of nested lists": lambda d: write_arrow(d / "a.arrow", vector=[[row] for row in ROWS.tolist()]),
    "wide Arrow": lambda d: write_arrow(d / "a.arrow", **{f"dim_{j}": ROWS[:, j] for j in range(WIDTH)}),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_open_source_of_a_table_gives_the_numbers_bit_for_bit(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("csv", "jsonl"):
        monkeypatch.setattr(f"isthmus.data.sources.{module}.BLOCK_BYTES", 2_000)
    monkeypatch.setattr("isthmus.data.sources.text.BLOCK_LINES", 13)
    source = open_source(WRITERS[kind](tmp_path))
    assert source.shape == (N, WIDTH)
    assert source.dtype == "float64"
    np.testing.assert_array_equal(source.read(0, N), ROWS)
    np.testing.assert_array_equal(source.take(np.array([80, 2, 2])), ROWS[[80, 2, 2]])


def test_open_source_of_bytes_of_float32_reads_float32(tmp_path: Path) -> None:
    rows = ROWS.astype("f4")
    source = open_source(write_parquet(tmp_path / "a.parquet", vector=[row.tobytes() for row in rows]))
    assert source.dtype == "float32"
    np.testing.assert_array_equal(source.read(0, N), rows)


def test_open_source_of_whole_numbers_in_some_blocks_reads_floats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.data.sources.csv.BLOCK_BYTES", 200)
    rows = np.ones((N, 3))
    rows[50:] = 0.5
    lines = ["a,b,c", *(",".join(f"{value:g}" for value in row) for row in rows)]
    np.testing.assert_array_equal(open_source(write_lines(tmp_path / "a.csv", lines)).read(0, N), rows)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_empty_cell_of_a_dimension_is_a_bad_row(suffix: str, tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, N, 3)) + 1
    cells = [[None if (i, j) == (7, 1) else value for i, value in enumerate(column)] for j, column in enumerate(x.T)]
    if suffix == "parquet":
        path = write_parquet(tmp_path / "image.parquet", **dict(zip("abc", cells, strict=True)))
    else:
        lines = [
            ",".join("" if value is None else repr(float(value)) for value in row) for row in zip(*cells, strict=True)
        ]
        path = write_lines(tmp_path / "image.csv", ["a,b,c", *lines])
    with pytest.raises(isthmus.InputError, match=r"row 7 \(counted from 0\).* holds null, NaN"):
        isthmus.measure(path, y, metrics="centroid_angle")
    with pytest.warns(isthmus.IsthmusWarning, match="1 row of image .* left out 1 of 90 pairs"):
        measured = isthmus.measure(path, y, drop_bad=True, metrics="centroid_angle")
    expected = isthmus.measure(np.delete(x, 7, 0), np.delete(y, 7, 0), metrics="centroid_angle")
    assert str(measured["centroid_angle"]) == str(expected["centroid_angle"])


NULL_CELLS: dict[str, Callable[[Path, list[Any]], Path]] = {
    "csv": lambda d, rows: write_cells(d / "a.csv", ["" if row is None else str(row) for row in rows]),
    "jsonl": lambda d, rows: write_lines(d / "a.jsonl", json_lines(rows)),
    "Arrow lists": lambda d, rows: write_arrow(d / "a.arrow", vector=rows),
    "Parquet lists": lambda d, rows: write_parquet(d / "a.parquet", vector=rows),
    "Parquet text": lambda d, rows: write_parquet(d / "a.parquet", vector=[row and str(row) for row in rows]),
    "Parquet bytes": lambda d, rows: write_parquet(d / "a.parquet", vector=[row and floats(row) for row in rows]),
    "Parquet nested lists": lambda d, rows: write_parquet(d / "a.parquet", vector=[row and [row] for row in rows]),
}


def floats(row: list[float]) -> bytes:
    return np.array(row, np.float32).tobytes()


@pytest.mark.parametrize("kind", NULL_CELLS)
def test_null_cell_of_a_table_is_a_bad_row(kind: str, tmp_path: Path) -> None:
    """The first batches of 25 rows hold only nulls, and have no width."""
    x, y = np.random.default_rng(0).normal(size=(2, N, 3)) + 1
    is_null = np.isin(np.arange(N), [*range(30), 61])
    path = NULL_CELLS[kind](tmp_path, [None if is_null[i] else row for i, row in enumerate(x.tolist())])
    with pytest.raises(isthmus.InputError, match=r"rows 0, 1, 2, 3, 4 and 26 more \(counted from 0\) hold null, NaN"):
        isthmus.measure(path, y, metrics="centroid_angle")
    with pytest.warns(isthmus.IsthmusWarning, match="left out 31 of 90 pairs, 59 are used"):
        measured = isthmus.measure(path, y, drop_bad=True, metrics="centroid_angle")
    expected = isthmus.measure(x[~is_null], y[~is_null], metrics="centroid_angle")
    assert measured["centroid_angle"].value == pytest.approx(expected["centroid_angle"].value, abs=1e-5)


def test_measure_of_a_table_equals_that_of_the_array(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 40, 6)) + 1
    for name, rows in (("image", x), ("text", y)):
        write_lines(tmp_path / f"{name}.jsonl", json_lines(rows.tolist()))
    measured = isthmus.measure(tmp_path / "image.jsonl", tmp_path / "text.jsonl", metrics="fast")
    expected = isthmus.measure({"image": x, "text": y}, metrics="fast")
    assert str(measured["centroid_angle"]) == str(expected["centroid_angle"])


BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "word in csv": (
        lambda d: write_cells(d / "a.csv", ["[a, b]" if i == 62 else str(r) for i, r in enumerate(ROWS.tolist())]),
        r"row 62 \(counted from 0\) holds text that is no list of numbers",
    ),
    "csv of captions": (lambda d: write_cells(d / "a.csv", ["a cat"] * N), "holds no embeddings, only the columns id"),
    "words in text": (lambda d: write_lines(d / "a.txt", ["the 1 2"] * 5), "could not convert string 'the'"),
    "null cells only": (
        lambda d: write_parquet(d / "a.parquet", vector=pa.array([None] * N, pa.list_(pa.float32()))),
        "::vector: every row is null or empty, expected rows of numbers",
    ),
    "several vectors in a row": (
        lambda d: write_parquet(d / "a.parquet", vector=[[row, row] for row in ROWS.tolist()]),
        "::vector: holds up to 2 vectors an item, expected one; pool them with --pool mean",
    ),
    "null in a dimension of codes": (
        lambda d: write_parquet(
            d / "a.parquet",
            a=pa.array([None if i == 63 else 5 for i in range(N)], pa.int8()),
            b=pa.array([1] * N, pa.int8()),
        ),
        r"::a: row 63 \(counted from 0\) is null",
    ),
}


TEXT, BYTES = [str(row) for row in ROWS.tolist()], [row.tobytes() for row in ROWS]
RAGGED: dict[str, Callable[[Path, list[Any]], Path]] = {
    "csv": lambda d, cells: write_cells(d / "a.csv", cells),
    "jsonl": lambda d, cells: write_lines(d / "a.jsonl", json_lines(cells)),
    "parquet": lambda d, cells: write_parquet(d / "a.parquet", vector=cells),
    "arrow": lambda d, cells: write_arrow(d / "a.arrow", vector=cells),
    "text": lambda d, cells: write_parquet(d / "a.parquet", vector=[c and str(c) for c in cells]),
    "bytes": lambda d, cells: write_parquet(d / "a.parquet", vector=[c and np.array(c).tobytes() for c in cells]),
    "nested lists": lambda d, cells: write_parquet(d / "a.parquet", vector=[c and [c] for c in cells]),
}
#: The same without null cells.
RAGGED_LINES: dict[str, Callable[[Path, list[Any]], Path]] = {
    separator: lambda d, cells, separator=separator: write_lines(
        d / "a.txt", ["# numbers", *(separator.join(map(str, cell)) for cell in cells)]
    )
    for separator in (" ", "\t")
}


@pytest.mark.parametrize("kind", RAGGED)
@pytest.mark.parametrize("row", [0, 60])
def test_rows_of_another_length_are_named_and_left_out(row: int, kind: str, tmp_path: Path) -> None:
    cells: list[Any] = ROWS.tolist()
    cells[row], cells[80], cells[62] = cells[row][:4], [*cells[80], 1.0], None
    path, other = RAGGED[kind](tmp_path, cells), np.random.default_rng(1).normal(size=(N, WIDTH))
    other[5] = np.inf
    with pytest.raises(isthmus.InputError) as caught:
        isthmus.measure(path, other, metrics="centroid_angle")
    listed = rf"row 62 .* holds null, .* and rows {row}, 80 have other lengths than most rows; y: row 5 .* holds null"
    assert re.search(listed, str(caught.value))
    assert len(str(caught.value)) <= 300
    with pytest.warns(isthmus.IsthmusWarning, match="3 rows of x and 1 of y are NaN, .* or of another length"):
        pairs = isthmus.open_pairs(path, other, names=("x", "y"), drop_bad=True)
    kept = np.setdiff1d(np.arange(N), [row, 80, 62, 5])
    np.testing.assert_allclose(pairs.x.read(0, N), ROWS[kept], rtol=1e-12)


@pytest.mark.parametrize("block_lines", [8, 4096])
@pytest.mark.parametrize("separator", RAGGED_LINES)
def test_lines_of_another_length_in_text_are_invalid_rows(
    separator: str, block_lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK_LINES", block_lines)
    cells: list[Any] = ROWS.tolist()
    cells[3], cells[80] = cells[3][:4], [*cells[80], 1.0]
    source = open_source(RAGGED_LINES[separator](tmp_path, cells))
    kept = np.setdiff1d(np.arange(N), [3, 80])
    np.testing.assert_array_equal(source.read(0, N)[kept], ROWS[kept])
    with pytest.raises(isthmus.InputError, match=r"a.txt: rows 3, 80 \(counted from 0\) have other lengths than most"):
        isthmus.measure(source, ROWS, metrics="centroid_angle")


@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_row_that_cannot_be_parsed_is_named_by_its_number_in_the_file(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "BLOCK_LINES", 13)
    monkeypatch.setattr("isthmus.data.sources.jsonl.BLOCK_BYTES", 2000)
    cells: list[Any] = ROWS.tolist()
    cells[3], cells[70] = cells[3][:4], ["a"] * WIDTH
    lines = [json.dumps({"vector": cell}) if kind == "jsonl" else " ".join(map(str, cell)) for cell in cells]
    (tmp_path / f"a.{kind}").write_text("\n".join(lines) + "\n")
    with pytest.raises(isthmus.InputError, match=rf"a.{kind}: .* row 70 \(counted from 0\)"):
        open_source(tmp_path / f"a.{kind}")


@pytest.mark.parametrize("kind", [*RAGGED, *RAGGED_LINES])
def test_rows_of_two_lengths_without_a_majority_are_refused(kind: str, tmp_path: Path) -> None:
    cells = [row if i % 2 else row[:4] for i, row in enumerate(ROWS.tolist())]
    path = (RAGGED | RAGGED_LINES)[kind](tmp_path, cells)
    with pytest.raises(isthmus.InputError, match=r"the first \d+ rows have several lengths \(\d+ of \d+, ") as caught:
        open_source(path)
    assert str(caught.value).count(path.name) == 1


@pytest.mark.parametrize("drop_bad", [False, True])
def test_first_rows_of_a_rare_length_are_not_taken_for_the_usual_one(drop_bad: bool, tmp_path: Path) -> None:
    lists = [row[:4] if i < 20 else row for i, row in enumerate(ROWS.tolist())]
    path = write_parquet(tmp_path / "a.parquet", vector=lists)
    with pytest.raises(isthmus.InputError, match="70 rows of 90 differ in length from the first rows, so the right"):
        isthmus.open_pairs(path, ROWS[:, :4], drop_bad=drop_bad)
        isthmus.measure(path, ROWS[:, :4], metrics="centroid_angle")


@pytest.mark.parametrize("kind", BROKEN)
def test_open_source_of_a_broken_table_names_the_row(kind: str, tmp_path: Path) -> None:
    write, message = BROKEN[kind]
    with pytest.raises(isthmus.InputError, match=message) as caught:
        open_source(write(tmp_path))
    assert len(str(caught.value)) - len(str(tmp_path)) < 300


def test_open_source_of_several_columns_asks_for_one_and_takes_it(tmp_path: Path) -> None:
    cells = [str(row) for row in ROWS.tolist()]
    path = write_parquet(tmp_path / "a.parquet", image=cells, text=[str(row) for row in (-ROWS).tolist()])
    with pytest.raises(isthmus.InputError, match=r"several columns of embeddings \(image, text\); select one, such as"):
        open_source(path)
    np.testing.assert_array_equal(open_source(f"{path}::text").read(0, N), -ROWS)


def test_folder_with_captions_in_text_beside_shards_opens_the_shards(tmp_path: Path) -> None:
    np.save(tmp_path / "rows_0.npy", ROWS)
    write_lines(tmp_path / "captions.txt", ["a cat"] * N)
    write_cells(tmp_path / "ids.csv", ["a"] * N)
    assert open_source(tmp_path).shape == (N, WIDTH)


def test_open_source_of_text_without_its_end_warns(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("1.5 2.5\n3.5 4.5")
    with pytest.warns(isthmus.IsthmusWarning, match="does not end in a line break; check that its last row"):
        assert open_source(path).read(0, 2).tolist() == [[1.5, 2.5], [3.5, 4.5]]


@pytest.mark.parametrize("cell", [b"", b"caption of", b"0001234500012345", b"\x01\x02\x03"])
def test_parquet_of_bytes_that_are_no_numbers_holds_no_embedding(cell: bytes, tmp_path: Path) -> None:
    with pytest.raises(isthmus.InputError, match="holds no embeddings, only the columns id: int64, vector: binary"):
        open_source(write_parquet(tmp_path / "a.parquet", vector=[cell] * N))


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("delimiter", "decimal_point"),
    [(";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", "."), (" ", "."), (",", ".")],
)
def test_csv_of_any_separator_gives_the_numbers_bit_for_bit(
    delimiter: str, decimal_point: str, header: bool, tmp_path: Path
) -> None:
    lines = [delimiter.join(str(value).replace(".", decimal_point) for value in row) for row in ROWS.tolist()]
    names = [delimiter.join(f"d{column}" for column in range(WIDTH))] if header and delimiter != " " else []
    path = write_lines(tmp_path / "rows.csv", [*names, *lines])
    assert np.array_equal(open_source(path).read(0, N), ROWS)


def test_csv_of_quoted_cells_with_other_separators_is_one_of_commas(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["caption; a | b", "vector"])
        writer.writerows([f"a; {number}", row] for number, row in enumerate(ROWS.tolist()))
    assert np.array_equal(open_source(path).read(0, N), ROWS)


def test_csv_of_nan_rows_leaves_them_out_if_asked(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[3] = np.nan
    for name in ("image", "text"):
        write_lines(tmp_path / f"{name}.csv", [",".join(map(str, row)) for row in rows.tolist()])
    with pytest.warns(isthmus.IsthmusWarning, match="left out 1 of 90 pairs"):
        pairs = isthmus.open_pairs(tmp_path / "image.csv", tmp_path / "text.csv", drop_bad=True)
    assert pairs.n_pairs == N - 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "[[0.1, 0.2], [0.3, 0.4]]\n", "begins with a list of other values than numbers, .* run np.save"),
        (
            "a.json",
            "[[0.1, 0.2], [0.3, 0.4]]",
            r"is JSON; run np.save\('rows.npy', np.array\(json.load\(open\(FILE\)\)",
        ),
        ("a.xlsx", "PK", "is an Excel workbook; save its sheet as .csv"),
        ("a.mat", "MATLAB 5.0 MAT-file", "is a MATLAB file; run np.save"),
    ],
)
def test_open_source_of_other_tables_says_what_to_run(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(isthmus.InputError, match=message) as caught:
        open_source(tmp_path / name)
    assert len(str(caught.value)) <= 300
