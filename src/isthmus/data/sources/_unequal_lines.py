"""Lines of a text table with another number of cells than the others. They are named in messages, or left out."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from isthmus.data.sources._locations import Location
from isthmus.data.sources._ragged_rows import RaggedRows
from isthmus.data.sources._source import Source
from isthmus.data.sources._tables import row_lines
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

#: Bytes of text that are decoded at a time.
BLOCK_BYTES = 2**24


class UnequalLinesError(InputError):
    """Lines of a text table have another number of cells than the others.

    Parameters
    ----------
    found : str
        Clause that names the file and the first of these lines.
    column : pyarrow.ChunkedArray
        The column that was read, null in these lines.
    rows : numpy.ndarray
        Numbers of the rows in these lines, from 0.

    Examples
    --------
    >>> str(UnequalLinesError("ids.csv: line 3 has 2 cells, expected 1", None, np.array([1])))
    'ids.csv: line 3 has 2 cells, expected 1; correct the line, or leave it out with --drop-bad (drop_bad=True)'
    """

    def __init__(self, found: str, column: Any, rows: np.ndarray):
        advice = "correct the line, or leave it out" if len(rows) == 1 else "correct the lines, or leave them out"
        super().__init__(f"{found}; {advice} with --drop-bad (drop_bad=True)")
        self.found, self.column, self.rows = found, column, rows


class UnequalLines:
    """Lines with another number of cells than the header, or than `n_columns`, which pyarrow leaves out.

    Parameters
    ----------
    location : Path or RemotePath
        The file.
    has_header : bool
        Whether the first line holds names.
    n_columns : int or None
        Number of cells of the other lines, if there is no header.
    """

    def __init__(self, location: Location, has_header: bool, n_columns: int | None):
        self._location = location
        self._n_headers = int(has_header)
        self._expected = n_columns or 0
        self.names = [f"f{number}" for number in range(n_columns or 0)]  # as those that pyarrow generates
        self.fields: dict[int, int] = {}

    def skip(self, line: Any) -> str:
        """Record a line that pyarrow found, by the number of its row."""
        self.fields[line.number - 1 - self._n_headers] = line.actual_columns
        self._expected = line.expected_columns
        return "skip"

    def are_most_of(self, n_rows: int) -> bool:
        """Return whether they are half of `n_rows` or more, so that it is not clear which number of cells is right."""
        return 2 * len(self.fields) >= n_rows

    def ragged_rows(self, source: Source) -> RaggedRows:
        """Return the record of the rows of a source that have another length: those of these lines and of its cells."""
        record = source.ragged or RaggedRows(source.address)
        numbers = sorted(self.fields)
        record.add(0, np.array(numbers, dtype=np.int64), np.array([self.fields[number] for number in numbers]))
        return record

    def with_null_rows(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Yield batches with null rows in the place of the lines that were left out."""
        import pyarrow as pa

        n_rows, batch = 0, None
        for batch in batches:
            numbers = np.arange(n_rows, n_rows + batch.num_rows + len(self.fields))
            is_read = ~np.isin(numbers, np.fromiter(self.fields, np.int64, len(self.fields)))
            is_read = is_read[: int(np.searchsorted(np.cumsum(is_read), batch.num_rows)) + 1]
            positions = np.cumsum(is_read) - 1
            n_rows += len(is_read)
            yield batch if is_read.all() else batch.take(pa.array(positions, mask=~is_read))
        n_missing = sum(number >= n_rows for number in self.fields)
        if batch is not None and n_missing:
            yield batch.take(pa.nulls(n_missing, pa.int64()))

    def error(self, column: Any, n_rows: int) -> InputError:
        """Return the error that names these lines. It carries the `column` unless they are most of `n_rows`."""
        rows = np.array(sorted(self.fields), dtype=np.int64)
        n_rows = max(n_rows, int(rows[-1]) + 1)  # with_null_rows gives none if no line is read
        begins, position = row_lines(self._location, quote=b'"'), int(rows[0]) + self._n_headers
        line_number = int(begins[position] if position < len(begins) else position) + 1
        cells = counted(self.fields[int(rows[0])], "cell")
        found = f"{str(self._location)[-80:]}: line {line_number:,} has {cells}, expected {self._expected:,}"
        if len(rows) > 1:
            found += f" ({len(rows):,} of {n_rows:,} lines have another number)"
        if self.are_most_of(n_rows):
            advice = "write as many cells in each line, and texts with separators in quotes"
            return InputError(f"{found}; {advice}")
        return UnequalLinesError(found, column, rows)


def is_utf8(location: Location) -> bool:
    """Return whether a file is in UTF-8, without which pyarrow cannot name a line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with location.open("rb") as file:
        try:
            while block := file.read(BLOCK_BYTES):
                decoder.decode(block)
        except UnicodeDecodeError:
            return False
    return True
