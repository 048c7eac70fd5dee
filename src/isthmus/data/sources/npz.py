"""The .npz format of NumPy."""

from __future__ import annotations

import io
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import npy
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._members import check_has_matrix, select_member
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source, same_format
from isthmus.data.sources._writers import SequentialWriter, WriteBlock, Writer
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name

#: The array of embeddings in a new file.
NAME = "rows"
#: Errors that Python's zip reader raises on bytes that are no archive.
_ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, OSError),
)


@register
class Npz(Format):
    """NumPy's .npz: a stored member is memory-mapped inside the archive, a compressed one is read into memory."""

    name = "npz"
    suffixes = (".npz",)
    magic = b"PK\x03\x04"

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the array `member` of the archive, or its only array."""
        path: Any = location
        with translated_errors(path), zipfile.ZipFile(path) as archive:
            names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            candidates = [name for name in names if member is None and _may_be_embeddings(archive, name)]
            candidates = candidates or [name for name in names if member is None and _may_be_codes(archive, name)]
            check_has_matrix(path, candidates, names, member)
            name = select_member(path, names if member is not None or not candidates else candidates, member)
            address = f"{path}::{name}"
            info = archive.getinfo(f"{name}.npy")
            if info.compress_type == zipfile.ZIP_STORED:
                begin = _data_offset(path, info)
                rows = npy.memory_map(path, address=address, offset=begin, n_bytes=info.file_size, min_rows=min_rows)
            else:
                rows = _from_bytes(archive.read(info), address)

        def keys(key: str) -> Any:
            with translated_errors(path), zipfile.ZipFile(path) as archive:
                if key not in names:
                    raise unknown_name(f"array of keys in {path}", key, names)
                return _from_bytes(archive.read(f"{key}.npy"), f"{path}::{key}")

        return Source(rows, address=address, format=self.name, location=path, member=name, keys=keys, min_rows=min_rows)

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of a stored array. The other arrays are those of `source`."""
        return SequentialWriter(_open_writer(path, shape, dtype, same_format(source, self.name)))


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Raise the errors of Python's zip reader as InputError."""
    try:
        yield
    except InputError:
        raise
    except _ZIP_ERRORS as error:
        raise errors.incomplete_file(path, ".npz archive", error, "save it with numpy.savez") from None


def _may_be_codes(archive: zipfile.ZipFile, name: str) -> bool:
    """Return whether the array may be codes of 8 bits."""
    return _may_be_embeddings(archive, name, kinds="iu", itemsize=1)


def _may_be_embeddings(archive: zipfile.ZipFile, name: str, kinds: str = "fO", itemsize: int | None = None) -> bool:
    """Return whether the array may be embeddings. One with a broken header is refused when it is opened."""
    with archive.open(f"{name}.npy") as file:
        try:
            shape, _, dtype = npy.read_header(io.BytesIO(file.read(npy.MAX_HEADER_BYTES)), name)
        except InputError:
            return True
    return len(shape) in (2, 3) and dtype.kind in kinds and itemsize in (None, dtype.itemsize)


def _data_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Return the first byte of a stored member, behind its local header, whose name and extra field vary in length."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<26x2H", file.read(30))
    return int(info.header_offset + 30 + name + extra)


def _from_bytes(data: bytes, address: str) -> np.ndarray:
    """Return the array in the .npy bytes `data` without a copy. A header cannot announce more than `data` holds."""
    npy_stream = io.BytesIO(data)
    shape, fortran, dtype = npy.read_header(npy_stream, address)
    if dtype.hasobject:
        validation.check_float_dtype(dtype, address)
    count = int(np.prod(shape, dtype=object))
    if count * dtype.itemsize > len(data) - npy_stream.tell():
        raise InputError(f"{address}: is truncated: its header states shape {shape}; save it with numpy.savez")
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=npy_stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


@contextmanager
def _open_writer(path: Path, shape: tuple[int, int], dtype: np.dtype, template: Source | None) -> Iterator[WriteBlock]:
    """Write an archive with one stored array and the other arrays of `template`."""
    name = NAME if template is None else template.member
    with zipfile.ZipFile(path, "w") as archive:
        if template is not None:
            with translated_errors(template.location), zipfile.ZipFile(template.location) as old_archive:
                for info in old_archive.infolist():
                    if info.filename != f"{name}.npy":
                        with old_archive.open(info) as old_member, archive.open(info, "w") as copied_member:
                            shutil.copyfileobj(old_member, copied_member, 2**20)
        with archive.open(f"{name}.npy", "w", force_zip64=True) as target:
            target.write(npy.header_bytes(shape, dtype))

            def write_block(_start: int, block: np.ndarray) -> None:
                target.write(np.ascontiguousarray(block, dtype=dtype).data)

            yield write_block
