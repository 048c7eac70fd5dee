"""Arrow's IPC files and streams (.arrow, .feather): record batches mapped in place; compressed files batch by batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import _lists, _tables
from isthmus.data.sources._base import Put, Source, Streamed, Writer, alike
from isthmus.data.sources._places import Place, Remote, opened
from isthmus.utils import errors
from isthmus.utils.errors import InputError

SUFFIXES = (".arrow", ".feather", ".ipc", ".arrows")
MAGIC = b"ARROW1"
CARRIES_ON = False


class Table:
    """A file or stream of record batches: its schema, and its batches by number with the columns that are asked for."""

    def __init__(self, place: Place):
        import pyarrow as pa

        self._file = opened(place)
        self._whole = None if isinstance(place, Remote) else self._file.read_buffer()  # mapped: nothing is read
        self._file.seek(0)
        self.streamed = self._file.read(len(MAGIC)) != MAGIC
        self._open = pa.ipc.open_stream if self.streamed else pa.ipc.open_file
        self.schema = self._reader().schema

    def batches(
        self, columns: list[str], check: Callable[[Any], None] = lambda batch: None
    ) -> tuple[int, Callable[[int], Any]]:
        """How many batches there are, and the function that gives one with these columns."""
        import pyarrow as pa

        fields = [self.schema.get_field_index(name) for name in columns]
        reader = self._reader(options=pa.ipc.IpcReadOptions(included_fields=fields))
        if not self.streamed:
            return reader.num_record_batches, reader.get_batch
        listed = []  # of what is mapped: this costs no memory
        for batch in reader:
            check(batch)
            listed.append(batch)
        return len(listed), listed.__getitem__

    def mapped(self, batch: Any) -> bool:
        """Whether the numbers of `batch` lie in the file as they are, neither compressed nor copied."""
        if self._whole is None:
            return False
        begin, end = self._whole.address, self._whole.address + self._whole.size
        found = [buffer for column in batch.columns for buffer in column.buffers() if buffer is not None]
        return all(begin <= buffer.address <= end for buffer in found if buffer.size)

    def _reader(self, **options: Any) -> Any:
        self._file.seek(0)
        return self._open(self._file, **options)


class Rows:
    """A column of lists as rows of a matrix, taken from the record batches in place."""

    def __init__(self, place: Place, member: str | None):
        self.where = str(place)
        with _lists.reading(self.where, "Arrow"):
            table = Table(place)
            self.column = _lists.embedding_column(table.schema, member, self.where)
            self.where = f"{place}::{self.column}"

            def check(batch: Any) -> None:
                if not table.mapped(batch):
                    raise InputError(
                        f"{self.where}: is a stream that is compressed or far away, which would have to be unpacked "
                        "whole; save it as an Arrow file (feather) or as parquet"
                    )

            count, self._get = table.batches([self.column], check)
            # The number of rows is read with the narrowest column: compressed ones must be unpacked for it.
            narrow = min(table.schema, key=lambda field: (field.type.num_fields, field.type != "bool")).name
            get = self._get if table.streamed else table.batches([narrow])[1]
            sizes = [get(number).num_rows for number in range(count)]
            self.ends = np.cumsum(sizes, dtype=np.int64)
            kind = table.schema.field(self.column).type
            self.dtype = _lists.dtype_of(kind)
            self._ready: tuple[int, Any] = (-1, None)
            self._lock = threading.Lock()
            self.random_access = count == 0 or table.mapped(self._get(0))
            first = next((number for number in range(count) if sizes[number]), 0)
            width = _lists.width_of(kind, lambda: self._batch(first)[:1] if count else [], self.where)
            self.shape = (int(self.ends[-1]) if count else 0, width)

    def __getitem__(self, key: Any) -> np.ndarray:
        with _lists.reading(self.where, "Arrow"):
            if isinstance(key, tuple):
                start, stop, _ = key[0].indices(self.shape[0])
                return self._range(start, stop)
            key = np.asarray(key)
            out = np.empty((len(key), self.shape[1]), dtype=self.dtype)
            batch = np.searchsorted(self.ends, key, side="right")
            for number in np.unique(batch):
                mine = np.flatnonzero(batch == number)
                wanted, back = np.unique(key[mine], return_inverse=True)
                out[mine] = self._range(int(wanted[0]), int(wanted[-1]) + 1)[wanted - wanted[0]][back]
            return out

    def _range(self, start: int, stop: int) -> np.ndarray:
        blocks = []
        while start < stop:
            number = int(np.searchsorted(self.ends, start, side="right"))
            begin = 0 if number == 0 else int(self.ends[number - 1])
            end = min(stop, int(self.ends[number]))
            lists = self._batch(number)[start - begin : end - begin]
            if len(lists) != end - start:
                raise ValueError(f"record batch {number} holds another number of rows than it announces")
            blocks.append(_lists.matrix(lists, self.shape[1], start, self.where))
            start = end
        if not blocks:
            return np.empty((0, self.shape[1]), dtype=self.dtype)
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _batch(self, number: int) -> Any:
        with self._lock:
            if number != self._ready[0]:  # a compressed batch is unpacked once
                self._ready = (number, self._get(number).column(0))
            return self._ready[1]


def open_source(place: Place, member: str | None, min_rows: int = 2) -> Source:
    """The source in the list column `member` of `place`; the only such column when there is one."""
    errors.import_optional("pyarrow.feather", "parquet", f"reading {place}")
    rows = Rows(place, member)

    def keys(name: str) -> Any:
        import pyarrow as pa

        with _lists.reading(str(place), "Arrow"):
            table = Table(place)
            name = _lists.key_column(table.schema, name, str(place))
            count, get = table.batches([name])
            columns = [get(number).column(0) for number in range(count)]
            kind = table.schema.field(name).type
            return _lists.plain_keys(pa.chunked_array(columns, type=kind), f"{place}::{name}")

    return Source(rows, where=rows.where, format="arrow", place=place, member=rows.column, keys=keys, min_rows=min_rows)


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes blocks of rows into the list column of a new file; its other columns are those of `like`."""
    return Streamed(_begun(path, shape, dtype, alike(source, "arrow")))


@contextmanager
def _begun(part: Path, shape: tuple[int, int], dtype: np.dtype, like: Source | None) -> Iterator[Put]:
    pa = errors.import_optional("pyarrow", "parquet", f"writing {part}")
    schema, column, others, streamed = None, _tables.NAME, iter(()), part.suffix == ".arrows"
    if like is not None:
        with _lists.reading(like.where, "Arrow"):
            old, column = Table(like.place), str(like.member)
            schema, streamed = old.schema, old.streamed
            others = _other_columns(old, column, like.where)
    table = _tables.Rewritten(schema, column, dtype, shape[1], others)
    begin = pa.ipc.new_stream if streamed else pa.ipc.new_file
    with begin(str(part), table.schema) as out:

        def write(start: int, block: np.ndarray) -> None:
            out.write_table(table.next(block))

        yield write


def _other_columns(table: Table, column: str, where: str) -> Iterator[Any]:
    """Batches of all columns but `column`."""
    names = [name for name in table.schema.names if name != column]
    with _lists.reading(where, "Arrow"):
        if names:
            count, get = table.batches(names)
            yield from map(get, range(count))
