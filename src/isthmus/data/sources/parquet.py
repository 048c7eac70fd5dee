"""The Parquet format."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources import _arrow_lists, _parquet_pages, _tables
from isthmus.data.sources._arrow_lists import translated_errors
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location, RemotePath, open_arrow_file
from isthmus.data.sources._ragged_rows import RaggedRows
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source, same_format
from isthmus.data.sources._structs import flatten_structs, stored_column, stored_columns
from isthmus.data.sources._table_rewriter import NAME, TableRewriter, concat_tables
from isthmus.data.sources._wide_columns import numbered_groups
from isthmus.data.sources._writers import SequentialWriter, WriteBlock, Writer
from isthmus.utils import errors

#: Rows that are decoded at once when single rows are looked up.
BATCH = 1024
#: First rows whose lengths are compared when a file is opened.
FIRST_ROWS = 16
#: Bytes of embeddings in a row group that is written.
GROUP_BYTES = 2**26


@register
class Parquet(Format):
    """Parquet: a column of fixed-size or variable lists of floats, in a file or behind an fsspec URL."""

    name = "parquet"
    suffixes = (".parquet", ".pq")
    magic = b"PAR1"
    reads_urls = True

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the list column `member`, or the only list column of floats."""
        errors.import_optional("pyarrow.parquet", "parquet", f"reading {location}")
        if not has_float_lists(location, member):
            return _convert_cells(self, location, member, min_rows)
        rows = ParquetColumn(location, member)
        return Source(
            rows,
            address=rows.address,
            format=self.name,
            location=location,
            member=rows.column,
            keys=lambda name: read_keys(location, name),
            min_rows=min_rows,
        )

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of a list column. The other columns are those of `source`."""
        return SequentialWriter(_open_writer(path, shape, dtype, same_format(source, self.name)))


def has_float_lists(location: Location, member: str | None) -> bool:
    """Return whether `member`, or any column, holds lists of floats. True also if the file or column does not exist."""
    with translated_errors(str(location), "parquet"):
        schema = open_file(location).schema_arrow
    if member is not None:
        if member not in schema.names:
            return member not in numbered_groups(schema) and stored_column(schema, member) is None
        return _arrow_lists.is_float_list(schema.field(member).type)
    return not len(schema) or any(_arrow_lists.is_float_list(field.type) for field in schema)


def _convert_cells(format: Format, location: Location, member: str | None, min_rows: int) -> Source:
    """Open embeddings in cells of text, bytes or nested lists, or in one column for each dimension."""
    address = str(location)
    with translated_errors(address, "parquet"):
        file = open_file(location)
        embedding = _tables.find_embedding(file.iter_batches(BATCH), member, address)
        columns = stored_columns(file.schema_arrow, embedding.columns)
        batches = open_file(location).iter_batches(BATCH * 16, columns=columns, use_threads=False)
        return _tables.open_cells(
            batches,
            embedding,
            location,
            format=f"{format.name} ({embedding.kind})",
            keys=lambda name: read_keys(location, name),
            min_rows=min_rows,
        )


def open_file(location: Location) -> Any:
    """Open `location` as pyarrow's ParquetFile, memory-mapped if it is local."""
    pq = errors.import_optional("pyarrow.parquet", "parquet", f"reading {location}")
    remote = isinstance(location, RemotePath)
    file = pq.ParquetFile(open_arrow_file(location), pre_buffer=remote, page_checksum_verification=True)
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    if min(sizes, default=0) < 0 or sum(sizes) != file.metadata.num_rows:
        raise ValueError("the row groups do not add up to the number of rows")
    return file


def read_keys(location: Location, name: str) -> Any:
    """Return the column `name` of `location` as keys."""
    with translated_errors(str(location), "parquet"):
        file = open_file(location)
        column = stored_column(file.schema_arrow, name)
        if column is None:
            _arrow_lists.key_column(flatten_structs(file.schema_arrow.empty_table()).schema, name, str(location))
        table = flatten_structs(file.read(columns=[column]))
        name = _arrow_lists.key_column(table.schema, name, str(location))
        return _arrow_lists.decode_keys(table.column(name), f"{location}::{name}")


