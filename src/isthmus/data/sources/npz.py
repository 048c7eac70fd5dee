"""NumPy's .npz: a stored member is memory-mapped inside the archive, a compressed one is read into memory."""

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
from isthmus.data.sources._base import Put, Source, Streamed, Writer, alike
from isthmus.data.sources._members import choose
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name

SUFFIXES = (".npz",)
MAGIC = b"PK\x03\x04"
CARRIES_ON = False
#: The array of embeddings in a new file.
NAME = "rows"
#: What Python's zip reader raises on bytes that are no archive.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, OSError),
)


def open_source(place: Path, member: str | None, min_rows: int = 2) -> Source:
    """The source in member `member` of the archive `place`; the only array when there is one."""
    with reading(place), zipfile.ZipFile(place) as archive:
        names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
        fit = [name for name in names if member is None and _is_matrix(archive, name)]
        name = choose(place, names if member is not None or not fit else fit, member)
        where = f"{place}::{name}"
        info = archive.getinfo(f"{name}.npy")
        if info.compress_type == zipfile.ZIP_STORED:
            rows = npy.mapped(place, where=where, offset=_begin(place, info), size=info.file_size, min_rows=min_rows)
        else:
            rows = _inflated(archive.read(info), where)

    def keys(key: str) -> Any:
        with reading(place), zipfile.ZipFile(place) as archive:
            if key not in names:
                raise unknown_name(f"array of keys in {place}", key, names)
            return _inflated(archive.read(f"{key}.npy"), f"{place}::{key}")

    return Source(rows, where=where, format="npz", place=place, member=name, keys=keys, min_rows=min_rows)


@contextmanager
def reading(place: Path) -> Iterator[None]:
    """What Python says of broken archives, in our words."""
    try:
        yield
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(
            f"{place}: is not a complete .npz archive ({errors.first_line(error)}); save it with numpy.savez"
        ) from None


def _is_matrix(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether the member may be embeddings; what cannot be read is said when it is opened."""
    with archive.open(f"{name}.npy") as file:
        try:
            shape, _, dtype = npy.read_header(io.BytesIO(file.read(npy.LONGEST_HEADER)), name)
        except InputError:
            return True
    return len(shape) == 2 and dtype.kind in "fO"


def _begin(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: after its local header, whose name and extra field vary in length."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<26x2H", file.read(30))
    return int(info.header_offset + 30 + name + extra)


def _inflated(data: bytes, where: str) -> np.ndarray:
    """The array in the .npy bytes `data`, without a copy; whatever its header announces, no more than is there."""
    file = io.BytesIO(data)
    shape, fortran, dtype = npy.read_header(file, where)
    if dtype.hasobject:
        validation.check_float_dtype(dtype, where)
    count = int(np.prod(shape, dtype=object))
    if count * dtype.itemsize > len(data) - file.tell():
        raise InputError(f"{where}: is truncated: its header announces shape {shape}; save it with numpy.savez")
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=file.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes blocks of rows as a stored member of a new archive; its other members are those of `like`."""
    return Streamed(_begun(path, shape, dtype, alike(source, "npz")))


@contextmanager
def _begun(part: Path, shape: tuple[int, int], dtype: np.dtype, like: Source | None) -> Iterator[Put]:
    name = NAME if like is None else like.member
    with zipfile.ZipFile(part, "w") as out:
        if like is not None:
            with reading(like.place), zipfile.ZipFile(like.place) as old:
                for info in old.infolist():
                    if info.filename != f"{name}.npy":
                        with old.open(info) as source, out.open(info, "w") as target:
                            shutil.copyfileobj(source, target, 2**20)
        with out.open(f"{name}.npy", "w", force_zip64=True) as target:
            target.write(npy.header(shape, dtype))

            def write(start: int, block: np.ndarray) -> None:
                target.write(np.ascontiguousarray(block, dtype=dtype).data)

            yield write
