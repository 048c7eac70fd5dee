"""Every format, written by its own library: the same rows, the same numbers from every verb, clear refusals."""

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
def test_the_rows_come_back(name: str, rows: np.ndarray, tmp_path: Path) -> None:
    source = open_source(ALL[name](tmp_path, rows))
    assert (source.shape, source.dtype) == (rows.shape, "float32")
    # In order, out of order, backwards, across row groups, shards and batches, past the end.
    for start, stop in ((0, 43), (0, 5), (5, 12), (12, 31), (3, 4), (40, 99), (20, 20), (13, 16)):
        np.testing.assert_array_equal(source.read(start, stop), rows[start:stop])
    for some in ([7, 1, 1, 42], [0], list(range(4, 30)), list(range(42, -1, -2)), []):
        np.testing.assert_array_equal(source.take(np.array(some, dtype=int)), rows[some])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ALL)
def test_every_width_of_floats(name: str, dtype: str, rows: np.ndarray, tmp_path: Path) -> None:
    rows = rows.astype(dtype)
    if name in ("ragged_parquet", "large_parquet") and dtype == "float16":
        pytest.importorskip("pyarrow", minversion="16")
    source = open_source(ALL[name](tmp_path, rows))
    assert source.dtype == dtype
    np.testing.assert_array_equal(source.read(0, 43), rows)


def test_bfloat16_tensors(rows: np.ndarray, tmp_path: Path) -> None:
    import torch

    tensor = torch.from_numpy(rows).to(torch.bfloat16)
    torch.save(tensor, tmp_path / "a.pt")
    source = open_source(tmp_path / "a.pt")
    assert source.dtype == "bfloat16"
    np.testing.assert_array_equal(source.read(3, 9), tensor[3:9].float().numpy())
    np.testing.assert_array_equal(source.take(np.array([4, 1])), tensor[[4, 1]].float().numpy())