class ParquetColumn:
    """A column of lists as rows of a matrix, decoded from its row groups batch by batch, forwards.

    A read that continues the previous read of its thread decodes nothing twice. Every other read begins with a row
    group.
    """

    random_access = False

    def __init__(self, location: Location, member: str | None):
        self.location, self.address = location, str(location)
        self._threads = threading.local()
        self._patterns: set[Any] = set()
        #: Record of the rows of another length that were read.
        self.ragged = RaggedRows(self.address)
        with translated_errors(self.address, "parquet"):
            # The buffer of a mapped file covers it without reading it.
            self._buffer = None if isinstance(location, RemotePath) else open_arrow_file(location).read_buffer()
            file = open_file(location)
            self.column = _arrow_lists.embedding_column(file.schema_arrow, member, self.address)
            self.address = self.ragged.address = f"{location}::{self.column}"
            sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
            self.ends = np.cumsum(sizes, dtype=np.int64)
            list_type = file.schema_arrow.field(self.column).type
            self.dtype = _arrow_lists.list_dtype(list_type)
            first_rows_or_more = chain(islice(self.batches(0, FIRST_ROWS), 1), self.batches(0, BATCH))
            cells = (rows[FIRST_ROWS if i == 1 else 0 :] for i, (_, rows) in enumerate(first_rows_or_more))
            self.shape = (sum(sizes), _arrow_lists.list_width(list_type, cells, self.address))

    def __getitem__(self, key: Any) -> np.ndarray:
        cursor: _Cursor = getattr(self._threads, "cursor", None) or _Cursor(self)
        self._threads.cursor = None  # a cursor that fails is not used again
        with translated_errors(self.address, "parquet"):
            if isinstance(key, tuple):
                start, stop, _ = key[0].indices(self.shape[0])
                rows = cursor.range(start, stop)
            else:
                key = np.asarray(key)
                consecutive = len(key) and key[-1] - key[0] == len(key) - 1 and np.all(np.diff(key) == 1)
                rows = cursor.range(int(key[0]), int(key[-1]) + 1) if consecutive else cursor.take(key)
        self._threads.cursor = cursor
        return rows

    def close_cursors(self) -> None:
        """Forget the cursors of all threads, each of which holds an open file. They refer to this column."""
        self._threads = threading.local()

    def batches(self, group: int, size: int) -> Iterator[tuple[int, Any]]:
        """Yield batches of the column from the begin of row group `group`, each with the number of its first row.

        A batch is a matrix if its numbers lie in plain pages, else an Arrow array of lists.
        """
        file = open_file(self.location)
        for number in range(group, len(self.ends)):
            begin = 0 if number == 0 else int(self.ends[number - 1])
            n_rows = int(self.ends[number]) - begin
            chunk, row = self._plain_chunk(file, number, n_rows), 0
            if chunk is not None:
                for batch in self._decoded(file, number, size, 0, chunk.first):
                    yield begin + row, batch
                    row += len(batch)
                with suppress(_parquet_pages.NotPlainError):
                    for block in chunk.blocks(size):
                        yield begin + row, block
                        row += len(block)
            for batch in self._decoded(file, number, size, row, n_rows):
                yield begin + row, batch
                row += len(batch)
            if row != n_rows:
                raise ValueError(f"row group {number} holds another number of rows than it announces")

    def _decoded(self, file: Any, number: int, size: int, start: int, stop: int) -> Iterator[Any]:
        """Yield rows start .. stop - 1 of a row group as pyarrow decodes them."""
        if start >= stop:
            return
        row = 0
        for batch in file.iter_batches(size, row_groups=[number], columns=[self.column], use_threads=False):
            lists = batch.column(self.column)
            if row + len(lists) > start:
                yield lists[max(start - row, 0) : stop - row]
            row += len(lists)
            if row >= stop:
                return

    def _plain_chunk(self, file: Any, number: int, n_rows: int) -> _parquet_pages.ColumnChunk | None:
        """Return the reader of plain pages of this column in a row group, or None if it has none."""
        leaves = [file.schema.column(index) for index in range(len(file.schema))]
        indices = [index for index, leaf in enumerate(leaves) if leaf.path.split(".")[0] == self.column]
        if self._buffer is None or len(indices) != 1 or not hasattr(self, "shape"):
            return None
        leaf, metadata = leaves[indices[0]], file.metadata.row_group(number).column(indices[0])
        if leaf.max_repetition_level != 1 or np.dtype(_parquet_pages.DTYPES.get(leaf.physical_type, "O")) != self.dtype:
            return None
        try:
            return _parquet_pages.ColumnChunk(
                self._buffer,
                metadata,
                rows=n_rows,
                width=self.shape[1],
                dtype=self.dtype,
                level=leaf.max_definition_level,
                patterns=self._patterns,
            )
        except _parquet_pages.NotPlainError:
            return None


