"""WebDataset's .tar of one .npy for each sample: `KEY.npy` or `KEY.FIELD.npy`; mapped inside the archive."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import npy
from isthmus.data.sources._base import Put, Source, Streamed, Writer, alike
from isthmus.data.sources._members import choose
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError

SUFFIXES = (".tar",)
MAGIC = None  # "ustar" stands at byte 257
CARRIES_ON = False
#: The field of embeddings in a new file: `000000000.npy`, ...
FIELD = "npy"


class Rows:
    """Vectors that lie in one file at `begins`, `width` numbers each, as rows of a matrix."""

    def __init__(self, place: Path, begins: np.ndarray, width: int, dtype: np.dtype):
        self.dtype, self.shape = dtype, (len(begins), width)
        self._begins, self._size = begins, width * dtype.itemsize
        data = np.memmap(place, dtype=np.uint8, mode="r")
        # Row i of this view begins at byte i: picking rows copies whole vectors, not bytes.
        self._windows = np.lib.stride_tricks.as_strided(
            data, shape=(len(data) - self._size + 1, self._size), strides=(1, 1), writeable=False
        )

    def __getitem__(self, key: Any) -> np.ndarray:
        begins = self._begins[key[0] if isinstance(key, tuple) else key]
        rows: np.ndarray = self._windows[begins].view(self.dtype)
        return rows


def open_source(place: Path, member: str | None, min_rows: int = 2) -> Source:
    """The source in the field `member` of the samples of the archive `place`; the only .npy field when there is one."""
    names, begins, sizes = listed(place)
    fields = [name.rpartition("/")[2].partition(".")[2] for name in names]
    known = {field.removesuffix(".npy"): field for field in dict.fromkeys(fields) if f".{field}".endswith(".npy")}
    if not known:
        raise InputError(f"{place}: holds no .npy file, expected one for each sample (KEY.npy or KEY.FIELD.npy)")
    short = choose(place, list(known), member.removesuffix(".npy") if member and member != FIELD else member)
    where = str(place) if len(known) == 1 else f"{place}::{short}"
    mine = np.flatnonzero(np.array(fields) == known[short])
    shape, dtype, skip = _first(place, int(begins[mine[0]]), int(sizes[mine[0]]), where)
    _alike(place, begins[mine], sizes[mine], skip, where)
    rows = Rows(place, begins[mine] + skip, shape[-1], dtype)
    stems = [names[i].removesuffix(f".{known[short]}") for i in mine]

    def keys(name: str) -> Any:
        if name != "__key__":
            raise InputError(f"{place}: has no column {name!r}: the keys of a webdataset are its names, --key __key__")
        return np.array(stems)

    return Source(rows, where=where, format="webdataset", place=place, member=short, keys=keys, min_rows=min_rows)


def listed(place: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the files in the archive, where each begins, and its size, by a walk from head to head."""
    names: list[str] = []
    begins: list[int] = []
    sizes: list[int] = []
    end = place.stat().st_size
    try:
        with tarfile.open(place, "r:") as archive:
            for entry in archive:
                if entry.isfile():
                    if entry.issparse():
                        raise InputError(f"{place}: {entry.name} is a sparse file; pack it again with plain tar")
                    names.append(entry.name)
                    begins.append(entry.offset_data)
                    sizes.append(entry.size)
                    if not 0 <= entry.offset_data <= entry.offset_data + entry.size <= end:
                        raise InputError(f"{place}: is truncated inside {entry.name}; copy or pack it again")
                archive.members = []  # type: ignore[attr-defined]  # else every header stays in memory
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError, RecursionError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{place}: is not a complete tar archive ({errors.first_line(error)}); unpack a compressed one, or pack it "
            "again"
        ) from None
    return names, np.array(begins, dtype=np.int64), np.array(sizes, dtype=np.int64)


def _first(place: Path, begin: int, size: int, where: str) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape and dtype of the first vector, and how many bytes its header takes."""
    with place.open("rb") as file:
        file.seek(begin)
        head = io.BytesIO(file.read(min(size, 4096)))
    shape, _, dtype = npy.read_header(head, where)
    validation.check_float_dtype(dtype, where)
    if not shape or int(np.prod(shape[:-1], dtype=object)) != 1:
        raise InputError(f"{where}: holds arrays of shape {shape}, expected one vector for each sample")
    if head.tell() + shape[-1] * dtype.itemsize != size:
        raise InputError(
            f"{where}: its first vector has {size:,} bytes, other than its header announces; pack it again"
        )
    return shape, dtype, head.tell()


def _alike(place: Path, begins: np.ndarray, sizes: np.ndarray, skip: int, where: str) -> None:
    """Refuse vectors whose header is not that of the first."""
    odd = np.flatnonzero(sizes != sizes[0])
    if not len(odd):
        heads = Rows(place, begins, skip, np.dtype(np.uint8))
        first = heads[:1, ...]
        found = [(heads[i : i + 4096, ...] != first).any(axis=1) for i in range(0, len(begins), 4096)]
        odd = np.flatnonzero(np.concatenate(found))
    if len(odd):
        raise InputError(
            f"{where}: {validation.format_rows(odd)} (counted from 0) differ from the first in shape or dtype"
        )


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes one .npy for each row; every other file of the archive `like` is copied in its place."""
    return Streamed(_begun(path, shape, dtype, alike(source, "webdataset")))


@contextmanager
def _begun(part: Path, shape: tuple[int, int], dtype: np.dtype, like: Source | None) -> Iterator[Put]:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.empty(shape[1], dtype=dtype))
    head = buffer.getvalue()[: -shape[1] * dtype.itemsize]
    with tarfile.open(part, "w:", format=tarfile.PAX_FORMAT) as out, _entries(like) as entries:

        def write(start: int, block: np.ndarray) -> None:
            # An archive is a list of files: each row is one.
            for number, row in enumerate(np.ascontiguousarray(block, dtype=dtype), start):
                entry = next((e for e in entries(out)), None) or tarfile.TarInfo(f"{number:09d}.{FIELD}")
                entry.size = len(head) + row.nbytes
                out.addfile(entry, io.BytesIO(head + row.tobytes()))
                out.members = []  # type: ignore[attr-defined]
            if start + len(block) == shape[0]:
                for _ in entries(out):
                    pass

        yield write


@contextmanager
def _entries(like: Source | None) -> Iterator[Callable[[tarfile.TarFile], Iterator[tarfile.TarInfo]]]:
    """A function that copies files of `like` into an archive up to the next of its embeddings, whose entry it gives."""
    if like is None:
        yield lambda out: iter(())
        return
    field = f".{like.member}" if like.member == FIELD else f".{like.member}.npy"
    with tarfile.open(like.place, "r:") as archive:
        walk = iter(archive)

        def entries(out: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
            for entry in walk:
                archive.members = []  # type: ignore[attr-defined]
                base = entry.name.rpartition("/")[2]
                if entry.isfile() and base.partition(".")[1:] == (".", field[1:]):
                    yield entry
                else:
                    out.addfile(entry, archive.extractfile(entry) if entry.isfile() else None)
                    out.members = []  # type: ignore[attr-defined]

        yield entries
