"""Aligned rows in the format of their source, which keeps the other columns and is read by other libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import formats
import isthmus
from isthmus import InputError
from isthmus.align.streaming import apply
from isthmus.data.joins import select_rows
from isthmus.data.sources import open_source

ALL = {**formats.FILES, **formats.FOLDERS}


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(600, 300)).astype(np.float32)


@pytest.fixture
def aligner(rows: np.ndarray) -> Any:
    return isthmus.align.Centering().fit(isthmus.Pairs(image=rows, text=rows[::-1].copy()))


@pytest.mark.parametrize("name", ALL)
def test_apply_to_the_same_format_keeps_the_layout(name: str, rows: np.ndarray, aligner: Any, tmp_path: Path) -> None:
    path = ALL[name](tmp_path, rows)
    out = path.with_name("out" + path.suffix)
    source = open_source(path)
    assert apply(aligner, source, out, modality="x") == rows.shape
    expected = aligner.transform_x(rows)
    reopened = open_source(out)
    assert reopened.member == source.member
    np.testing.assert_allclose(reopened.read(0, 600), expected, atol=1e-6)
    for key in {"packed_npz": ["number"], "npz": ["number", "image_id"], "safetensors": ["number"]}.get(name, []):
        np.testing.assert_array_equal(reopened.keys(key), source.keys(key))
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("name", ["parquet", "ragged_parquet", "large_parquet", "feather", "arrow", "stream"])
def test_apply_to_a_table_keeps_its_columns(name: str, rows: np.ndarray, aligner: Any, tmp_path: Path) -> None:
    path = ALL[name](tmp_path, rows)
    out = path.with_name("out" + path.suffix)
    apply(aligner, open_source(path), out, modality="x")

    def read(file: Path) -> pa.Table:
        if name.endswith("parquet"):
            return pq.read_table(file)
        if name == "stream":
            return pa.ipc.open_stream(str(file)).read_all()
        return pyarrow.feather.read_table(file)

    before, after = read(path), read(out)
    assert after.schema == before.schema
    assert after.drop_columns("embedding") == before.drop_columns("embedding")
    written_rows = np.array(after["embedding"].to_pylist())
    np.testing.assert_allclose(written_rows, aligner.transform_x(rows), atol=1e-6)
    if name.endswith("parquet"):
        codecs = [pq.ParquetFile(f).metadata.row_group(0).column(0).compression for f in (path, out)]
        assert codecs[0] == codecs[1]


def test_apply_to_a_saved_data_set_is_read_by_its_library(rows: np.ndarray, aligner: Any, tmp_path: Path) -> None:
    import datasets

    path = formats.dataset(tmp_path, rows)
    out = tmp_path / "out"
    apply(aligner, open_source(path), out, modality="x")
    before, after = datasets.load_from_disk(path), datasets.load_from_disk(out)
    assert after.features == before.features
    assert after["caption"][:] == before["caption"][:]
    np.testing.assert_allclose(after.with_format("numpy")["embedding"][:], aligner.transform_x(rows), atol=1e-6)
    # Another width and another dtype are told to the library too.
    flat = rows @ np.diag(np.arange(300) < 50).astype(np.float32)
    narrow = isthmus.align.SharedSpaceProjection(k=20).fit(isthmus.Pairs(image=flat, text=flat + 0.1))
    narrow_out = tmp_path / "narrow"
    width = apply(narrow, open_source(path), narrow_out, modality="x")[1]
    narrow_set = datasets.load_from_disk(narrow_out)
    assert width < 300
    assert narrow_set.features["embedding"].length == width
    assert np.asarray(narrow_set[3]["embedding"]).shape == (width,)


def test_apply_to_hdf5_keeps_its_datasets(rows: np.ndarray, aligner: Any, tmp_path: Path) -> None:
    import h5py

    for make in (formats.hdf5, formats.chunked_hdf5):
        path = make(tmp_path, rows)
        out = tmp_path / f"out{path.suffix}"
        apply(aligner, open_source(path), out, modality="x")
        with h5py.File(path) as before, h5py.File(out) as after:
            assert after.attrs["model"] == "some"
            np.testing.assert_array_equal(after["model/scores"], before["model/scores"])
            np.testing.assert_array_equal(after["image_id"], before["image_id"])
            np.testing.assert_array_equal(after["number"], before["number"])
            assert after["model/embedding"].compression == before["model/embedding"].compression
            np.testing.assert_allclose(after["model/embedding"], aligner.transform_x(rows), atol=1e-6)


def test_apply_to_tensors_and_archives_keeps_other_content(rows: np.ndarray, aligner: Any, tmp_path: Path) -> None:
    import torch

    path = formats.torch(tmp_path, rows)
    apply(aligner, open_source(path), tmp_path / "out.pt", modality="x")
    contents = torch.load(tmp_path / "out.pt", weights_only=True)
    np.testing.assert_array_equal(contents["number"], np.arange(600))
    assert contents["epoch"] == 3
    np.testing.assert_allclose(contents["rows"], aligner.transform_x(rows), atol=1e-6)
    path = formats.webdataset(tmp_path, rows)
    apply(aligner, open_source(path), tmp_path / "out.tar", modality="x")
    before, after = formats.members(path), formats.members(tmp_path / "out.tar")
    assert list(before) == list(after)
    assert all(before[name] == after[name] for name in before if name.endswith(".json"))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".parquet", ".arrow", ".h5", ".pt", ".tar"])
def test_apply_to_another_format_writes_the_rows(suffix: str, rows: np.ndarray, aligner: Any, tmp_path: Path) -> None:
    path = formats.parquet(tmp_path, rows) if suffix != ".parquet" else formats.npy(tmp_path, rows)
    out = tmp_path / f"out{suffix}"
    apply(aligner, open_source(path), out, modality="x")
    np.testing.assert_allclose(open_source(out).read(0, 600), aligner.transform_x(rows), atol=1e-6)


def test_apply_that_fails_leaves_no_file(rows: np.ndarray, aligner: Any, tmp_path: Path) -> None:
    rows[500, 3] = np.nan
    for name, make in ALL.items():
        (tmp_path / name).mkdir()
        path = make(tmp_path / name, rows)
        before = {*path.parent.iterdir()}
        with pytest.raises(InputError, match="row 500 .* holds null, NaN or infinite values; embed them again"):
            apply(aligner, open_source(path), path.with_name("out" + path.suffix), modality="x")
        assert {*path.parent.iterdir()} == before, name


@pytest.mark.parametrize("name", ["parquet", "arrow", "npz", "hdf5", "torch", "webdataset", "clip_retrieval"])
def test_apply_of_selected_rows_keeps_no_columns_of_other_rows(
    name: str, rows: np.ndarray, aligner: Any, tmp_path: Path
) -> None:
    path = ALL[name](tmp_path, rows)
    numbers = np.array([5, 2, 599])
    selected = select_rows(open_source(path), numbers)
    out = path.with_name("out" + path.suffix)
    assert apply(aligner, selected, out, modality="x") == (3, 300)
    output = open_source(out)
    np.testing.assert_allclose(output.read(0, 3), aligner.transform_x(rows[numbers]), atol=1e-6)
    if name in ("parquet", "arrow"):
        with pytest.raises(InputError, match="unknown column of keys"):
            output.keys("image_id")


def test_apply_to_an_invalid_output_is_refused(rows: np.ndarray, aligner: Any, tmp_path: Path) -> None:
    path = formats.parquet(tmp_path, rows)
    with pytest.raises(InputError, match="is the file that is being read"):
        apply(aligner, open_source(path), path, modality="x")
    folder = formats.parquet_folder(tmp_path, rows)
    with pytest.raises(InputError, match="or in nothing for a folder"):
        apply(aligner, open_source(folder), tmp_path / "out.xyz", modality="x")
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="there: exists; give the name of a new folder"):
        apply(aligner, open_source(folder), tmp_path / "there", modality="x")


def test_memory_of_parquet_does_not_grow_with_the_row_group(tmp_path: Path) -> None:
    """A row group of 77 MB is read by two threads, sampled and written back without being held whole by Arrow."""
    rows = np.random.default_rng(0).normal(size=(150_000, 128)).astype(np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 128)
    table = pa.table({"number": np.arange(len(rows)), "embedding": lists})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=len(rows))
    code = (
        "import sys, numpy as np, pyarrow as pa, isthmus\n"
        "from isthmus.align.streaming import apply\n"
        "source = isthmus.sources.open_source(sys.argv[1] + '/a.parquet')\n"
        "aligner = isthmus.align.Centering().fit(source.read(0, 500), source.read(0, 500))\n"
        "isthmus.Moments.of(isthmus.Pairs(x=source, y=source), matmul_dtype='float32')\n"
        "source.take(np.arange(0, 150_000, 50))\n"
        "print(pa.default_memory_pool().max_memory())\n"
        "isthmus.data.sources.parquet.GROUP_BYTES = 2**22\n"
        "apply(aligner, source, sys.argv[1] + '/out.parquet', modality='x')\n"
        "print(pa.default_memory_pool().max_memory())\n"
    )
    process = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    reading, writing = map(int, process.stdout.split())
    assert reading < 50e6
    assert writing < 50e6
    np.testing.assert_allclose(np.linalg.norm(open_source(tmp_path / "out.parquet").read(0, 10), axis=1), 1, atol=0.5)
