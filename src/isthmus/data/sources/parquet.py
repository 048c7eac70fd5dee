"""Parquet: a column of fixed-size or variable lists of floats; a file, or one behind an fsspec URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.data.sources import _lists, _pages, _tables
from isthmus.data.sources._base import Put, Source, Streamed, Writer, alike
from isthmus.data.sources._places import Place, Remote, opened
from isthmus.utils import errors

if TYPE_CHECKING:
    pass

SUFFIXES = (".parquet", ".pq")
MAGIC = b"PAR1"
CARRIES_ON = False
#: Rows that are unpacked at once when single rows are looked up.
BATCH = 1024
#: Bytes of embeddings in a row group that is written.
GROUP_BYTES = 2**26


def open_file(place: Place) -> Any:
    """`place` as pyarrow's ParquetFile: mapped when it lies on this machine."""
    pq = errors.import_optional("pyarrow.parquet", "parquet", f"reading {place}")
    remote = isinstance(place, Remote)
    file = pq.ParquetFile(opened(place), pre_buffer=remote, page_checksum_verification=True)
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
    if min(sizes, default=0) < 0 or sum(sizes) != file.metadata.num_rows:
        raise ValueError("the row groups do not add up to the number of rows")
    return file


class Rows:
    """A column of lists as rows of a matrix, unpacked from its row groups batch by batch, forwards.

    Reading on from where the last read of this thread ended unpacks nothing twice; reading elsewhere begins with the
    row group there.
    """

    random_access = False

    def __init__(self, place: Place, member: str | None):
        self.place, self.where = place, str(place)
        self._threads = threading.local()
        self._patterns: set[Any] = set()
        with _lists.reading(self.where, "parquet"):
            self._whole = None if isinstance(place, Remote) else opened(place).read_buffer()  # mapped: nothing is read
            file = open_file(place)
            self.column = _lists.embedding_column(file.schema_arrow, member, self.where)
            self.where = f"{place}::{self.column}"
            sizes = [file.metadata.row_group(number).num_rows for number in range(file.metadata.num_row_groups)]
            self.ends = np.cumsum(sizes, dtype=np.int64)
            kind = file.schema_arrow.field(self.column).type
            self.dtype = _lists.dtype_of(kind)

            def first() -> Any:
                return next(self.opened(0, 1), (0, []))[1][:1]

            self.shape = (sum(sizes), _lists.width_of(kind, first, self.where))

    def __getitem__(self, key: Any) -> np.ndarray:
        cursor: _Cursor = getattr(self._threads, "cursor", None) or _Cursor(self)
        self._threads.cursor = None  # a cursor that fails is not used again
        with _lists.reading(self.where, "parquet"):
            if isinstance(key, tuple):
                start, stop, _ = key[0].indices(self.shape[0])
                found = cursor.range(start, stop)
            else:
                key = np.asarray(key)
                consecutive = len(key) and key[-1] - key[0] == len(key) - 1 and np.all(np.diff(key) == 1)
                found = cursor.range(int(key[0]), int(key[-1]) + 1) if consecutive else cursor.picked(key)
        self._threads.cursor = cursor
        return found

    def opened(self, group: int, size: int) -> Iterator[tuple[int, Any]]:
        """Batches of the column from the beginning of row group `group`, each with its first row: matrices where the
        numbers lie plainly, else Arrow arrays of lists."""
        file = open_file(self.place)
        for number in range(group, len(self.ends)):
            begin = 0 if number == 0 else int(self.ends[number - 1])
            rows = int(self.ends[number]) - begin
            chunk, done = self._chunk(file, number, rows), 0
            if chunk is not None:
                for batch in self._unpacked(file, number, size, 0, chunk.first):
                    yield begin + done, batch
                    done += len(batch)
                with suppress(_pages.NotPlain):
                    for block in chunk.blocks(size):
                        yield begin + done, block
                        done += len(block)
            for batch in self._unpacked(file, number, size, done, rows):
                yield begin + done, batch
                done += len(batch)
            if done != rows:
                raise ValueError(f"row group {number} holds another number of rows than it announces")

    def _unpacked(self, file: Any, number: int, size: int, start: int, stop: int) -> Iterator[Any]:
        """Rows start .. stop - 1 of a row group as pyarrow unpacks them."""
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

    def _chunk(self, file: Any, number: int, rows: int) -> _pages.Chunk | None:
        """The numbers of this column in a row group, where they can be read as they lie."""
        leaves = [file.schema.column(leaf) for leaf in range(len(file.schema))]
        mine = [leaf for leaf, about in enumerate(leaves) if about.path.split(".")[0] == self.column]
        if self._whole is None or len(mine) != 1 or not hasattr(self, "shape"):
            return None
        leaf, about = leaves[mine[0]], file.metadata.row_group(number).column(mine[0])
        if leaf.max_repetition_level != 1 or np.dtype(_pages.DTYPES.get(leaf.physical_type, "O")) != self.dtype:
            return None
        try:
            return _pages.Chunk(
                self._whole,
                about,
                rows=rows,
                width=self.shape[1],
                dtype=self.dtype,
                level=leaf.max_definition_level,
                known=self._patterns,
            )
        except _pages.NotPlain:
            return None


