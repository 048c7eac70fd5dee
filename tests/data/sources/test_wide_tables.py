"""Tables with one column for each dimension, and lists that are empty, of another length or nested more deeply."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import isthmus
from isthmus import InputError, IsthmusWarning
from isthmus.data.sources import open_source

RNG = np.random.default_rng(11)
X = RNG.normal(size=(40, 9)) + 1
Y = X + RNG.normal(size=X.shape) - 2
SUFFIXES = (".parquet", ".arrow", ".csv")


def save(path: Path, **columns: Any) -> Path:
    """Write a table in the format of the suffix."""
    table = pa.table(columns)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    else:
        from pyarrow import csv

        csv.write_csv(table, path)
    return path


def wide(name: str, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return one column for each dimension."""
    return {f"{name}{number}": column for number, column in enumerate(rows.T)}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("stem", ["dim_", ""])
def test_number_beside_the_dimensions_is_left_out_with_a_warning(stem: str, suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"image{suffix}", id=np.arange(40), score=RNG.normal(size=40), **wide(stem, X))
    with pytest.warns(IsthmusWarning, match=f"are the columns {stem}0 to {stem}8; left out the numbers in score"):
        source = open_source(path)
    np.testing.assert_array_equal(source.read(0, 40), X)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_dimensions_of_two_modalities_are_selected_by_name(suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"clip{suffix}", **wide("image_", X), **wide("text_", Y))
    with pytest.raises(InputError, match="of 2 embeddings, image_0 to image_8, text_0 to text_8; select one"):
        open_source(path)
    with pytest.raises(InputError, match=r"give two of them as \S*::image \S*::text"):
        isthmus.measure(path)
    pairs = isthmus.open_pairs(f"{path}::image", f"{path}::text")
    assert pairs.names == ("image", "text")
    np.testing.assert_array_equal(pairs.x.read(0, 40), X)
    np.testing.assert_array_equal(pairs.y.read(0, 40), Y)


@pytest.mark.parametrize("member", ["", "::image"])
@pytest.mark.parametrize(("rows", "named"), [([3], "row 3 .* is"), ([3, 7], "rows 3, 7 .* are")])
def test_word_among_the_numbers_of_a_column_is_an_error(
    rows: list[int], named: str, member: str, tmp_path: Path
) -> None:
    columns = wide("image_", X) | {"note": ["0.5"] * 10 + ["a"] * 30, "price": ["9.50"] * 39 + ["free"]}
    path = save(tmp_path / "clip.csv", **columns)
    np.testing.assert_array_equal(open_source(f"{path}{member}").read(0, 40), X)
    columns["image_2"] = columns["image_2"].astype("U30")
    columns["image_2"][rows] = "none"
    path = save(tmp_path / "clip.csv", **columns)
    with pytest.raises(InputError, match=rf"clip.csv::image_2: {named} text such as 'none', expected a number"):
        open_source(f"{path}{member}")


def test_dimensions_alone_are_read_without_a_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = save(tmp_path / "image.parquet", **wide("x", X[:, :3]), a=X[:, 3])
        np.testing.assert_array_equal(open_source(path).read(0, 40), X[:, :4])


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("row", [0, 39])
def test_empty_list_is_a_bad_row(row: int, suffix: str, tmp_path: Path) -> None:
    lists = X.tolist()
    lists[row] = []
    path = save(tmp_path / f"image{suffix}", embedding=lists)
    with pytest.warns(IsthmusWarning, match="left out 1 of 40 pairs, 39 are used"):
        pairs = isthmus.open_pairs(path, Y, drop_bad=True)
    np.testing.assert_array_equal(pairs.x.read(0, 39), np.delete(X, row, axis=0))


def test_lists_of_lists_of_one_list_are_rows(tmp_path: Path) -> None:
    path = save(tmp_path / "image.parquet", embedding=[[[row]] for row in X.tolist()])
    np.testing.assert_array_equal(open_source(path).read(0, 40), X)
    path = save(tmp_path / "sets.parquet", embedding=[[row, row] for row in X.tolist()])
    with pytest.raises(InputError, match="holds up to 2 vectors an item, expected one; pool them with --pool mean"):
        open_source(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_row_that_numpy_shortened_is_named(suffix: str, tmp_path: Path) -> None:
    text = [str(row.tolist()) for row in X]
    text[3] = np.array2string(X[3], threshold=4)
    path = save(tmp_path / f"image{suffix}", embedding=text)
    with pytest.raises(InputError, match=r"row 3 .* holds '...', because NumPy left out numbers .* str\(row.tolist"):
        open_source(path)


def test_table_without_rows_states_what_was_expected(tmp_path: Path) -> None:
    empty = pa.table({"image": pa.array([], pa.string())})
    pq.write_table(empty, tmp_path / "empty.parquet")
    with pytest.raises(InputError, match=r"empty.parquet: has no rows, expected at least two; write it again"):
        isthmus.sources.open_source(tmp_path / "empty.parquet")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_text_table_of_two_modalities_alone_gets_the_arguments_for_both(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"clip{suffix}"
    columns = {"image": X.tolist(), "text": Y.tolist()}
    frame = pd.DataFrame(columns)
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)
    with pytest.raises(InputError, match=r"give two of them as \S*::image \S*::text"):
        isthmus.measure(path)
