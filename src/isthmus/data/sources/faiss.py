"""Indexes of faiss that hold their rows."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources._format import Format
from isthmus.data.sources._ids import SelectedRows, selected_ids
from isthmus.data.sources._locations import Location
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source, same_format
from isthmus.data.sources._writers import RawRowsWriter, Writer
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError

#: First bytes of an index: flat by inner product and Euclidean distance, and ids around an index.
FLAT = (b"IxFI", b"IxF2")
IDS = (b"IxMp", b"IxM2")
#: First letters of every other index.
_PREFIXES = (b"Ix", b"Iw", b"IH", b"IB", b"IN", b"IR", b"IS", b"IL", b"IP", b"Ih", b"Ib")
#: Width, rows, two unused numbers, whether it is trained, and the metric. Then the number of values follows.
_HEADER = struct.Struct("<4siqqq?i")
_COUNT = struct.Struct("<Q")
_UNUSED = 1 << 20


@register
class Faiss(Format):
    """faiss (.index, .faiss): a flat index, mapped, or a scalar-quantised one, with its ids. Others lack their rows.

    FILE.index::IDS.npy reads the rows whose ids are in a file.
    """

    name = "faiss"
    suffixes = (".index", ".faiss")
    dtypes = ("float32",)
    supports_resume = True

    def matches(self, head: bytes) -> bool:
        """Return whether these are the first bytes of an index."""
        return head[:2] in _PREFIXES and head[:4].isalnum() and len(head) >= _HEADER.size

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the rows of the index. Its ids are the keys 'id'."""
        if not isinstance(location, Path):
            raise InputError(f"{location}: an index of faiss is read from a local file; copy it to this machine")
        if member is not None and not member.endswith(".npy"):
            raise InputError(
                f"{location}::{member}: a faiss index holds one set of rows; leave out '::{member}', or give a file of "
                "ids as ::IDS.npy"
            )
        with location.open("rb") as file:
            head = file.read(4)
        rows: Any
        rows, ids = _mapped(location) if head in (*FLAT, *IDS) else (None, None)
        if rows is None:
            rows, ids = _decoded(location)
        if member is not None:
            ids = np.arange(rows.shape[0]) if ids is None else ids
            chosen, order = selected_ids(member, ids, str(location)), np.argsort(ids, kind="stable")
            rows, ids = SelectedRows(rows, order[np.searchsorted(ids, chosen, sorter=order)]), chosen
        numbers = ids

        def keys(name: str) -> Any:
            if name != "id" or numbers is None:
                has = "its ids as the keys 'id'" if numbers is not None else "no ids"
                raise InputError(f"{location}: holds {has}, and {name!r} is missing; give a file of keys")
            return numbers

        address = str(location) if member is None else f"{location}::{member}"
        return Source(
            rows,
            address=address,
            format=self.name,
            location=location,
            member=member,
            keys=keys,
            min_rows=min_rows,
        )

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of a flat index of inner products, with the ids of `source` if it is an index with ids."""
        del dtype
        template = same_format(source, self.name)
        ids = None
        if template is not None:
            with Path(template.location).open("rb") as file:
                has_ids = file.read(4) in IDS
            ids = np.asarray(template.keys("id"), dtype="<i8") if has_ids or template.member else None
        return _IndexWriter(path, shape, start, ids)


class _IndexWriter(RawRowsWriter):
    """Writes the header, the rows, and at the end the ids."""

    def __init__(self, path: Path, shape: tuple[int, int], start: int, ids: np.ndarray | None):
        header = _header(FLAT[0], shape) + _COUNT.pack(shape[0] * shape[1])
        super().__init__(
            path, header if ids is None else _header(IDS[0], shape) + header, shape, np.dtype("<f4"), start
        )
        self.ids = ids

    def close(self) -> None:
        """Append the ids and close the file."""
        if self.ids is not None:
            self.file.write(_COUNT.pack(len(self.ids)) + self.ids.tobytes())
        super().close()


def _header(kind: bytes, shape: tuple[int, int]) -> bytes:
    return _HEADER.pack(kind, shape[1], shape[0], _UNUSED, _UNUSED, True, 0)


def _mapped(path: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Map the rows of a flat index, and read its ids. Return no rows if the index within the ids is another one."""
    size = os.path.getsize(path)
    with path.open("rb") as file:
        head = file.read(2 * _HEADER.size + _COUNT.size)
        has_ids = head[:4] in IDS
        offset = _HEADER.size if has_ids else 0
        if has_ids and head[offset : offset + 4] not in FLAT:
            return None, None
        if len(head) < offset + _HEADER.size + _COUNT.size:
            raise _incomplete(path)
        _, width, n_rows, _, _, _, _ = _HEADER.unpack_from(head, offset)
        (n_values,) = _COUNT.unpack_from(head, offset + _HEADER.size)
        start = offset + _HEADER.size + _COUNT.size
        end = start + 4 * n_values
        expected = end + (_COUNT.size + 8 * n_rows if has_ids else 0)
        if width < 1 or n_rows < 0 or n_values != width * n_rows or expected != size:
            raise _incomplete(path)
        validation.check_matrix_shape((n_rows, width), str(path), min_rows=0)
        ids = None
        if has_ids:
            file.seek(end)
            if file.read(_COUNT.size) != _COUNT.pack(n_rows):
                raise _incomplete(path)
            ids = np.frombuffer(file.read(8 * n_rows), dtype="<i8")
    if not n_rows:
        return np.empty((0, width), dtype="<f4"), ids
    return np.memmap(path, dtype="<f4", mode="r", offset=start, shape=(n_rows, width)), ids


class _DecodedRows:
    """Rows that an index decodes block by block."""

    random_access = True

    def __init__(self, index: Any, owner: Any):
        self.index, self.owner = index, owner  # an index with ids frees the one within
        self.shape = (int(index.ntotal), int(index.d))
        self.dtype = np.dtype("float32")

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, tuple):
            start, stop, _ = key[0].indices(self.shape[0])
            rows: np.ndarray = self.index.reconstruct_n(start, max(stop - start, 0))
            return rows
        numbers = np.asarray(key, dtype=np.int64)
        selected: np.ndarray = self.index.reconstruct_batch(numbers)
        return selected


def _decoded(path: Path) -> tuple[Any, np.ndarray | None]:
    """Open a scalar-quantised index, with or without ids."""
    faiss = errors.import_optional("faiss", "faiss", f"reading {path}", package="faiss-cpu")
    try:
        index = faiss.read_index(str(path))
    except (RuntimeError, MemoryError, ValueError) as error:
        raise InputError(f"{path}: is not a complete index of faiss ({errors.first_line(error, 60)})") from None
    ids, owner = None, index
    if isinstance(index, (faiss.IndexIDMap, faiss.IndexIDMap2)):
        ids = np.asarray(faiss.vector_to_array(index.id_map))
        index = faiss.downcast_index(index.index)
    if not isinstance(index, (faiss.IndexFlat, faiss.IndexScalarQuantizer)):
        raise InputError(
            f"{path}: is an {type(index).__name__}, which does not give its rows back in their order; expected a flat "
            "or scalar-quantised index; give the file of the rows that the index was built from"
        )
    return _DecodedRows(index, owner), ids


def _incomplete(path: Path) -> InputError:
    return InputError(f"{path}: is not a complete index of faiss; write it again with faiss.write_index")
