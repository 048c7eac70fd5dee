"""Tables whose first rows are null, fields of structures, and several vectors in a cell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import isthmus
from isthmus.data.sources import csv, jsonl, modality_name, open_source

N, N_NULL, WIDTH = 2100, 1100, 4
X = np.random.default_rng(0).normal(size=(N, WIDTH)) + 1
SETS = [X[i : i + 1 + i % 3] for i in range(60)]


def save_parquet(path: Path, cells: list[Any], name: str = "emb") -> Path:
    """Write a table of ids and one column of cells."""
    pq.write_table(pa.table({"id": range(len(cells)), name: cells}), path)
    return path


def save_arrow(path: Path, cells: list[Any], name: str = "emb") -> Path:
    """Write the same as an Arrow file in batches of 16 rows."""
    table = pa.table({"id": range(len(cells)), name: cells})
    with pa.ipc.new_file(str(path), table.schema) as file:
        file.write_table(table, max_chunksize=16)
    return path


def save_jsonl(path: Path, cells: list[Any], name: str = "emb") -> Path:
    """Write the same as JSON lines."""
    path.write_text("".join(json.dumps({"id": i, name: cell}) + "\n" for i, cell in enumerate(cells)))
    return path


def save_csv(path: Path, cells: list[Any], name: str = "emb") -> Path:
    """Write the same as text."""
    pd.DataFrame({"id": range(len(cells)), name: cells}).to_csv(path, index=False)
    return path


SAVERS: dict[str, Callable[..., Path]] = {"parquet": save_parquet, "arrow": save_arrow, "jsonl": save_jsonl}


@pytest.mark.parametrize("kind", ["text", "bytes", "lists", "sets of one"])
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_column_that_begins_with_null_rows_is_found(suffix: str, kind: str, tmp_path: Path) -> None:
    cell = {"text": lambda row: str(row.tolist()), "bytes": np.ndarray.tobytes, "lists": np.ndarray.tolist}
    to_cell = cell.get(kind, lambda row: [row.tolist()])
    path = SAVERS[suffix](tmp_path / f"a.{suffix}", [None] * N_NULL + [to_cell(row) for row in X[N_NULL:]])
    for member in ("", "::emb"):
        source = open_source(f"{path}{member}")
        assert np.isnan(source.read(0, N_NULL)).all()
        np.testing.assert_array_equal(source.read(N_NULL, N), X[N_NULL:])


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_text_whose_first_block_has_no_value_is_found(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr({"jsonl": jsonl, "csv": csv}[suffix], "BLOCK_BYTES", 4096)
    rows = X[N_NULL:].tolist()
    save = save_jsonl if suffix == "jsonl" else save_csv
    source = open_source(save(tmp_path / f"a.{suffix}", [None] * N_NULL + rows))
    assert np.isnan(source.read(0, N_NULL)).all()
    np.testing.assert_array_equal(source.read(N_NULL, N), X[N_NULL:])
    with pytest.raises(isthmus.InputError, match="::emb: every row is null or empty"):
        open_source(f"{save(tmp_path / f'b.{suffix}', [None] * N_NULL)}::emb")


def test_blocks_of_json_lines_may_have_other_types_and_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 256)
    cells = [[1, 2, 3]] * 40 + [[0.5, 1.5, 2.5]] * 40
    lines = [json.dumps({"emb": cell, **({"note": "a"} if i > 60 else {})}) for i, cell in enumerate(cells)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    np.testing.assert_array_equal(open_source(tmp_path / "a.jsonl").read(0, 80), cells)


def test_apply_to_a_table_whose_first_batch_is_null_leaves_it_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isthmus.align._whole_table import apply_to_table
    from isthmus.data.sources import _whole_tables

    monkeypatch.setattr(_whole_tables, "BATCH_ROWS", 32)
    text: list[Any] = [None] * 40 + [str(row.tolist()) for row in X[40:100]]
    text[90] = "[1.0, 2.0]"
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": text, "y": X[:100].tolist()}), path)
    aligner = isthmus.align.Centering().fit(X[:100], X[:100] - 2)
    columns = {"x": "x", "y": "y"}
    applied = apply_to_table(aligner, path, tmp_path / "b.parquet", columns, drop_bad=True)
    assert (applied.n_rows, applied.n_dropped) == (59, 41)
    with pytest.raises(isthmus.InputError, match=r"::x: rows 0, 1, .* hold null"):
        apply_to_table(aligner, path, tmp_path / "c.parquet", columns)


@pytest.mark.parametrize("suffix", SAVERS)
def test_fields_of_structures_are_columns(suffix: str, tmp_path: Path) -> None:
    image = [{"embedding": row.tolist(), "id": i, "tag": {"key": f"k{i}"}} for i, row in enumerate(X[:60])]
    both = [{"image": cell, "text": {"embedding": (-row).tolist()}} for cell, row in zip(image, X, strict=False)]
    one = SAVERS[suffix](tmp_path / f"one.{suffix}", image, "image")
    np.testing.assert_array_equal(open_source(one).read(0, 60), X[:60])
    two = SAVERS[suffix](tmp_path / f"two.{suffix}", both, "clip")
    with pytest.raises(isthmus.InputError, match=r"\(clip.image.embedding, clip.text.embedding\); select one, such as"):
        open_source(two)
    pairs = isthmus.open_pairs(f"{two}::clip.image.embedding", f"{two}::clip.text.embedding", key="clip.image.tag.key")
    assert pairs.names == ("image", "text")
    np.testing.assert_array_equal(pairs.y.read(0, 60), -X[:60])
    with pytest.raises(isthmus.InputError, match="'clip.image.embeding': did you mean 'clip.image.embedding'"):
        open_source(f"{two}::clip.image.embeding")
    with pytest.raises(isthmus.InputError, match="'clip.image.ids'"):
        isthmus.open_pairs(f"{two}::clip.image.embedding", f"{two}::clip.text.embedding", key="clip.image.ids")


def test_modality_of_a_field_is_its_part_that_names_one() -> None:
    names = ["image.embedding", "embeddings.image", "data.image_embedding", "clip.text.vector", "embedding"]
    assert [modality_name(f"a.parquet::{name}") for name in names] == ["image", "image", "image", "text", "a"]


POOLED = {
    "mean": np.array([vectors.mean(axis=0) for vectors in SETS]),
    "max": np.array([vectors.max(axis=0) for vectors in SETS]),
    "first": np.array([vectors[0] for vectors in SETS]),
}


@pytest.mark.parametrize("pool", POOLED)
@pytest.mark.parametrize("suffix", SAVERS)
def test_cells_of_several_vectors_are_pooled(suffix: str, pool: str, tmp_path: Path) -> None:
    path = SAVERS[suffix](tmp_path / f"a.{suffix}", [vectors.tolist() for vectors in SETS])
    source = open_source(path, pool=pool)
    np.testing.assert_allclose(source.read(0, 60), POOLED[pool], rtol=1e-12)
    np.testing.assert_allclose(source.take(np.array([7, 2, 2, 59])), POOLED[pool][[7, 2, 2, 59]], rtol=1e-12)
    with pytest.raises(isthmus.InputError, match=r"::emb: holds up to 3 vectors an item, .* --pool mean, max or first"):
        open_source(path)


def test_sets_that_are_null_empty_or_of_another_width_are_invalid_rows(tmp_path: Path) -> None:
    cells: list[Any] = [vectors.tolist() for vectors in SETS]
    cells[3], cells[5], cells[8][1] = None, [], cells[8][1][:2]
    source = open_source(save_parquet(tmp_path / "a.parquet", cells), pool="first")
    assert np.flatnonzero(np.isnan(source.read(0, 60)).all(axis=1)).tolist() == [3, 5, 8]
    message = r"rows 3, 5 \(counted from 0\) hold null, .* and row 8 has another length than most rows"
    with pytest.raises(isthmus.InputError, match=message):
        isthmus.measure(source, X[:60], metrics="centroid_angle")


def objects(cells: list[Any]) -> np.ndarray:
    """Return an array of Python objects, one for each cell."""
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


IN_MEMORY: dict[str, Callable[[list[np.ndarray]], Any]] = {
    "list of arrays": list,
    "list of lists": lambda cells: [cell.tolist() for cell in cells],
    "objects": objects,
    "pandas": pd.Series,
    "Arrow": lambda cells: pa.array([cell.tolist() for cell in cells]),
}


@pytest.mark.parametrize("kind", IN_MEMORY)
@pytest.mark.parametrize("sizes", ["several", "one"])
def test_several_vectors_an_item_in_memory_are_pooled(sizes: str, kind: str) -> None:
    cells = SETS if sizes == "several" else [X[i : i + 2] for i in range(60)]
    rows = IN_MEMORY[kind](cells)
    pairs = isthmus.open_pairs(rows, X[:60], pool=("max", None), group=False)
    np.testing.assert_allclose(pairs.x.read(0, 60), [cell.max(axis=0) for cell in cells], rtol=1e-12)
    if (kind, sizes) != ("list of arrays", "one"):  # batches
        with pytest.raises(isthmus.InputError, match=r"pool(=| them with --pool )") as caught:
            isthmus.open_pairs(rows, X[:60])
        assert not re.search("batches", str(caught.value)) or kind == "list of arrays"


def test_objects_that_are_numbers_are_rows_everywhere() -> None:
    rows = X[:50].astype(object)
    correction = isthmus.align.ScoreStandardization().fit(rows, X[:50] - 2)
    expected = correction.query(X[:3], modality="x")
    np.testing.assert_allclose(correction.query(rows[:3], modality="x"), expected)
    np.testing.assert_allclose(correction.query(objects(list(X[:3])), modality="x"), expected)
    with pytest.raises(isthmus.InputError, match="x: holds Python objects, expected floats"):
        correction.query(np.array([["a"] * WIDTH], dtype=object), modality="x")
    with pytest.raises(isthmus.InputError, match="x: has dtype int64, expected floats; whole numbers"):
        isthmus.measure(np.arange(40).reshape(10, 4).astype(object), X[:10])


def test_arrays_of_datasets_and_views_of_polars_are_read(tmp_path: Path) -> None:
    datasets, polars = pytest.importorskip("datasets"), pytest.importorskip("polars")
    cells = np.stack([X[:60]] * 3, axis=1)
    features = datasets.Features({"emb": datasets.Array2D(cells.shape[1:], "float64")})
    data = datasets.Dataset.from_dict({"emb": cells.tolist()}, features=features)
    data.to_parquet(tmp_path / "a.parquet")
    for rows in (tmp_path / "a.parquet", data["emb"]):
        pairs = isthmus.open_pairs(rows, X[:60], pool=("mean", None), names=("x", "y"), group=False)
        np.testing.assert_allclose(pairs.x.read(0, 60), X[:60])
    keys = [f"k{i}" for i in range(60)]
    for name, rows in (("x", X[:60]), ("y", -X[:60])):
        table = polars.DataFrame({"key": keys, "emb": [str(row.tolist()) for row in rows]})
        table.write_ipc(tmp_path / f"{name}.arrow")
    pairs = isthmus.open_pairs(tmp_path / "x.arrow", tmp_path / "y.arrow", key="key")
    np.testing.assert_array_equal(pairs.y.read(0, 60), -X[:60])


def test_lists_of_structures_give_one_list_for_each_field(tmp_path: Path) -> None:
    cells: list[Any] = [{"data": [{"index": 0, "embedding": row.tolist()}]} for row in X[:60]]
    cells[7]["data"] = None
    path = save_jsonl(tmp_path / "batch.jsonl", cells, "body")
    rows = open_source(path).read(0, 60)
    np.testing.assert_array_equal(np.delete(rows, 7, axis=0), np.delete(X[:60], 7, axis=0))
    assert np.isnan(rows[7]).all()


@pytest.mark.parametrize("block_bytes", [300, 2**24])
@pytest.mark.parametrize("numbers", [(1, 59), (3, 4, 40)])
def test_lines_of_another_number_of_fields_are_invalid_rows(
    numbers: tuple[int, ...], block_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv, "BLOCK_BYTES", block_bytes)
    lines = [",".join(map(str, row[: 2 if i in numbers else None])) for i, row in enumerate(X[:60].tolist())]
    for header in ([], ["a,b,c,d"]):
        path = tmp_path / f"{len(header)}.csv"
        path.write_text("\n".join([*header, *lines]) + "\n")
        source = open_source(path)
        np.testing.assert_array_equal(
            np.delete(source.read(0, 60), numbers, axis=0), np.delete(X[:60], numbers, axis=0)
        )
        listed = ", ".join(map(str, numbers))
        with pytest.raises(isthmus.InputError, match=rf"rows {listed} \(counted from 0\) have other lengths"):
            isthmus.measure(source, X[:60], metrics="centroid_angle")
    path.write_text("\n".join([*lines[:5], *["1,2,3"] * 5]) + "\n")
    with pytest.raises(isthmus.InputError, match="is no complete table of text"):
        open_source(path)


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize("n_cells", [WIDTH - 1, WIDTH + 2])
def test_first_line_of_another_number_of_cells_is_an_invalid_row(n_cells: int, separator: str, tmp_path: Path) -> None:
    rows = [[*row, 0.5, 0.5] for row in X[:60].tolist()]
    cells = [row[: n_cells if i in (0, 7) else WIDTH] for i, row in enumerate(rows)]
    path = tmp_path / ("a.csv" if separator == "," else "a.tsv")
    path.write_text("\n".join(separator.join(map(str, row)) for row in cells) + "\n")
    with pytest.raises(isthmus.InputError, match=r"rows 0, 7 \(counted from 0\) have other lengths than most rows"):
        isthmus.measure(path, X[:60], metrics="centroid_angle")
    with pytest.warns(isthmus.IsthmusWarning, match="left out 2 of 60 pairs"):
        pairs = isthmus.open_pairs(path, X[:60], drop_bad=True)
    np.testing.assert_array_equal(pairs.x.read(0, 58), np.delete(X[:60], [0, 7], axis=0))


def test_message_about_several_lengths_counts_each_row_once(tmp_path: Path) -> None:
    cells = [row.tolist()[: WIDTH - i % 2] for i, row in enumerate(X[:200])]
    with pytest.raises(isthmus.InputError, match="the first 200 rows have several lengths .100 of 3, 100 of 4 numbers"):
        open_source(save_parquet(tmp_path / "a.parquet", cells))


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "jsonl"])
def test_unknown_key_proposes_fields_of_structures(suffix: str, tmp_path: Path) -> None:
    cells = [{"embedding": row.tolist(), "number": i} for i, row in enumerate(X[:60])]
    x, y = (SAVERS[suffix](tmp_path / f"{name}.{suffix}", cells, "image") for name in ("x", "y"))
    with pytest.raises(isthmus.InputError, match="'number': did you mean 'image.number'"):
        isthmus.open_pairs(x, y, key="number", names=("image", "text"))


EMPTY_SET: dict[str, Any] = {"list": list, "array": lambda: np.empty((0, WIDTH)), "none": lambda: None}


@pytest.mark.parametrize("empty", EMPTY_SET)
def test_sets_in_lists_without_vectors_or_with_other_lengths_are_invalid_rows(empty: str) -> None:
    sets: list[Any] = [vectors if empty == "array" else vectors.tolist() for vectors in SETS]
    sets[0] = EMPTY_SET[empty]()
    bad = [0]
    if empty != "array":
        sets[5] = [sets[5][0], sets[5][1][:-1], sets[5][2]]
        sets[8] = [sets[8][0][:-1], *sets[8][1:]]
        bad = [0, 5, 8]
    usable = np.setdiff1d(np.arange(60), bad)
    with pytest.warns(isthmus.IsthmusWarning, match=f"left out {len(bad)} of 60 pairs"):
        pairs = isthmus.open_pairs(sets, X[:60], pool="mean", drop_bad=True)
    np.testing.assert_allclose(pairs.x.read(0, len(usable)), POOLED["mean"][usable], rtol=1e-12)
    with pytest.raises(isthmus.InputError, match=r"x: row 0 \(counted from 0\) holds null"):
        isthmus.measure(sets, X[:60], pool="mean", metrics="centroid_angle")


def test_sets_in_lists_that_are_no_numbers_raise_an_error() -> None:
    sets: list[Any] = [vectors.tolist() for vectors in SETS]
    for cell in ("text", "", {}, 0.5, [1.0, [2.0, 3.0]], [["a"] * WIDTH, [1.0] * WIDTH]):
        with pytest.raises(isthmus.InputError, match=r"x: row 59 .* is .*, expected vectors; remove"):
            isthmus.open_pairs([*sets[:-1], cell], X[:60], pool="mean")


def test_arrays_of_a_torch_list_are_sets_if_they_are_pooled(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save([torch.tensor(vectors) for vectors in SETS], tmp_path / "a.pt")
    assert open_source(tmp_path / "a.pt").shape == (sum(map(len, SETS)), WIDTH)
    np.testing.assert_allclose(open_source(tmp_path / "a.pt", pool="max").read(0, 60), POOLED["max"], rtol=1e-12)
    torch.save([torch.tensor(vectors).bfloat16() for vectors in SETS], tmp_path / "b.pt")
    np.testing.assert_allclose(open_source(tmp_path / "b.pt", pool="max").read(0, 60), POOLED["max"], rtol=0.01)


def test_files_without_a_matrix_get_the_next_step(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{f"item_{i}": row for i, row in enumerate(X[:20])})
    with pytest.raises(isthmus.InputError, match=r"holds no \(n, d\) array of floats, only 20 other .* np.stack\(list"):
        open_source(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.zeros(9, dtype=[("id", "i8"), ("emb", "f4", (5,))]))
    with pytest.raises(isthmus.InputError, match=r"\(records\), expected .*; save the field rows\['emb'\] alone"):
        open_source(tmp_path / "b.npy")


@pytest.mark.parametrize("vector", [None, [1, 2, 3]])
@pytest.mark.parametrize("row", [7, 1500])
def test_message_of_codes_names_the_row_of_a_vector_and_not_the_vector(
    vector: list[int] | None, row: int, tmp_path: Path
) -> None:
    cells: list[Any] = [[[1, 2, 3, 4]] * 3 for _ in range(2000)]
    cells[row] = [cells[row][0], vector, cells[row][0]]
    column = pa.array(cells, pa.list_(pa.list_(pa.int8())))
    pq.write_table(pa.table({"emb": column}), tmp_path / "codes.parquet", row_group_size=500)
    message = rf"row {row} \(counted from 0\) is of vectors that are null or not of 4 numbers as most"
    with pytest.raises(isthmus.InputError, match=message):
        open_source(tmp_path / "codes.parquet", scale=0.1, pool="mean")
