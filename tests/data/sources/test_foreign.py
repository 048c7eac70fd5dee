"""Files that are something else are named with what to run next, and .fbin files are read."""

from __future__ import annotations

import gzip
import lzma
import pickle
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from isthmus import InputError
from isthmus.data.sources import open_source

X = np.random.default_rng(24).normal(size=(20, 4)).astype(np.float32)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


@pytest.mark.parametrize("name", ["image.npy", "image.parquet", "image.bin", f"{'a' * 200}.npy"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LFS, "is a Git LFS pointer.*git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "is an HTML page"),
        (gzip.compress(X.tobytes()), "is compressed by gzip; unpack it with gunzip"),
        (
            pickle.dumps({"image": X}),
            r"is a pickle.*pickle.load\(open\(.*\)\['image'\] and np.save\('rows.npy', np.asa",
        ),
        (pickle.dumps(X), r"is a pickle.*pickle.load\(open\(.*'rb'\)\) and np.save\('rows.npy', np.asarray\(rows, '"),
        (lzma.compress(X.tobytes()), "is compressed by xz"),
        (X.tobytes() + b"LANC", "is a file of a Lance table; give lancedb://"),
        (b"IxFI" + X.tobytes(), "is a faiss index; rename it so that it ends in .index, or write faiss:FILE"),
    ],
    ids=["lfs", "html", "gzip", "pickled dictionary", "pickle", "xz", "lance", "faiss"],
)
def test_open_source_of_another_kind_of_file_names_it(content: bytes, message: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        open_source(tmp_path / name)
    assert len(str(caught.value)) <= 300


def test_open_source_of_sqlite_names_it(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "image.db")
    connection.execute("create table vectors (id integer)")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="is an SQLite database"):
        open_source(tmp_path / "image.db")


def test_open_source_of_fbin_maps_the_rows(tmp_path: Path) -> None:
    with (tmp_path / "base.fbin").open("wb") as file:
        np.array(X.shape, dtype=np.uint32).tofile(file)
        X.tofile(file)
    np.testing.assert_array_equal(open_source(tmp_path / "base.fbin").read(0, 20), X)
    with pytest.raises(InputError, match="files of .fbin hold one array"):
        open_source(f"{tmp_path}/base.fbin::x")


@pytest.mark.parametrize(
    ("folder", "files", "message"),
    [
        ("vectors.lance", ["data/0.lance"], "is a Lance table; give lancedb://.*/vectors::COLUMN"),
        ("db", ["vectors.lance/data/0.lance"], "is a Lance table; give lancedb://.*/db/vectors::COLUMN"),
        (
            "rows.zarr",
            [".zarray", "0.0"],
            r"is a Zarr array or group; run rows = zarr.open\('.*rows.zarr'\) and np.save",
        ),
        ("group", ["zarr.json", "image/zarr.json"], "is a Zarr array or group"),
        ("chroma", ["chroma.sqlite3"], "is a Chroma database; give chroma:.*chroma/COLLECTION"),
    ],
)
def test_open_source_of_a_folder_of_another_kind_names_it(
    folder: str, files: list[str], message: str, tmp_path: Path
) -> None:
    for file in files:
        (tmp_path / folder / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / file).write_bytes(b"{}")
    with pytest.raises(InputError, match=message) as caught:
        open_source(tmp_path / folder)
    assert len(str(caught.value)) <= 300


def test_object_array_is_refused_with_the_lines_that_make_it_plain(tmp_path: Path) -> None:
    np.save(tmp_path / "list.npy", np.array([*X, X[0, :2]], dtype=object), allow_pickle=True)
    np.save(tmp_path / "dict.npy", {"image": X}, allow_pickle=True)  # type: ignore[arg-type]
    for name in ("list.npy", "dict.npy"):
        with pytest.raises(InputError, match=r"never loaded.*np.load\(FILE, allow_pickle=True\).*np.save\('rows.npy'"):
            open_source(tmp_path / name)


def test_message_about_a_zarr_array_opens_it_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("group.zarr/image").mkdir(parents=True)
    Path("group.zarr/image/zarr.json").touch()
    with pytest.raises(InputError, match=r"zarr.open\('group.zarr/image'\)"):
        open_source("group.zarr/image")


def test_pointer_with_the_suffix_of_pytorch_is_named(tmp_path: Path) -> None:
    (tmp_path / "image.pt").write_bytes(LFS)
    with pytest.raises(InputError, match="is a Git LFS pointer"):
        open_source(tmp_path / "image.pt")


def test_shard_that_is_something_else_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "part_0.npy", X)
    (tmp_path / "part_1.npy").write_bytes(LFS)
    with pytest.raises(InputError, match=r"part_1.npy: is a Git LFS pointer, not the file itself; run `git lfs pull`"):
        open_source(tmp_path)


@pytest.mark.parametrize("protocol", range(6))
def test_pickle_of_every_protocol_is_named(protocol: int, tmp_path: Path) -> None:
    for name, content in (("rows", X), ("dictionary", {"image": X}), ("list", [X])):
        (tmp_path / f"{name}.npy").write_bytes(pickle.dumps(content, protocol=protocol))
        with pytest.raises(InputError, match="is a pickle, which can run code and is never loaded"):
            open_source(tmp_path / f"{name}.npy")


@pytest.mark.parametrize("width", [640, 896, 1152, 1408])
def test_fvecs_of_widths_that_begin_like_a_pickle_are_read(width: int, tmp_path: Path) -> None:
    rows = np.random.default_rng(width).normal(size=(3, width)).astype(np.float32)
    widths = np.full((3, 1), width, dtype=np.int32).view(np.float32)
    np.hstack([widths, rows]).tofile(tmp_path / "image.fvecs")
    np.testing.assert_array_equal(open_source(tmp_path / "image.fvecs").read(0, 3), rows)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (LFS, "is a Git LFS pointer"),
        (b"SQLite format 3\x00", "is an SQLite database"),
        (b"<!DOCTYPE html>", "is an HTML page"),
        (gzip.compress(b"rows"), "is compressed by gzip"),
        (b"PK\x03\x04", "is a zip archive, not rows without a header"),
        (pickle.dumps(X), "is a pickle"),
        (b"\x93NUMPY", "is a file of the format 'npy'; leave out --raw"),
        (b"PAR1", "is a file of the format 'parquet'; leave out --raw"),
    ],
    ids=["lfs", "sqlite", "html", "gzip", "zip", "pickle", "npy", "parquet"],
)
def test_raw_rows_of_another_kind_of_file_are_refused(start: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "image.bin").write_bytes(start + bytes(-len(start) % 16) + X.tobytes())
    with pytest.raises(InputError, match=message):
        open_source(tmp_path / "image.bin", raw="float32:4")