def test_old_and_strided_tensors(rows: np.ndarray, tmp_path: Path) -> None:
    import torch

    torch.save(torch.from_numpy(rows), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(open_source(tmp_path / "old.pt").read(0, 99), rows)
    torch.save(torch.from_numpy(rows.T.copy()).T[::2], tmp_path / "strided.pt")
    np.testing.assert_array_equal(open_source(tmp_path / "strided.pt").read(0, 99), rows[::2])
    torch.save(torch.from_numpy(rows).requires_grad_(), tmp_path / "trained.pt")
    np.testing.assert_array_equal(open_source(tmp_path / "trained.pt").read(0, 99), rows)


@pytest.mark.parametrize("name", ["npy", "npz", "safetensors", "hdf5", "torch", "arrow", "stream"])
def test_what_can_be_mapped_is_not_copied(name: str, rows: np.ndarray, tmp_path: Path) -> None:
    block = open_source(ALL[name](tmp_path, rows)).read(0, 5)
    assert not block.flags.owndata
    before = pa.total_allocated_bytes()
    kept = [open_source(ALL[name](tmp_path, np.tile(rows, (200, 1)))).read(0, 10)]
    assert pa.total_allocated_bytes() - before < 100_000
    assert len(kept)


@pytest.mark.parametrize("name", sorted({*ALL} - {"npy"}))
def test_measure_is_the_same_whatever_the_format(name: str, rows: np.ndarray, tmp_path: Path) -> None:
    both = [rows + 1, rows[:, ::-1] - np.float32(0.5)]
    for side, one in zip(("x", "y"), both, strict=True):
        (tmp_path / side).mkdir()
        np.save(tmp_path / f"{side}.npy", one)
        ALL[name](tmp_path / side, one)
    expected = isthmus.measure(isthmus.open_pairs(tmp_path / "x.npy", tmp_path / "y.npy"))
    paths = [next(p for p in (tmp_path / side).iterdir() if p.name != "metadata") for side in ("x", "y")]
    found = isthmus.measure(isthmus.open_pairs(*paths, names=("x", "y")))
    assert json.dumps(found.to_dict()["metrics"]) == json.dumps(expected.to_dict()["metrics"])


def test_a_column_is_chosen(rows: np.ndarray, tmp_path: Path) -> None:
    one = formats.table(rows)
    both = one.rename_columns(["image_id", "number", "image_embedding", "caption"]).append_column(
        "text_embedding", formats.table(rows + 1)["embedding"]
    )
    pq.write_table(both, tmp_path / "a.parquet")
    with pytest.raises(
        InputError, match=r"several columns of embeddings \(image_embedding, text_embedding\); say which"
    ):
        open_source(tmp_path / "a.parquet")
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.parquet::text_embedding").read(0, 99), rows + 1)
    pairs = isthmus.open_pairs(f"{tmp_path}/a.parquet::image_embedding", f"{tmp_path}/a.parquet::text_embedding")
    assert pairs.names == ("image", "text")
    np.testing.assert_array_equal(pairs.y.read(10, 30), (rows + 1)[10:30])
    with pytest.raises(InputError, match="unknown column in .*'text_embeding': did you mean 'text_embedding'"):
        open_source(f"{tmp_path}/a.parquet::text_embeding")
    with pytest.raises(InputError, match="a.parquet::caption: holds string, expected a list of float16"):
        open_source(f"{tmp_path}/a.parquet::caption")
    pq.write_table(one.drop_columns("embedding"), tmp_path / "none.parquet")
    with pytest.raises(InputError, match="holds no column of lists of floats, only image_id: string, number: int64"):
        open_source(tmp_path / "none.parquet")


def test_the_member_is_chosen(rows: np.ndarray, tmp_path: Path) -> None:
    import h5py
    import torch

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image/emb"], file["text/emb"], file["ids"] = rows, rows + 1, np.arange(43)
    with pytest.raises(InputError, match="holds the arrays image/emb, text/emb; say which one"):
        open_source(tmp_path / "a.h5")
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.h5::text/emb").read(0, 99), rows + 1)
    with pytest.raises(InputError, match="has dtype int64, expected float16"):
        open_source(f"{tmp_path}/a.h5::ids")
    torch.save({"image": torch.from_numpy(rows), "text": torch.from_numpy(rows + 1)}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="holds the arrays image, text; say which one"):
        open_source(tmp_path / "a.pt")
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.pt::text").read(0, 99), rows + 1)
    with pytest.raises(InputError, match="unknown array in .*'txt'"):
        open_source(f"{tmp_path}/a.pt::txt")


def nulls(rows: np.ndarray, kind: str, *, inside: bool) -> pa.Table:
    values = [list(map(float, row)) for row in rows]
    for number in (3, 17, 30):
        if inside:
            values[number][2] = None  # type: ignore[call-overload]
        else:
            values[number] = None  # type: ignore[call-overload]
    kinds = {
        "fixed": pa.list_(pa.float32(), 6),
        "variable": pa.list_(pa.float32()),
        "large": pa.large_list(pa.float32()),
    }
    return pa.table({"embedding": pa.array(values, type=kinds[kind])})


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("kind", ["fixed", "variable", "large"])
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_nulls_are_refused_with_their_rows(
    suffix: str, kind: str, inside: bool, rows: np.ndarray, tmp_path: Path
) -> None:
    made, path = nulls(rows, kind, inside=inside), tmp_path / f"a.{suffix}"
    if suffix == "parquet":
        pq.write_table(made, path, row_group_size=20)
    else:
        with pa.ipc.new_file(str(path), made.schema) as out:
            out.write_table(made, max_chunksize=20)
    source = open_source(path)
    what = "partly null" if inside else "null"
    with pytest.raises(InputError, match=rf"embedding: rows 3, 17 \(counted from 0\) are {what}"):
        source.read(0, 20)
    with pytest.raises(InputError, match=rf"row 30 \(counted from 0\) is {what}"):
        source.read(25, 40)
    np.testing.assert_array_equal(source.read(4, 17), rows[4:17])  # no row has shifted
    np.testing.assert_array_equal(source.read(31, 43), rows[31:])


def test_lists_of_unequal_length(rows: np.ndarray, tmp_path: Path) -> None:
    values = [list(map(float, row)) for row in rows]
    values[21] = values[21][:4]
    pq.write_table(pa.table({"e": pa.array(values, type=pa.list_(pa.float32()))}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a.parquet::e: row 21 \(counted from 0\) holds 4 numbers, expected 6"):
        open_source(tmp_path / "a.parquet").read(0, 43)


def test_a_url(rows: np.ndarray, tmp_path: Path) -> None:
    import fsspec

    formats.parquet(tmp_path, rows)
    (folder := formats.parquet_folder(tmp_path, rows))
    system = fsspec.filesystem("memory")
    system.put(str(tmp_path / "a.parquet"), "/bucket/img_emb.parquet")
    system.put(str(folder), "/bucket/shards", recursive=True)
    np.testing.assert_array_equal(open_source("memory://bucket/img_emb.parquet").read(5, 30), rows[5:30])
    source = open_source("memory://bucket/img_emb.parquet::embedding")
    np.testing.assert_array_equal(source.take(np.array([40, 2])), rows[[40, 2]])
    assert source.address == "memory://bucket/img_emb.parquet::embedding"
    np.testing.assert_array_equal(open_source("memory://bucket/shards").read(5, 30), rows[5:30])
    np.testing.assert_array_equal(open_source(f"file://{tmp_path}/a.parquet").read(5, 30), rows[5:30])
    assert isthmus.sources.modality_name("memory://bucket/img_emb.parquet") == "image"
    with pytest.raises(InputError, match="memory://bucket/none.parquet: no such file"):
        open_source("memory://bucket/none.parquet")
    system.pipe("/bucket/a.npy", b"")
    with pytest.raises(InputError, match="only files of arrow and parquet are read through URLs"):
        open_source("memory://bucket/a.npy")


@pytest.mark.parametrize("url", ["lancedb://table", "lancedb://db/table::vector", "nosuch://bucket/none.parquet"])
def test_open_source_of_unknown_scheme_says_that_no_store_is_installed(url: str) -> None:
    scheme = url.partition(":")[0]
    with pytest.raises(InputError, match=f"no store or file system of the scheme '{scheme}' is installed; install"):
        open_source(url)


def test_open_source_of_registered_scheme_asks_its_store(rows: np.ndarray) -> None:
    class Store:
        def open_source(self, url: str) -> isthmus.sources.Source:
            return isthmus.sources.Source(rows, address=url)

    isthmus.sources.stores.register("teststore", Store())
    try:
        assert open_source("teststore://db/table::vector").address == "teststore://db/table::vector"
    finally:
        isthmus.sources.stores.unregister("teststore")


def test_shards_of_one_row_and_of_none(rows: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "n").mkdir()
    (tmp_path / "v").mkdir()
    for number, (start, stop) in enumerate(((0, 0), (0, 20), (20, 20), (20, 21), (21, 43), (43, 43))):
        pq.write_table(formats.table(rows)[start:stop], tmp_path / "p" / f"{number}.parquet")
        pq.write_table(formats.table(rows, "variable")[start:stop], tmp_path / "v" / f"{number}.parquet")
        np.save(tmp_path / "n" / f"{number}.npy", rows[start:stop])
    for folder in ("p", "n", "v"):
        source = open_source(tmp_path / folder)
        np.testing.assert_array_equal(source.read(10, 30), rows[10:30])
        np.testing.assert_array_equal(source.read(0, 99), rows)
        np.testing.assert_array_equal(source.take(np.array([42, 20, 0])), rows[[42, 20, 0]])
    pq.write_table(formats.table(rows)[:0], tmp_path / "empty.parquet")
    with pytest.raises(InputError, match=r"is empty \(shape \(0, 6\)\), expected at least two rows"):
        open_source(tmp_path / "empty.parquet")


def test_folders_that_cannot_be_read(rows: np.ndarray, tmp_path: Path) -> None:
    import datasets

    both = datasets.DatasetDict({n: datasets.Dataset(formats.table(rows)) for n in ("train", "test")})
    both.save_to_disk(tmp_path / "both")
    with pytest.raises(InputError, match=r"holds the splits test, train of a data set; give one, such as .*both/test"):
        open_source(tmp_path / "both")
    np.testing.assert_array_equal(open_source(tmp_path / "both" / "train").read(0, 99), rows)
    state = tmp_path / "both" / "test" / "state.json"
    state.write_text(state.read_text().replace("00000-of", "00007-of"))
    with pytest.raises(InputError, match="state.json: lists data-00007-of-00001.arrow, which the folder does not hold"):
        open_source(tmp_path / "both" / "test")
    state.write_text("{}")
    with pytest.raises(InputError, match="state.json: does not list the shards"):
        open_source(tmp_path / "both" / "test")
    formats.parquet(tmp_path / "both", rows)
    formats.npy(tmp_path / "both", rows)
    with pytest.raises(InputError, match=r"holds shards of several formats \(.npy, .parquet\)"):
        open_source(tmp_path / "both")


def test_a_compressed_stream_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    made = formats.table(np.tile(rows, (100, 1)))
    with pa.ipc.new_stream(
        str(tmp_path / "a.arrows"), made.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as out:
        out.write_table(made, max_chunksize=100)
    with pytest.raises(InputError, match="is a stream that is compressed"):
        open_source(tmp_path / "a.arrows")


def test_archives_that_are_no_webdataset(rows: np.ndarray, tmp_path: Path) -> None:
    import tarfile

    import webdataset

    with webdataset.TarWriter(str(tmp_path / "a.tar")) as out:
        for number, row in enumerate(rows):
            out.write({"__key__": f"{number}", "image.npy": row, "text.npy": row[: 5 if number == 7 else 6]})
    with pytest.raises(InputError, match="holds the arrays image, text; say which one as .*a.tar::image"):
        open_source(tmp_path / "a.tar")
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.tar::image").read(0, 99), rows)
    np.testing.assert_array_equal(open_source(f"{tmp_path}/a.tar::image.npy").read(0, 99), rows)
    with pytest.raises(InputError, match=r"text: row 7 \(counted from 0\) differ from the first"):
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
    with pytest.raises(InputError, match="unpack a compressed one"):
        open_source(tmp_path / "d.tar")


def test_a_pickled_tensor_file_is_never_loaded(tmp_path: Path) -> None:
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
    with pytest.raises(InputError, match="torch.sparse_coo, expected dense float16"):
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
def test_a_missing_library_is_named_with_its_extra(
    name: str, library: str, extra: str, rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, found = ALL[name](tmp_path, rows), builtins.__import__

    def absent(module: str, *rest: Any, **more: Any) -> Any:
        if module.split(".")[0] == library:
            raise ImportError(module)
        return found(module, *rest, **more)

    import importlib

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", lambda m: absent(m) if m.split(".")[0] == library else real(m))
    with pytest.raises(
        InputError, match=rf"needs {library}.*, which is not installed: pip install 'isthmus\[{extra}\]'"
    ):
        open_source(path)


@pytest.mark.parametrize("name", ALL)
def test_threads_do_not_disturb_each_other(name: str, rows: np.ndarray, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    rows = np.tile(rows, (30, 1)) + np.arange(1290, dtype=np.float32)[:, None]
    source = open_source(ALL[name](tmp_path, rows))

    def lane(first: int) -> list[np.ndarray]:
        return [source.read(start, start + 10) for start in range(first, first + 300, 10)]

    with ThreadPoolExecutor(4) as pool:
        for first, blocks in zip((0, 300, 600, 900), pool.map(lane, (0, 300, 600, 900)), strict=True):
            np.testing.assert_array_equal(np.concatenate(blocks), rows[first : first + 300])


@pytest.mark.parametrize("kind", ["fixed", "variable", "large", "required"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip", "lz4", "brotli"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_plain_pages_agree_with_pyarrow(
    kind: str, compression: str, dictionary: bool, rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages begin in the middle of rows, dictionaries overflow into plain pages: still the rows, and not unpacked."""
    from isthmus.data.sources import _parquet_pages

    rows = np.random.default_rng(0).normal(size=(3000, 7)).astype(np.float32)
    made = formats.table(rows, "fixed" if kind == "required" else kind)
    if kind == "required":
        inner = pa.list_(pa.field("item", pa.float32(), nullable=False), 7)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), type=inner)
        made = pa.table([lists], schema=pa.schema([pa.field("embedding", inner, nullable=False)]))
    options: dict[str, Any] = {"row_group_size": 1300, "data_page_size": 4000, "write_batch_size": 64}
    options |= {"compression": compression, "use_dictionary": dictionary, "dictionary_pagesize_limit": 2000}
    pq.write_table(made, tmp_path / "a.parquet", write_page_checksum=dictionary, **options)
    plain, blocks = [], _parquet_pages.ColumnChunk.blocks
    monkeypatch.setattr(
        _parquet_pages.ColumnChunk, "blocks", lambda self, size: (plain.append(len(b)) or b for b in blocks(self, size))
    )
    source = open_source(tmp_path / "a.parquet")
    for start, stop in ((0, 3000), (0, 700), (700, 1400), (1400, 2100), (2999, 3000), (5, 6)):
        np.testing.assert_array_equal(source.read(start, stop), rows[start:stop])
    np.testing.assert_array_equal(source.take(np.array([2999, 4, 1299, 1300])), rows[[2999, 4, 1299, 1300]])
    assert sum(plain) > 2000


@pytest.mark.parametrize(
    "options", [{"data_page_version": "2.0"}, {"use_byte_stream_split": ["embedding"], "use_dictionary": ["caption"]}]
)
def test_pages_of_other_kinds_are_left_to_pyarrow(options: dict[str, Any], rows: np.ndarray, tmp_path: Path) -> None:
    pq.write_table(formats.table(rows), tmp_path / "a.parquet", row_group_size=20, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(open_source(tmp_path / "a.parquet").read(0, 99), rows)


@pytest.mark.parametrize("lengths", [(6, 5, 7, 6), (6, 12, 0, 6), (6, 7, 5, 6)])
def test_unequal_lists_that_make_up_for_each_other(lengths: tuple[int, ...], tmp_path: Path) -> None:
    values = [[float(i)] * n for i, n in enumerate(lengths)]
    made = pa.table({"e": pa.array(values * 300, type=pa.list_(pa.float32()))})
    for name, options in {"plain": {"use_dictionary": False}, "dictionary": {}}.items():
        pq.write_table(made, tmp_path / f"{name}.parquet", **options)
        with pytest.raises(InputError, match=rf"row 1 \(counted from 0\) holds {lengths[1]} numbers, expected 6"):
            open_source(tmp_path / f"{name}.parquet").read(0, 999)


@pytest.mark.parametrize("compression", ["none", "snappy"])
@pytest.mark.parametrize("group", [0, 1])
def test_read_of_parquet_page_with_a_flipped_bit_is_refused(
    group: int, compression: str, rows: np.ndarray, tmp_path: Path
) -> None:
    """pyarrow verifies the first row, which gives the width; the second row group reaches the direct reader alone."""
    options: dict[str, Any] = {"compression": compression, "use_dictionary": False, "write_page_checksum": True}
    rows = np.tile(rows, (4, 1))
    pq.write_table(formats.table(rows).select(["embedding"]), tmp_path / "a.parquet", row_group_size=86, **options)
    column = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(group).column(0)
    intact = (tmp_path / "a.parquet").read_bytes()
    end = column.data_page_offset + column.total_compressed_size
    for position in (end - 1, end - 100, end - 500):
        data = bytearray(intact)
        data[position] ^= 1
        (tmp_path / "a.parquet").write_bytes(data)
        with pytest.raises(InputError, match=r"is not a complete parquet file \(.*(checksum|CRC)"):
            open_source(tmp_path / "a.parquet").read(0, 999)
    (tmp_path / "a.parquet").write_bytes(intact)
    np.testing.assert_array_equal(open_source(tmp_path / "a.parquet").read(0, 999), rows)


def test_read_of_parquet_page_with_a_flipped_bit_is_silent_without_checksum(rows: np.ndarray, tmp_path: Path) -> None:
    """The pages of the test above are read as they lie: only the checksum tells that a number has changed."""
    options: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_page_checksum": False}
    pq.write_table(formats.table(rows), tmp_path / "a.parquet", row_group_size=20, **options)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[data.index(rows[30].tobytes()) + 3] ^= 1
    (tmp_path / "a.parquet").write_bytes(data)
    assert not np.array_equal(open_source(tmp_path / "a.parquet").read(0, 99), rows)