class _Cursor:
    """Where one thread is in a column: rows `at` .. `stop` - 1 are unpacked and lie in `ready`."""

    def __init__(self, rows: Rows):
        self.rows = rows
        self.at = self.stop = rows.shape[0]
        self.ready: Any = None
        self.batches: Iterator[tuple[int, Any]] = iter(())

    def range(self, start: int, stop: int) -> np.ndarray:
        """Rows start .. stop - 1; a view where they lie in one batch."""
        blocks = []
        while start < stop:
            self._reach(start, stop - start)
            end = min(stop, self.stop)
            blocks.append(self._matrix(start, end))
            start = end
        if not blocks:
            return np.empty((0, self.rows.shape[1]), dtype=self.rows.dtype)
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def picked(self, key: np.ndarray) -> np.ndarray:
        """The rows with these numbers, in this order, unpacked in the order of the file."""
        wanted, back = np.unique(key, return_inverse=True)
        out = np.empty((len(wanted), self.rows.shape[1]), dtype=self.rows.dtype)
        done = 0
        while done < len(wanted):
            first = int(wanted[done])
            self._reach(first, BATCH)
            until = int(np.searchsorted(wanted, self.stop))
            out[done:until] = self._matrix(first, int(wanted[until - 1]) + 1)[wanted[done:until] - first]
            done = until
        return out[back]

    def _matrix(self, start: int, stop: int) -> np.ndarray:
        lists = self.ready[start - self.at : stop - self.at]
        if isinstance(lists, np.ndarray):
            return lists
        return _lists.matrix(lists, self.rows.shape[1], start, self.rows.where)

    def _reach(self, row: int, size: int) -> None:
        """Unpack until `row` is ready, in batches of `size` where a row group is begun."""
        group = int(np.searchsorted(self.rows.ends, row, side="right"))
        begin = 0 if group == 0 else int(self.rows.ends[group - 1])
        if not (self.at <= row and begin <= self.stop):
            self.at = self.stop = -1
            self.batches = self.rows.opened(group, size)
        while not self.at <= row < self.stop:
            found = next(self.batches, None)
            if found is None:
                raise ValueError(f"its row groups hold fewer than the {self.rows.shape[0]:,} rows they announce")
            self.at, self.ready = found
            self.stop = self.at + len(self.ready)


def open_source(place: Place, member: str | None, min_rows: int = 2) -> Source:
    """The source in the list column `member` of `place`; the only such column when there is one."""
    errors.import_optional("pyarrow.parquet", "parquet", f"reading {place}")
    rows = Rows(place, member)
    return Source(
        rows,
        where=rows.where,
        format="parquet",
        place=place,
        member=rows.column,
        keys=lambda name: key_column(place, name),
        min_rows=min_rows,
    )


def key_column(place: Place, name: str) -> Any:
    """The column `name` of `place` as keys."""
    with _lists.reading(str(place), "parquet"):
        file = open_file(place)
        name = _lists.key_column(file.schema_arrow, name, str(place))
        return _lists.plain_keys(file.read(columns=[name]).column(name), f"{place}::{name}")


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes blocks of rows into the list column of a new file; its other columns are those of `like`."""
    return Streamed(_begun(path, shape, dtype, alike(source, "parquet")))


@contextmanager
def _begun(part: Path, shape: tuple[int, int], dtype: np.dtype, like: Source | None) -> Iterator[Put]:
    pq = errors.import_optional("pyarrow.parquet", "parquet", f"writing {part}")
    schema, codec, column, others = None, "snappy", _tables.NAME, iter(())
    if like is not None:
        with _lists.reading(like.where, "parquet"):
            file, column = open_file(like.place), str(like.member)
            schema, codec = file.schema_arrow, _codec(file)
            others = _other_columns(file, column, like.where)
    table = _tables.Rewritten(schema, column, dtype, shape[1], others)
    most = max(GROUP_BYTES // (shape[1] * dtype.itemsize), 1)
    # Floats hardly repeat: a dictionary of them is built in vain.
    repeating = [name for name in table.schema.names if name != column]
    with pq.ParquetWriter(part, table.schema, compression=codec, use_dictionary=repeating) as out:
        waiting: list[Any] = []

        def write(start: int, block: np.ndarray) -> None:
            waiting.append(table.next(block))
            if sum(map(len, waiting)) >= most or start + len(block) == shape[0]:
                out.write_table(_tables.joined(waiting), row_group_size=most)
                waiting.clear()

        yield write


def _codec(file: Any) -> str:
    """The compression of the file, as the writer names it."""
    meta = file.metadata
    name = meta.row_group(0).column(0).compression if meta.num_row_groups and meta.num_columns else "snappy"
    return {"UNCOMPRESSED": "none"}.get(name, name)


def _other_columns(file: Any, column: str, where: str) -> Iterator[Any]:
    """Batches of all columns but `column`."""
    names = [name for name in file.schema_arrow.names if name != column]
    with _lists.reading(where, "parquet"):
        if names:
            yield from file.iter_batches(BATCH, columns=names, use_threads=False)
