"""The first line of .csv files: names of columns, or a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from isthmus.data.sources import open_source

ROWS = np.random.default_rng(3).normal(size=(6, 4))
LINES = [",".join(map(str, row)) for row in ROWS.tolist()]


@pytest.mark.parametrize("missing", ["", "NA", "NULL"])
@pytest.mark.parametrize("column", range(4))
def test_first_row_with_a_missing_cell_is_no_header(column: int, missing: str, tmp_path: Path) -> None:
    cells = LINES[0].split(",")
    cells[column] = missing
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([",".join(cells), *LINES[1:], ""]))
    rows = ROWS.copy()
    rows[0, column] = np.nan
    np.testing.assert_array_equal(open_source(path).read(0, 7), rows)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + "\n".join([*LINES, ""]),  # a byte order mark
        "\n".join(['"' + line.replace(",", '","') + '"' for line in LINES] + [""]),
        "\n".join([f"{line}," for line in LINES] + [""]),
        "\n".join([line.replace(",", "  ") for line in LINES] + [""]),
        "\r".join([*LINES, ""]),
        "\n" + "\n".join([*LINES, ""]),
        "\n".join([f'{number},"[{line}]"' for number, line in enumerate(LINES)] + [""]),
        "\n".join([f'a cat,"[{line}]"' for line in LINES] + [""]),
        "\n".join([f"image{number}.jpg,{line}" for number, line in enumerate(LINES)] + [""]),
    ],
    ids=[
        "byte order mark",
        "quotes",
        "last comma",
        "two spaces",
        "carriage returns",
        "blank",
        "ids",
        "captions",
        "names",
    ],
)
def test_first_row_of_numbers_is_no_header(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode())
    np.testing.assert_array_equal(open_source(path).read(0, 7), ROWS)


@pytest.mark.parametrize("with_index", [False, True])
@pytest.mark.parametrize("with_header", [False, True])
def test_frame_without_names_gives_its_rows_alone(with_header: bool, with_index: bool, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    pd.DataFrame(ROWS).to_csv(path, header=with_header, index=with_index)
    np.testing.assert_array_equal(open_source(path).read(0, 7), ROWS)


def test_shuffled_ids_without_a_name_are_no_dimension(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows, path = rng.normal(size=(30, 4)), tmp_path / "rows.csv"
    pd.DataFrame(rows, index=rng.permutation(1000)[:30]).to_csv(path, header=False)
    np.testing.assert_array_equal(open_source(path).read(0, 30), rows)


def test_column_of_whole_numbers_that_repeat_is_a_dimension(tmp_path: Path) -> None:
    rows, path = np.random.default_rng(2).normal(size=(30, 4)), tmp_path / "rows.csv"
    rows[:, 0] = np.arange(30) // 2
    lines = [",".join([str(int(row[0])), *map(str, row[1:])]) for row in rows.tolist()]
    path.write_text("\n".join([*lines, ""]))
    np.testing.assert_array_equal(open_source(path).read(0, 30), rows)


def test_frame_of_whole_numbers_gives_its_rows_alone(tmp_path: Path) -> None:
    path, signs = tmp_path / "rows.csv", np.sign(np.random.default_rng(0).normal(size=(6, 8))).astype(int)
    pd.DataFrame(signs).to_csv(path, index=False)
    np.testing.assert_array_equal(open_source(path).read(0, 7), signs)


def test_numbers_in_quotes_above_numbers_are_names(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(['"10","20","30","40"', *LINES, ""]))
    np.testing.assert_array_equal(open_source(path).read(0, 7), ROWS)


def test_row_of_whole_numbers_that_do_not_count_up_is_no_header(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["0,1,2,4", *LINES, ""]))
    assert open_source(path).read(0, 1).tolist() == [[0.0, 1.0, 2.0, 4.0]]
