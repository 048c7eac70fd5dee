"""URLs, stores and folders of shards."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import formats
import isthmus
from isthmus import InputError
from isthmus.data.sources import open_source


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(43, 6)).astype(np.float32)


def test_open_source_of_a_url_returns_the_rows(rows: np.ndarray, tmp_path: Path) -> None:
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


def test_source_of_a_url_does_not_hold_its_password(rows: np.ndarray, tmp_path: Path) -> None:
    import fsspec

    class Guarded(fsspec.implementations.local.LocalFileSystem):
        protocol = "guarded"

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(path).rpartition("@")[2]

    fsspec.register_implementation("guarded", Guarded, clobber=True)
    formats.parquet(tmp_path, rows)
    url = f"guarded://me:secret@{tmp_path}/a.parquet"
    source = open_source(url)
    np.testing.assert_array_equal(source.read(3, 9), rows[3:9])
    pairs = isthmus.open_pairs(url, tmp_path / "a.parquet", names=("a", "b"))
    result = isthmus.measure(pairs, metrics="centroid_angle")
    assert "secret" not in f"{source} {source.address} {source.location} {result.to_dict()}"
    assert source.address.startswith("guarded://me@")


@pytest.mark.parametrize(
    "url", ["weaviate://table", "weaviate://db/table::vector", "nosuch://bucket/none.parquet", "sqlite:t.db/t::v"]
)
def test_open_source_of_unknown_scheme_says_that_no_store_is_installed(url: str) -> None:
    scheme = url.partition(":")[0]
    with pytest.raises(InputError, match=f"no store or file system of the scheme '{scheme}' is installed; install"):
        open_source(url)


@pytest.mark.parametrize(("name", "advice"), [("a.npy", "a file of their own"), ("a.index", "as .*a.index::IDS.npy")])
def test_filter_of_a_store_behind_a_file_gets_one_sentence(
    rows: np.ndarray, tmp_path: Path, name: str, advice: str
) -> None:
    np.save(tmp_path / "a.npy", rows)
    (tmp_path / "a.npy").rename(tmp_path / name)
    with pytest.raises(InputError, match=rf"is a file, and '\?modality=image' selects rows of a.*{advice}"):
        open_source(f"{tmp_path / name}?modality=image")


def test_open_source_of_a_device_or_pipe_is_refused_without_reading_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")  # an open would wait for a writer
    for path in (tmp_path / "pipe.npy", os.devnull):
        with pytest.raises(InputError, match="is a pipe or a device, expected a file or a folder"):
            open_source(path)


def test_open_source_of_registered_scheme_asks_its_store(rows: np.ndarray) -> None:
    class Store:
        def open_source(self, url: str, *, min_rows: int) -> isthmus.sources.Source:
            return isthmus.sources.Source(rows, address=url, min_rows=min_rows)

    isthmus.sources.stores.register("teststore", Store())
    try:
        assert open_source("teststore://db/table::vector").address == "teststore://db/table::vector"
    finally:
        isthmus.sources.stores.unregister("teststore")


def test_open_source_of_a_folder_accepts_shards_of_one_row_and_of_none(rows: np.ndarray, tmp_path: Path) -> None:
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


def test_open_source_of_an_invalid_folder_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    import datasets

    table_of_both = datasets.DatasetDict({n: datasets.Dataset(formats.table(rows)) for n in ("train", "test")})
    table_of_both.save_to_disk(tmp_path / "both")
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


def test_open_source_of_shards_of_several_float_types_is_refused(rows: np.ndarray, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    for number, dtype in enumerate((torch.float32, torch.bfloat16)):
        save_file({"rows": torch.from_numpy(rows).to(dtype)}, tmp_path / f"{number}.safetensors")
    with pytest.raises(InputError, match=r"1.safetensors: holds bfloat16, but 0.safetensors holds float32"):
        open_source(tmp_path)
