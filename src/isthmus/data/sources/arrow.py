"""The IPC formats of Arrow: files (.arrow, .feather) and streams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import _tables
from isthmus.data.sources._arrow_lists import (
    decode_keys,
    embedding_column,
    is_code_list,
    is_float_list,
    key_column,
    list_dtype,
    list_width,
    to_matrix,
    translated_errors,
)
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location, RemotePath, open_arrow_file
from isthmus.data.sources._ragged_rows import RaggedRows
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source, same_format
from isthmus.data.sources._structs import flatten_structs, stored_column, stored_columns
from isthmus.data.sources._table_rewriter import NAME, TableRewriter
from isthmus.data.sources._wide_columns import numbered_groups
from isthmus.data.sources._writers import SequentialWriter, WriteBlock, Writer
from isthmus.utils import errors
from isthmus.utils.errors import InputError

_FILE_MAGIC = b"ARROW1"


@register
class Arrow(Format):
    """Arrow's IPC files and streams (.arrow, .feather), mapped in place, or batch by batch if compressed or converted.

    Cells of text, bytes and nested lists, and one column for each dimension, are converted.
    """

    name = "arrow"
    suffixes = (".arrow", ".feather", ".ipc", ".arrows")
    magic = _FILE_MAGIC
    reads_urls = True

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the list column `member`, or the only list column of floats."""
        errors.import_optional("pyarrow.feather", "parquet", f"reading {location}")

        def keys(name: str) -> Any:
            import pyarrow as pa

            with translated_errors(str(location), "Arrow"):
                table = ArrowTable(location)
                column = stored_column(table.schema, name) or key_column(
                    flatten_structs(table.schema.empty_table()).schema, name, str(location)
                )
                count, get_batch = table.batches([column])
                schema = pa.schema([table.schema.field(column)])
                cells = [pa.record_batch([get_batch(number).column(0)], schema=schema) for number in range(count)]
                keys_table = flatten_structs(pa.Table.from_batches(cells, schema=schema))
                name = key_column(keys_table.schema, name, str(location))
                return decode_keys(keys_table.column(name), f"{location}::{name}")

        if not _has_lists(location, member):
            return _convert_cells(self, location, member, keys, min_rows)
        rows = ArrowColumn(location, member)
        return Source(
            rows,
            address=rows.address,
            format=self.name,
            location=location,
            member=rows.column,
            keys=keys,
            min_rows=min_rows,
        )

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of a list column. The other columns are those of `source`."""
        return SequentialWriter(_open_writer(path, shape, dtype, same_format(source, self.name)))


def _has_lists(location: Location, member: str | None) -> bool:
    """Return whether `member`, or any column, holds lists of floats or codes. True also if there is no such column."""
    with translated_errors(str(location), "Arrow"):
        schema = ArrowTable(location).schema
        fields = [field for field in schema if member in (None, field.name)]
        if not fields:
            return member not in numbered_groups(schema) and stored_column(schema, str(member)) is None
        return any(is_float_list(field.type) or is_code_list(field.type) for field in fields)


def _convert_cells(
    format: Format, location: Location, member: str | None, keys: Callable[[str], Any], min_rows: int
) -> Source:
    """Open embeddings in cells of text, bytes or nested lists, or in one column for each dimension."""
    with translated_errors(str(location), "Arrow"):
        table = ArrowTable(location)
        count, get_batch = table.batches(table.schema.names)
        embedding = _tables.find_embedding(map(get_batch, range(count)), member, str(location))
        count, get_batch = table.batches(stored_columns(table.schema, embedding.columns))
        return _tables.open_cells(
            map(get_batch, range(count)),
            embedding,
            location,
            format=f"{format.name} ({embedding.kind})",
            keys=keys,
            min_rows=min_rows,
        )


class ArrowTable:
    """A file or stream of record batches: its schema, and the batches of selected columns."""

    def __init__(self, location: Location):
        import pyarrow as pa

        self._file = open_arrow_file(location)
        # The buffer of a mapped file covers it without reading it.
        self._buffer = None if isinstance(location, RemotePath) else self._file.read_buffer()
        self._file.seek(0)
        self.is_stream = self._file.read(len(_FILE_MAGIC)) != _FILE_MAGIC
        self._open = pa.ipc.open_stream if self.is_stream else pa.ipc.open_file
        self.schema = self._reader().schema

    def batches(
        self, columns: list[str], check: Callable[[Any], None] = lambda batch: None
    ) -> tuple[int, Callable[[int], Any]]:
        """Return the number of batches, and a function from the number of a batch to these columns of it.

        `check` is called with every batch of a stream.
        """
        import pyarrow as pa

        fields = [self.schema.get_field_index(name) for name in columns]
        reader = self._reader(options=pa.ipc.IpcReadOptions(included_fields=fields))
        if not self.is_stream:
            return reader.num_record_batches, reader.get_batch
        listed = []  # mapped batches take no memory
        for batch in reader:
            check(batch)
            listed.append(batch)
        return len(listed), listed.__getitem__

    def is_mapped(self, batch: Any) -> bool:
        """Return whether the numbers of `batch` lie in the mapped file, neither decompressed nor copied."""
        if self._buffer is None:
            return False
        begin, end = self._buffer.address, self._buffer.address + self._buffer.size
        buffers = [buffer for column in batch.columns for buffer in column.buffers() if buffer is not None]
        return all(begin <= buffer.address <= end for buffer in buffers if buffer.size)

    def _reader(self, **options: Any) -> Any:
        self._file.seek(0)
        return self._open(self._file, **options)


class ArrowColumn:
    """A column of lists as rows of a matrix, read from the record batches in place."""

    def __init__(self, location: Location, member: str | None):
        self.address = str(location)
        with translated_errors(self.address, "Arrow"):
            table = ArrowTable(location)
            self.column = embedding_column(table.schema, member, self.address)
            self.address = f"{location}::{self.column}"

            def check(batch: Any) -> None:
                if not table.is_mapped(batch):
                    raise InputError(
                        f"{self.address}: is a stream that is compressed or remote, which would have to be decoded "
                        "into memory; save it as an Arrow file (feather) or as parquet"
                    )

            count, self._get_batch = table.batches([self.column], check)
            # The number of rows is read with the narrowest column, because compressed columns must be decoded for it.
            narrow = min(table.schema, key=lambda field: (field.type.num_fields, field.type != "bool")).name
            get_narrow = self._get_batch if table.is_stream else table.batches([narrow])[1]
            sizes = [get_narrow(number).num_rows for number in range(count)]
            self.ends = np.cumsum(sizes, dtype=np.int64)
            list_type = table.schema.field(self.column).type
            self.dtype = list_dtype(list_type)
            #: Record of the rows of another length that were read.
            self.ragged = RaggedRows(self.address)
            self._cached: tuple[int, Any] = (-1, None)
            self._lock = threading.Lock()
            self.random_access = count == 0 or table.is_mapped(self._get_batch(0))
            width = list_width(list_type, map(self._batch, range(count)), self.address)
            self.shape = (int(self.ends[-1]) if count else 0, width)

    def __getitem__(self, key: Any) -> np.ndarray:
        with translated_errors(self.address, "Arrow"):
            if isinstance(key, tuple):
                start, stop, _ = key[0].indices(self.shape[0])
                return self._range(start, stop)
            key = np.asarray(key)
            rows = np.empty((len(key), self.shape[1]), dtype=self.dtype)
            batch_of_row = np.searchsorted(self.ends, key, side="right")
            for number in np.unique(batch_of_row):
                in_batch = np.flatnonzero(batch_of_row == number)
                numbers, inverse = np.unique(key[in_batch], return_inverse=True)
                block = self._range(int(numbers[0]), int(numbers[-1]) + 1)
                rows[in_batch] = block[numbers - numbers[0]][inverse]
            return rows

    def _range(self, start: int, stop: int) -> np.ndarray:
        """Return rows start .. stop - 1."""
        blocks = []
        while start < stop:
            number = int(np.searchsorted(self.ends, start, side="right"))
            begin = 0 if number == 0 else int(self.ends[number - 1])
            end = min(stop, int(self.ends[number]))
            lists = self._batch(number)[start - begin : end - begin]
            if len(lists) != end - start:
                raise ValueError(f"record batch {number} holds another number of rows than it announces")
            blocks.append(to_matrix(lists, self.shape[1], start, self.address, ragged=self.ragged))
            start = end
        if not blocks:
            return np.empty((0, self.shape[1]), dtype=self.dtype)
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _batch(self, number: int) -> Any:
        with self._lock:
            if number != self._cached[0]:  # consecutive reads decompress a batch once
                self._cached = (number, self._get_batch(number).column(0))
            return self._cached[1]


@contextmanager
def _open_writer(path: Path, shape: tuple[int, int], dtype: np.dtype, template: Source | None) -> Iterator[WriteBlock]:
    """Write a table with a new list column and the other columns of `template`."""
    pa = errors.import_optional("pyarrow", "parquet", f"writing {path}")
    schema, column, batches, is_stream = None, NAME, iter(()), path.suffix == ".arrows"
    if template is not None:
        with translated_errors(template.address, "Arrow"):
            old_table, column = ArrowTable(template.location), str(template.member)
            schema, is_stream = old_table.schema, old_table.is_stream
            batches = _other_columns(old_table, column, template.address)
    rewriter = TableRewriter(schema, column, dtype, shape[1], batches)
    open_new = pa.ipc.new_stream if is_stream else pa.ipc.new_file
    with open_new(str(path), rewriter.schema) as out:

        def write_block(_start: int, block: np.ndarray) -> None:
            out.write_table(rewriter.next(block))

        yield write_block


def _other_columns(table: ArrowTable, column: str, address: str) -> Iterator[Any]:
    """Yield the batches of all columns but `column`."""
    names = [name for name in table.schema.names if name != column]
    with translated_errors(address, "Arrow"):
        if names:
            count, get_batch = table.batches(names)
            yield from map(get_batch, range(count))