class _Cursor:
    """Read cursor of one thread, which holds the decoded rows `start` .. `stop` - 1 in `lists`."""

    def __init__(self, column: ParquetColumn):
        self.column = column
        self.start = self.stop = column.shape[0]
        self.lists: Any = None
        self.batches: Iterator[tuple[int, Any]] = iter(())

    def range(self, start: int, stop: int) -> np.ndarray:
        """Return rows start .. stop - 1, as a view if they lie in one batch."""
        blocks = []
        while start < stop:
            self._advance(start, stop - start)
            end = min(stop, self.stop)
            blocks.append(self._matrix(start, end))
            start = end
        if not blocks:
            return np.empty((0, self.column.shape[1]), dtype=self.column.dtype)
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def take(self, key: np.ndarray) -> np.ndarray:
        """Return the rows with these numbers, in this order, decoded in the order of the file."""
        numbers, inverse = np.unique(key, return_inverse=True)
        rows = np.empty((len(numbers), self.column.shape[1]), dtype=self.column.dtype)
        filled = 0
        while filled < len(numbers):
            first = int(numbers[filled])
            self._advance(first, BATCH)
            end = int(np.searchsorted(numbers, self.stop))
            rows[filled:end] = self._matrix(first, int(numbers[end - 1]) + 1)[numbers[filled:end] - first]
            filled = end
        return rows[inverse]

    def _matrix(self, start: int, stop: int) -> np.ndarray:
        lists = self.lists[start - self.start : stop - self.start]
        if isinstance(lists, np.ndarray):
            return lists
        column = self.column
        return _arrow_lists.to_matrix(lists, column.shape[1], start, column.address, ragged=column.ragged)

    def _advance(self, row: int, size: int) -> None:
        """Decode batches until one holds `row`. A row group that is begun is decoded in batches of `size`."""
        group = int(np.searchsorted(self.column.ends, row, side="right"))
        begin = 0 if group == 0 else int(self.column.ends[group - 1])
        if not (self.start <= row and begin <= self.stop):
            self.start = self.stop = -1
            self.batches = self.column.batches(group, size)
        while not self.start <= row < self.stop:
            batch = next(self.batches, None)
            if batch is None:
                raise ValueError(f"its row groups hold fewer than the {self.column.shape[0]:,} rows they announce")
            self.start, self.lists = batch
            self.stop = self.start + len(self.lists)


@contextmanager
def _open_writer(path: Path, shape: tuple[int, int], dtype: np.dtype, template: Source | None) -> Iterator[WriteBlock]:
    """Write a table with a new list column and the other columns of `template`."""
    pq = errors.import_optional("pyarrow.parquet", "parquet", f"writing {path}")
    schema, codec, column, batches = None, "snappy", NAME, iter(())
    if template is not None:
        with translated_errors(template.address, "parquet"):
            old_file, column = open_file(template.location), str(template.member)
            schema, codec = old_file.schema_arrow, _codec(old_file)
            batches = _other_columns(old_file, column, template.address)
    rewriter = TableRewriter(schema, column, dtype, shape[1], batches)
    group_rows = max(GROUP_BYTES // (shape[1] * dtype.itemsize), 1)
    # Floats hardly repeat, so a dictionary of them would only cost time.
    repeating = [name for name in rewriter.schema.names if name != column]
    with pq.ParquetWriter(path, rewriter.schema, compression=codec, use_dictionary=repeating) as out:
        tables: list[Any] = []

        def write_block(start: int, block: np.ndarray) -> None:
            tables.append(rewriter.next(block))
            if sum(map(len, tables)) >= group_rows or start + len(block) == shape[0]:
                out.write_table(concat_tables(tables), row_group_size=group_rows)
                tables.clear()

        yield write_block


def _codec(file: Any) -> str:
    """Return the compression of the file under the name that the writer takes."""
    metadata = file.metadata
    has_column = metadata.num_row_groups and metadata.num_columns
    name = metadata.row_group(0).column(0).compression if has_column else "snappy"
    return {"UNCOMPRESSED": "none"}.get(name, name)


def _other_columns(file: Any, column: str, address: str) -> Iterator[Any]:
    """Yield batches of all columns but `column`."""
    names = [name for name in file.schema_arrow.names if name != column]
    with translated_errors(address, "parquet"):
        if names:
            yield from file.iter_batches(BATCH, columns=names, use_threads=False)
