"""The .tar format of WebDataset."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import npy
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._members import select_member
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source, same_format
from isthmus.data.sources._writers import SequentialWriter, WriteBlock, Writer
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError

#: The field of embeddings in a new file: `000000000.npy`, ...
FIELD = "npy"


@register
class WebDataset(Format):
    """WebDataset's .tar of one .npy for each sample: `KEY.npy` or `KEY.FIELD.npy`, mapped inside the archive."""

    name = "webdataset"
    suffixes = (".tar",)

    def matches(self, head: bytes) -> bool:
        """Return whether `head` is a tar header."""
        return head[257:262] == b"ustar"

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the field `member` of the samples, or their only .npy field."""
        path: Any = location
        names, begins, sizes = list_files(path)
        fields = [name.rpartition("/")[2].partition(".")[2] for name in names]
        choices = {field.removesuffix(".npy"): field for field in dict.fromkeys(fields) if f".{field}".endswith(".npy")}
        if not choices:
            raise InputError(f"{path}: holds no .npy file, expected one for each sample (KEY.npy or KEY.FIELD.npy)")
        short = member.removesuffix(".npy") if member and member != FIELD else member
        short = select_member(path, list(choices), short)
        address = str(path) if len(choices) == 1 else f"{path}::{short}"
        numbers = np.flatnonzero(np.array(fields) == choices[short])
        begins, sizes = begins[numbers], sizes[numbers]
        width, dtype, header_bytes = _read_first(path, int(begins[0]), int(sizes[0]), address)
        _check_equal_headers(path, begins, sizes, header_bytes, address)
        stems = [names[i].removesuffix(f".{choices[short]}") for i in numbers]

        def keys(name: str) -> Any:
            if name != "__key__":
                raise InputError(
                    f"{path}: has no column {name!r}: the keys of a webdataset are its names, --key __key__"
                )
            return np.array(stems)

        rows = TarMembers(path, begins + header_bytes, width, dtype)
        return Source(
            rows, address=address, format=self.name, location=path, member=short, keys=keys, min_rows=min_rows
        )

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of one .npy for each row. Every other file of the archive `source` is copied in its place."""
        return SequentialWriter(_open_writer(path, shape, dtype, same_format(source, self.name)))


class TarMembers:
    """Vectors of `width` numbers that lie in one file at the bytes `begins`, as rows of a matrix."""

    def __init__(self, path: Path, begins: np.ndarray, width: int, dtype: np.dtype):
        self.dtype, self.shape = dtype, (len(begins), width)
        self._begins, self._row_bytes = begins, width * dtype.itemsize
        data = np.memmap(path, dtype=np.uint8, mode="r")
        # Row i of this view begins at byte i, so that indexing copies whole vectors instead of bytes.
        self._windows = np.lib.stride_tricks.as_strided(
            data, shape=(len(data) - self._row_bytes + 1, self._row_bytes), strides=(1, 1), writeable=False
        )

    def __getitem__(self, key: Any) -> np.ndarray:
        begins = self._begins[key[0] if isinstance(key, tuple) else key]
        rows: np.ndarray = self._windows[begins].view(self.dtype)
        return rows


