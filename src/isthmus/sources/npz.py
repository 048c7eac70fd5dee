"""NumPy's .npz: a stored member is memory-mapped inside the archive, a compressed one is read into memory."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from isthmus.checks import InputError
from isthmus.sources import npy
from isthmus.sources._base import Source, Writer
from isthmus.sources._members import choose, member_name

SUFFIXES = (".npz",)
CARRIES_ON = False
#: What Python's zip reader raises on bytes that are no archive.
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, OSError),
)


def open_source(path: Path, member: str | None) -> Source:
    """The source in member `member` of the archive `path`; the only array when there is one."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            name = choose(path, names, member)
            where = f"{path}::{name}"
            info = archive.getinfo(f"{name}.npy")
            if info.compress_type == zipfile.ZIP_STORED:
                array = npy.mapped(path, where=where, offset=_begin(path, info), size=info.file_size)
            else:
                array = _inflated(archive.read(info), where)
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(f"{path}: is not a complete .npz archive ({error}); save it with numpy.savez") from None
    return Source(array, where=where, format="npz")


def _begin(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: after its local header, whose name and extra field vary in length."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        name, extra = struct.unpack("<26x2H", file.read(30))
    return int(info.header_offset + 30 + name + extra)


def _inflated(data: bytes, where: str) -> np.ndarray:
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        if "pickle" in str(error) or "Object" in str(error):
            raise InputError(
                f"{where}: holds Python objects (pickled), which are never loaded; save a plain float array"
            ) from None
        raise InputError(f"{where}: is not a complete array ({error}); save it with numpy.savez") from None


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes an archive of one stored array, which has the name that it has in the source (else 'rows')."""
    return _Member(path, f"{member_name(source)}.npy", npy.header(shape, dtype), dtype)


class _Member:
    """A stored member of an archive, written in blocks: its checksum is known, and written, when it is closed."""

    def __init__(self, path: Path, name: str, header: bytes, dtype: np.dtype):
        self.dtype = dtype.newbyteorder("<")
        self.archive = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self.member = self.archive.open(name, "w", force_zip64=True)
        self.member.write(header)

    def write(self, rows: np.ndarray) -> None:
        self.member.write(np.ascontiguousarray(rows, dtype=self.dtype).data)

    def flush(self) -> None:
        """Nothing on disk is of use before the archive is closed."""

    def close(self) -> None:
        self.member.close()
        self.archive.close()
