"""Every format, written by its own library: the same rows and measures, and one clear sentence for invalid files."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import formats
import isthmus
from isthmus import InputError
from isthmus.data.sources import open_source

ALL = {**formats.FILES, **formats.FOLDERS}


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(43, 6)).astype(np.float32)


@pytest.mark.parametrize("name", ALL)
def test_open_source_in_each_format_returns_the_rows(name: str, rows: np.ndarray, tmp_path: Path) -> None:
    source = open_source(ALL[name](tmp_path, rows))
    assert (source.shape, source.dtype) == (rows.shape, "float32")
    # In order, out of order, backwards, across row groups, shards and batches, past the end.
    for start, stop in ((0, 43), (0, 5), (5, 12), (12, 31), (3, 4), (40, 99), (20, 20), (13, 16)):
        np.testing.assert_array_equal(source.read(start, stop), rows[start:stop])
    for some in ([7, 1, 1, 42], [0], list(range(4, 30)), list(range(42, -1, -2)), []):
        np.testing.assert_array_equal(source.take(np.array(some, dtype=int)), rows[some])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ALL)
def test_open_source_in_each_format_keeps_the_dtype(name: str, dtype: str, rows: np.ndarray, tmp_path: Path) -> None:
    rows = rows.astype(dtype)
    if name in ("ragged_parquet", "large_parquet") and dtype == "float16":
        pytest.importorskip("pyarrow", minversion="16")
    source = open_source(ALL[name](tmp_path, rows))
    assert source.dtype == dtype
    np.testing.assert_array_equal(source.read(0, 43), rows)


def test_open_source_of_bfloat16_tensors_returns_float32(rows: np.ndarray, tmp_path: Path) -> None:
    import torch

    tensor = torch.from_numpy(rows).to(torch.bfloat16)
    torch.save(tensor, tmp_path / "a.pt")
    source = open_source(tmp_path / "a.pt")
    assert source.dtype == "bfloat16"
    np.testing.assert_array_equal(source.read(3, 9), tensor[3:9].float().numpy())
    np.testing.assert_array_equal(source.take(np.array([4, 1])), tensor[[4, 1]].float().numpy())


def test_open_source_of_old_strided_and_trained_tensors_returns_the_rows(rows: np.ndarray, tmp_path: Path) -> None:
    import torch

    torch.save(torch.from_numpy(rows), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(open_source(tmp_path / "old.pt").read(0, 99), rows)
    torch.save(torch.from_numpy(rows.T.copy()).T[::2], tmp_path / "strided.pt")
    np.testing.assert_array_equal(open_source(tmp_path / "strided.pt").read(0, 99), rows[::2])
    torch.save(torch.from_numpy(rows).requires_grad_(), tmp_path / "trained.pt")
    np.testing.assert_array_equal(open_source(tmp_path / "trained.pt").read(0, 99), rows)


@pytest.mark.parametrize("name", ["npy", "npz", "safetensors", "hdf5", "torch", "arrow", "stream"])
def test_read_of_a_mapped_format_makes_no_copy(name: str, rows: np.ndarray, tmp_path: Path) -> None:
    block = open_source(ALL[name](tmp_path, rows)).read(0, 5)
    assert not block.flags.owndata
    before = pa.total_allocated_bytes()
    kept = [open_source(ALL[name](tmp_path, np.tile(rows, (200, 1)))).read(0, 10)]
    assert pa.total_allocated_bytes() - before < 100_000
    assert len(kept)


@pytest.mark.parametrize("name", sorted({*ALL} - {"npy"}))
def test_measure_is_the_same_in_each_format(name: str, rows: np.ndarray, tmp_path: Path) -> None:
    table_of_both = [rows + 1, rows[:, ::-1] - np.float32(0.5)]
    for modality, one in zip(("x", "y"), table_of_both, strict=True):
        (tmp_path / modality).mkdir()
        np.save(tmp_path / f"{modality}.npy", one)
        ALL[name](tmp_path / modality, one)
    expected = isthmus.measure(isthmus.open_pairs(tmp_path / "x.npy", tmp_path / "y.npy"))
    paths = [next(p for p in (tmp_path / modality).iterdir() if p.name != "metadata") for modality in ("x", "y")]
    real_import = isthmus.measure(isthmus.open_pairs(*paths, names=("x", "y")))
    assert json.dumps(real_import.to_dict()["metrics"]) == json.dumps(expected.to_dict()["metrics"])


def test_open_source_of_parquet_selects_a_column(rows: np.ndarray, tmp_path: Path) -> None:
    one = formats.table(rows)
    table_of_both = one.rename_columns(["image_id", "number", "image_embedding", "caption"]).append_column(
        "text_embedding", formats.table(rows + 1)["embedding"]
    )
    pq.write_table(table_of_both, tmp_path / "a.parquet")
    with pytest.raises(
        InputError, match=r"several columns of embeddings \(image_embedding, text_embedding\); select one"
    ):
        open_source(tmp_path / "a.parquet")
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.parquet::text_embedding").read(0, 99), rows + 1)
    pairs = isthmus.open_pairs(f"{tmp_path}/a.parquet::image_embedding", f"{tmp_path}/a.parquet::text_embedding")
    assert pairs.names == ("image", "text")
    np.testing.assert_array_equal(pairs.y.read(10, 30), (rows + 1)[10:30])
    with pytest.raises(InputError, match="unknown column in .*'text_embeding': did you mean 'text_embedding'"):
        open_source(f"{tmp_path}/a.parquet::text_embeding")
    with pytest.raises(InputError, match="a.parquet::caption: holds no numbers, lists or text such as"):
        open_source(f"{tmp_path}/a.parquet::caption")
    pq.write_table(one.drop_columns("embedding"), tmp_path / "none.parquet")
    with pytest.raises(InputError, match="holds no embeddings, only the columns image_id: string, number: int64"):
        open_source(tmp_path / "none.parquet")


def test_open_source_of_hdf5_and_torch_selects_a_member(rows: np.ndarray, tmp_path: Path) -> None:
    import h5py
    import torch

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image/emb"], file["text/emb"], file["ids"] = rows, rows + 1, np.arange(43)
    with pytest.raises(InputError, match="holds the arrays image/emb, text/emb; select one"):
        open_source(tmp_path / "a.h5")
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.h5::text/emb").read(0, 99), rows + 1)
    with pytest.raises(InputError, match="has dtype int64, expected floats"):
        open_source(f"{tmp_path}/a.h5::ids")
    torch.save({"image": torch.from_numpy(rows), "text": torch.from_numpy(rows + 1)}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="holds the arrays image, text; select one"):
        open_source(tmp_path / "a.pt")
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.pt::text").read(0, 99), rows + 1)
    with pytest.raises(InputError, match="unknown array in .*'txt'"):
        open_source(f"{tmp_path}/a.pt::txt")


def test_open_source_of_a_compressed_stream_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    table = formats.table(np.tile(rows, (100, 1)))
    with pa.ipc.new_stream(
        str(tmp_path / "a.arrows"), table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as out:
        out.write_table(table, max_chunksize=100)
    with pytest.raises(InputError, match="is a stream that is compressed"):
        open_source(tmp_path / "a.arrows")


def test_open_source_of_an_invalid_archive_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    import tarfile

    import webdataset

    with webdataset.TarWriter(str(tmp_path / "a.tar")) as out:
        for number, row in enumerate(rows):
            out.write({"__key__": f"{number}", "image.npy": row, "text.npy": row[: 5 if number == 7 else 6]})
    with pytest.raises(InputError, match="holds the arrays image, text; select one, such as .*a.tar::image"):
        open_source(tmp_path / "a.tar")
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.tar::image").read(0, 99), rows)
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.tar::image.npy").read(0, 99), rows)
    with pytest.raises(InputError, match=r"text: row 7 \(counted from 0\) is of another shape or dtype than"):
        open_source(f"{tmp_path}/a.tar::text")
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.add(tmp_path / "a.tar", "a.tar")
    with pytest.raises(InputError, match="holds no .npy file"):
        open_source(tmp_path / "b.tar")
    formats.npy(tmp_path, rows)
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        archive.add(tmp_path / "a.npy", "a.npy")
    with pytest.raises(InputError, match=r"holds arrays of shape \(43, 6\), expected one vector for each sample"):
        open_source(tmp_path / "c.tar")
    with tarfile.open(tmp_path / "d.tar", "w:gz") as archive:
        archive.add(tmp_path / "a.npy", "a.npy")
    with pytest.raises(InputError, match="is compressed by gzip; unpack it"):
        open_source(tmp_path / "d.tar")


def test_open_source_of_tensors_never_unpickles(tmp_path: Path) -> None:
    import torch

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path(tmp_path / "sprung").touch, ())

    torch.save({"rows": torch.ones(4, 4), "trap": Trap()}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="holds Python objects beside tensors, which are never loaded"):
        open_source(tmp_path / "a.pt")
    assert not (tmp_path / "sprung").exists()
    torch.save([1, 2], tmp_path / "b.pt")
    with pytest.raises(InputError, match="holds a list without tensors"):
        open_source(tmp_path / "b.pt")
    torch.save(torch.ones(4, 4).to_sparse(), tmp_path / "c.pt")
    with pytest.raises(InputError, match="is a sparse tensor, expected a dense one"):
        open_source(tmp_path / "c.pt")


@pytest.mark.parametrize(
    ("name", "library", "extra"),
    [
        ("parquet", "pyarrow", "parquet"),
        ("stream", "pyarrow", "parquet"),
        ("hdf5", "h5py", "hdf5"),
        ("torch", "torch", "torch"),
    ],
)
def test_open_source_without_the_library_names_its_extra(
    name: str, library: str, extra: str, rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real_import = ALL[name](tmp_path, rows), builtins.__import__

    def absent(module: str, *arguments: Any, **options: Any) -> Any:
        if module.split(".")[0] == library:
            raise ImportError(module)
        return real_import(module, *arguments, **options)

    import importlib

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda m: absent(m) if m.split(".")[0] == library else real(m))
    with pytest.raises(
        InputError, match=rf"needs {library}.*, which is not installed: pip install 'isthmus\[{extra}\]'"
    ):
        open_source(path)


@pytest.mark.parametrize("name", ALL)
def test_read_by_several_threads_returns_the_rows(name: str, rows: np.ndarray, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    rows = np.tile(rows, (30, 1)) + np.arange(1290, dtype=np.float32)[:, None]
    source = open_source(ALL[name](tmp_path, rows))

    def lane(first: int) -> list[np.ndarray]:
        return [source.read(start, start + 10) for start in range(first, first + 300, 10)]

    with ThreadPoolExecutor(4) as pool:
        for first, blocks in zip((0, 300, 600, 900), pool.map(lane, (0, 300, 600, 900)), strict=True):
            np.testing.assert_array_equal(np.concatenate(blocks), rows[first : first + 300])


def test_open_source_of_hdf5_with_a_user_block_returns_the_rows(rows: np.ndarray, tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file["embedding"] = rows
    np.testing.assert_array_equal(open_source(tmp_path / "a.h5").read(0, 99), rows)