def list_files(path: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the names of the files in the archive, the byte where each begins, and its size."""
    names: list[str] = []
    begins: list[int] = []
    sizes: list[int] = []
    end = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                if entry.isfile():
                    if entry.issparse():
                        raise InputError(f"{path}: {entry.name} is a sparse file; pack it again with plain tar")
                    names.append(entry.name)
                    begins.append(entry.offset_data)
                    sizes.append(entry.size)
                    if not 0 <= entry.offset_data <= entry.offset_data + entry.size <= end:
                        raise InputError(f"{path}: is truncated inside {entry.name}; copy or pack it again")
                archive.members = []  # type: ignore[attr-defined]  # else every header stays in memory
            end_mark = archive.offset
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError, RecursionError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        advice = "unpack a compressed one, or pack it again"
        raise errors.incomplete_file(path, "tar archive", error, advice) from None
    with path.open("rb") as file:  # tarfile reads an archive that ends between two files, or inside a header
        file.seek(end_mark)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise InputError(
                f"{path}: is truncated behind {names[-1] if names else 'its begin'}; copy or pack it again"
            )
    return names, np.array(begins, dtype=np.int64), np.array(sizes, dtype=np.int64)


def _read_first(path: Path, begin: int, n_bytes: int, address: str) -> tuple[int, np.dtype, int]:
    """Return the width and dtype of the first vector, and the length of its header in bytes."""
    with path.open("rb") as file:
        file.seek(begin)
        head = io.BytesIO(file.read(min(n_bytes, 4096)))
    shape, _, dtype = npy.read_header(head, address)
    validation.check_float_dtype(dtype, address, codes=True)
    if not shape or int(np.prod(shape[:-1], dtype=object)) != 1:
        raise InputError(f"{address}: holds arrays of shape {shape}, expected one vector for each sample")
    if head.tell() + shape[-1] * dtype.itemsize != n_bytes:
        raise InputError(
            f"{address}: its first vector has {n_bytes:,} bytes, which do not fit its header; pack it again"
        )
    return shape[-1], dtype, head.tell()


def _check_equal_headers(path: Path, begins: np.ndarray, sizes: np.ndarray, header_bytes: int, address: str) -> None:
    """Raise InputError if a vector has another header than the first."""
    different = np.flatnonzero(sizes != sizes[0])
    if not len(different):
        headers = TarMembers(path, begins, header_bytes, np.dtype(np.uint8))
        first = headers[:1, ...]
        unequal = [(headers[i : i + 4096, ...] != first).any(axis=1) for i in range(0, len(begins), 4096)]
        different = np.flatnonzero(np.concatenate(unequal))
    if len(different):
        rows_are = validation.rows_are(different, "of another shape or dtype than the first")
        raise InputError(
            f"{address[-120:]}: {rows_are}; embed them again, or pool the vectors of a sample before it is written"
        )


@contextmanager
def _open_writer(path: Path, shape: tuple[int, int], dtype: np.dtype, template: Source | None) -> Iterator[WriteBlock]:
    """Write an archive of one .npy for each row and the other files of `template`."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.empty(shape[1], dtype=dtype))
    header = buffer.getvalue()[: -shape[1] * dtype.itemsize]
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive, _template_entries(template) as entries:

        def write_block(start: int, block: np.ndarray) -> None:
            # An archive is a list of files, so every row is one.
            for number, row in enumerate(np.ascontiguousarray(block, dtype=dtype), start):
                entry = next((e for e in entries(archive)), None) or tarfile.TarInfo(f"{number:09d}.{FIELD}")
                entry.size = len(header) + row.nbytes
                archive.addfile(entry, io.BytesIO(header + row.tobytes()))
                archive.members = []  # type: ignore[attr-defined]
            if start + len(block) == shape[0]:
                for _ in entries(archive):
                    pass

        yield write_block


@contextmanager
def _template_entries(
    template: Source | None,
) -> Iterator[Callable[[tarfile.TarFile], Iterator[tarfile.TarInfo]]]:
    """Yield a function that copies files of `template` up to its next embedding, and yields the entry of that."""
    if template is None:
        yield lambda archive: iter(())
        return
    field = f".{template.member}" if template.member == FIELD else f".{template.member}.npy"
    with tarfile.open(template.location, "r:") as old_archive:
        walk = iter(old_archive)

        def entries(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
            for entry in walk:
                old_archive.members = []  # type: ignore[attr-defined]
                base = entry.name.rpartition("/")[2]
                if entry.isfile() and base.partition(".")[1:] == (".", field[1:]):
                    yield entry
                else:
                    archive.addfile(entry, old_archive.extractfile(entry) if entry.isfile() else None)
                    archive.members = []  # type: ignore[attr-defined]

        yield entries
