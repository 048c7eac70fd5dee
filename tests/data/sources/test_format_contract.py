"""Every registered format, and formats that break a promise, against `isthmus.testing.check_format`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formats as library_files
from isthmus import InputError
from isthmus.data.sources import Format, Source, formats, register
from isthmus.data.sources.npy import memory_map
from isthmus.testing import check_format

#: Format -> name of the key column, in files written by the library of the format.
LIBRARY = {
    "npy": None, "npz": "image_id", "packed_npz": "number", "safetensors": "number", "parquet": "image_id",
    "ragged_parquet": "image_id", "large_parquet": "image_id", "feather": "image_id", "arrow": "image_id",
    "stream": "image_id", "hdf5": "image_id", "chunked_hdf5": "image_id", "torch": "number", "webdataset": "__key__",
    "csv": "image_id", "wide_csv": "number", "tsv": None, "jsonl": "image_id", "text": None, "fvecs": None,
    "bvecs": None, "i8bin": None, "u8bin": None, "ibin": None,
    "parquet_folder": "image_id", "dataset": "image_id", "clip_retrieval": "image_id",
}  # fmt: skip
WRITERS = {**library_files.FILES, **library_files.READ_ONLY, **library_files.FOLDERS}
FORMAT_OF = {
    "packed_npz": "npz", "ragged_parquet": "parquet", "large_parquet": "parquet", "feather": "arrow",
    "stream": "arrow", "wide_csv": "csv", "tsv": "csv", "chunked_hdf5": "hdf5",
    "parquet_folder": "folder", "dataset": "folder", "clip_retrieval": "folder",
}  # fmt: skip


WRITABLE = sorted(name for name, known in formats.items() if type(known).writer is not Format.writer)


@pytest.mark.parametrize("name", WRITABLE)
def test_check_format_of_registered_format_passes(name: str, tmp_path: Path) -> None:
    check_format(formats[name], tmp_path)


def test_formats_without_a_writer_have_a_function_that_writes_their_files() -> None:
    missing = set(formats) - set(WRITABLE) - {FORMAT_OF.get(name, name) for name in LIBRARY}
    assert not missing, f"add {sorted(missing)} to LIBRARY of this file, and a function that writes them to WRITERS"


@pytest.mark.parametrize("name", LIBRARY)
def test_check_format_of_files_of_other_libraries_passes(name: str, tmp_path: Path) -> None:
    check_format(formats[FORMAT_OF.get(name, name)], tmp_path, write=WRITERS[name], key=LIBRARY[name])


class Bytes(Format):
    """Float32 rows behind a header of eight bytes, a format of the tests."""

    name = "bytes"
    suffixes = (".bytes",)
    magic = b"BYTES"

    def open_source(self, location: Any, member: str | None = None, *, min_rows: int = 2) -> Source:
        data = np.fromfile(location, dtype=np.uint8)
        if len(data) < 8 or data[:5].tobytes() != self.magic:
            raise InputError(f"{location}: is not a file of bytes")
        width, n_rows = int(data[5]), int(data[6])
        dtype = np.dtype({2: "f2", 4: "f4", 8: "f8"}.get(int(data[7]), "f4"))
        if len(data) - 8 != width * n_rows * dtype.itemsize:
            raise InputError(f"{location}: is truncated")
        rows = data[8:].view(dtype).reshape(n_rows, width)
        return Source(rows, address=str(location), format=self.name, min_rows=min_rows)

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Any:
        return BytesWriter(path, shape, dtype)


class BytesWriter:
    def __init__(self, path: Path, shape: tuple[int, int], dtype: np.dtype):
        self.file = path.open("wb")
        self.file.write(b"BYTES" + bytes([shape[1], shape[0], dtype.itemsize]))

    def write(self, rows: np.ndarray) -> None:
        self.file.write(rows.tobytes())

    def flush(self) -> None: ...

    def close(self) -> None:
        self.file.close()


def test_check_format_of_minimal_format_passes(tmp_path: Path) -> None:
    register(Bytes)
    try:
        check_format(Bytes(), tmp_path)
    finally:
        formats.unregister("bytes")


def test_check_format_of_files_in_other_byte_order_passes(tmp_path: Path) -> None:
    def write_big_endian(folder: Path, rows: np.ndarray) -> Path:
        np.save(folder / "rows.npy", rows.astype(rows.dtype.newbyteorder(">")))
        return folder / "rows.npy"

    check_format(formats["npy"], tmp_path, write=write_big_endian)


@pytest.mark.parametrize(
    ("format", "message"),
    [
        (Bytes, "is not an instance of isthmus.sources.Format; pass one"),
        (Bytes(), "bytes is not registered; decorate the class with @register"),
    ],
)
def test_check_format_of_another_object_says_what_to_do(format: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=message):
        check_format(format, tmp_path)


def test_check_format_of_another_result_of_write_names_it(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="write returned NoneType, expected the path of the file"):
        check_format(formats["npy"], tmp_path, write=lambda folder, rows: None)  # type: ignore[arg-type, return-value]


def broken(**members: Any) -> Format:
    """Return a format that differs from `Bytes` in these members."""
    return type("Broken", (Bytes,), {"__doc__": "A broken format.", **members})()


def _plus_one(self: Any, location: Any, member: str | None = None, *, min_rows: int = 2) -> Source:
    source = Bytes.open_source(self, location, member, min_rows=min_rows)
    return Source(source.rows + 1, address=source.address, format=self.name, min_rows=min_rows)


def _lenient(self: Any, location: Any, member: str | None = None, *, min_rows: int = 2) -> Source:
    data = np.fromfile(location, dtype=np.uint8)
    if data[:5].tobytes() != b"BYTES" or len(data) < 60:
        raise InputError(f"{location}: is not a file of bytes")
    dtype = np.dtype(f"f{data[7]}")
    width = int(data[5])
    rows = data[8 : 8 + (len(data) - 8) // (width * dtype.itemsize) * width * dtype.itemsize].view(dtype)
    return Source(rows.reshape(-1, width), address=str(location), format=self.name, min_rows=min_rows)


def _crashing(self: Any, location: Any, member: str | None = None, *, min_rows: int = 2) -> Source:
    if np.fromfile(location, dtype=np.uint8)[:5].tobytes() != b"BYTES":
        raise KeyError("no magic")
    return Bytes.open_source(self, location, member, min_rows=min_rows)


def _value_error(self: Any, location: Any, member: str | None = None, *, min_rows: int = 2) -> Source:
    try:
        return Bytes.open_source(self, location, member, min_rows=min_rows)
    except InputError as error:
        raise ValueError(str(error)) from error


def _any_dtype(self: Any, location: Any, member: str | None = None, *, min_rows: int = 2) -> Source:
    head = np.fromfile(location, dtype=np.uint8, count=8)
    if len(head) == 8 and head.tobytes()[:5] == b"BYTES" and head[7] not in (2, 4, 8):
        rows = np.fromfile(location, dtype=np.uint8)[8:].reshape(43, -1)
        return Source(rows, address=str(location), format=self.name, min_rows=min_rows)
    return Bytes.open_source(self, location, member, min_rows=min_rows)


def _without_member(self: Any, location: Any, *, min_rows: int = 2) -> Source:
    return Bytes.open_source(self, location, min_rows=min_rows)


def _without_min_rows(self: Any, location: Any, member: str | None = None) -> Source:
    return Bytes.open_source(self, location, member)


def _untidy(self: Any, path: Path, shape: tuple[int, int], dtype: np.dtype, **_: Any) -> Any:
    path.with_name("left over").touch()
    return BytesWriter(path, shape, dtype)


def _any_length(self: Any, location: Any, member: str | None = None, *, min_rows: int = 2) -> Source:
    return Bytes.open_source(self, location, member, min_rows=0)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"name": ""}, "has no name; set the class attribute `name`"),
        ({"suffixes": ".bytes"}, "suffixes of bytes are '.bytes', expected a tuple"),
        ({"open_source": _without_member}, "bytes: open_source has no parameter `member`"),
        ({"open_source": _without_min_rows}, "bytes: open_source has no parameter `min_rows`"),
        ({"open_source": _value_error}, "bytes: a truncated file raised ValueError, expected InputError"),
        ({"open_source": _any_dtype}, "bytes: a file where byte 7 is .* of uint8, expected floats"),
        ({"suffixes": ("bytes",)}, "suffix 'bytes' of bytes is not a lower-case"),
        ({"magic": b""}, "magic of bytes is empty"),
        ({"magic": b"OTHER"}, "its own file is not recognised|InputError for a valid call"),
        ({"__doc__": None}, "has no docstring"),
        ({"name": "npy"}, "another format is registered under the name 'npy'"),
        ({"open_source": _plus_one}, r"read\(0, 43\) returns other rows"),
        ({"open_source": _lenient}, "a file cut off after .* bytes is read as"),
        ({"open_source": _crashing}, "a truncated file raised KeyError, expected InputError"),
        ({"open_source": _any_length}, "no error for a file of one row, expected InputError"),
        ({"writer": _untidy}, "leaves other files beside rows.bytes"),
        ({"writer": Format.writer}, "bytes cannot be written: give check_format a function `write`"),
        ({"supports_resume": True}, "bytes: InputError for a valid call: .* is truncated"),
    ],
)
def test_check_format_of_broken_format_names_the_promise(members: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=message):
        check_format(broken(**members), tmp_path)


def test_register_adds_a_format_that_open_source_finds(tmp_path: Path) -> None:
    from isthmus.data.sources import open_source

    register(Bytes)
    try:
        rows = np.arange(12, dtype=np.float32).reshape(4, 3)
        writer = formats["bytes"].writer(tmp_path / "a.bytes", (4, 3), rows.dtype)
        writer.write(rows)
        writer.close()
        np.testing.assert_array_equal(open_source(tmp_path / "a.bytes").read(0, 4), rows)
        (tmp_path / "a.bytes").rename(tmp_path / "unnamed")
        assert open_source(tmp_path / "unnamed").format == "bytes"
        register(Bytes)  # a notebook cell that is run again
    finally:
        formats.unregister("bytes")
    assert "bytes" not in formats


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"name": "npy", "suffixes": (".other",)}, "format 'npy' is registered twice"),
        ({"name": ""}, "format Broken has no name; set the class attribute `name`"),
        ({"suffixes": ".bytes"}, r"format 'bytes': suffixes='.bytes', expected lower-case ones such as \('.npy',\)"),
        ({"suffixes": ("bytes",)}, r"format 'bytes': suffixes=\('bytes',\), expected lower-case ones"),
        ({"suffixes": (".other", ".pq")}, "format 'bytes' has the suffix .pq, which belongs to 'parquet'"),
    ],
)
def test_register_of_a_name_or_suffix_that_exists_is_refused(members: dict[str, Any], message: str) -> None:
    before = dict(formats)
    with pytest.raises(InputError, match=message):
        register(type(broken(**members)))
    assert dict(formats) == before


def test_writable_format_of_a_format_that_is_only_read_lists_the_others() -> None:
    from isthmus.data.sources import writable_format

    read_only = type("ReadOnly", (Bytes,), {"__doc__": "Bytes.", "suffixes": (".ro",), "writer": Format.writer})
    register(read_only)
    try:
        message = (
            r"a\.ro: files of 'bytes' are read but not written; give .* ends in one of \.arrow, (?!.*\.ro).*\.tar$"
        )
        with pytest.raises(InputError, match=message):
            writable_format("a.ro")
    finally:
        formats.unregister("bytes")


def test_formats_are_found_without_a_list() -> None:
    folder = Path(memory_map.__code__.co_filename).parent
    modules = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert {type(known).__module__.rpartition(".")[2] for known in formats.values()} == modules
