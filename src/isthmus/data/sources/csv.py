"""The formats .csv and .tsv."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from isthmus.data.sources import _arrow_lists, _tables
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._ragged_rows import RaggedRows
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source
from isthmus.data.sources._wide_columns import FRACTION, MIN_NUMBERED
from isthmus.utils import errors
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

#: Bytes of text that are parsed at a time.
BLOCK_BYTES = 2**24
#: First bytes of a file that show what separates its cells.
HEAD_BYTES = 2**16
#: Cells that hold no value. A cell 'nan' is a number.
NULLS = ("", "NULL", "null", "NA", "N/A", "None")


@register
class Csv(Format):
    """Text tables (.csv, .tsv), with or without header: a column for each dimension, or one such as '[0.1, 0.2]'."""

    name = "csv"
    suffixes = (".csv", ".tsv")
    dtypes = ("float64",)
    is_shard = False
    announces_length = False

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Parse the embeddings in blocks. Each number equals ``float(text)``."""
        pa = errors.import_optional("pyarrow", "parquet", f"reading {location}")
        with _translated_errors(str(location)):
            _tables.check_blank_lines(location, int(_has_header(location)), quote=b'"')
            try:
                return self._open_lines(location, member, min_rows, None)
            except pa.ArrowInvalid as error:
                lines = _unequal_lines(location, error)
                if lines is None:
                    raise
                with suppress(InputError):
                    source = self._open_lines(location, member, min_rows, lines)
                    if 2 * len(lines.fields) < source.shape[0]:
                        source.ragged = lines.ragged_rows(source)
                        return source
                raise

    def _open_lines(self, location: Location, member: str | None, min_rows: int, lines: UnequalLines | None) -> Source:
        """Parse the lines in blocks. Lines with other numbers of fields are NaN if `lines` records them."""
        import pyarrow as pa

        address = str(location)
        with open_batches(location, lines=lines) as reader:
            empty = [field.name for field in reader.schema if pa.types.is_null(field.type)]
            if not empty:
                embedding = _tables.find_embedding(reader, member, address)
        if empty:  # in the first block
            with open_batches(location, types=dict.fromkeys(empty, pa.string()), lines=lines) as reader:
                embedding = _tables.find_embedding(reader, member, address)
        _tables.warn_of_missing_end(location)
        cell_type = pa.string() if embedding.kind == "text" else pa.float64()
        with open_batches(location, embedding.columns, dict.fromkeys(embedding.columns, cell_type), lines) as reader:
            return _tables.open_cells(
                reader if lines is None else lines.with_null_rows(reader),
                embedding,
                location,
                format=self.name,
                keys=lambda name: _keys(location, name),
                min_rows=min_rows,
            )


class UnequalLinesError(InputError):
    """Raised with the `column` that was read, null in the lines of `rows` with another number of cells."""

    def __init__(self, first_line: str, column: Any, rows: np.ndarray):
        advice = "correct the line, or leave it out" if len(rows) == 1 else "correct the lines, or leave them out"
        super().__init__(f"{first_line}; {advice} with --drop-bad (drop_bad=True)")
        self.first_line, self.column, self.rows = first_line, column, rows


class UnequalLines:
    """Lines with another number of cells than the header, or than `n_columns`, which pyarrow leaves out."""

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

    def ragged_rows(self, source: Source) -> RaggedRows:
        """Return the record of the rows of a source that have another length."""
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
        """Return the error that names these lines, with the `column` unless they are most of `n_rows`."""
        rows = np.array(sorted(self.fields), dtype=np.int64)
        n_rows = max(n_rows, int(rows[-1]) + 1)  # with_null_rows gives none if no line is read
        is_outside, is_blank = _tables.line_states(self._location, b'"')
        begins, position = np.flatnonzero(is_outside & ~is_blank), int(rows[0]) + self._n_headers
        line_number = int(begins[position] if position < len(begins) else position) + 1
        cells = counted(self.fields[int(rows[0])], "cell")
        first_line = f"{str(self._location)[-80:]}: line {line_number:,} has {cells}, expected {self._expected:,}"
        if len(rows) > 1:
            first_line += f" ({len(rows):,} of {n_rows:,} lines have another number)"
        if 2 * len(rows) >= n_rows:
            advice = "write as many cells in each line, and texts with separators in quotes"
            return InputError(f"{first_line}; {advice}")
        return UnequalLinesError(first_line, column, rows)


def is_utf8(location: Location) -> bool:
    """Return whether a file is in UTF-8, else pyarrow cannot name a line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with location.open("rb") as file:
        try:
            while block := file.read(BLOCK_BYTES):
                decoder.decode(block)
        except UnicodeDecodeError:
            return False
    return True


@contextmanager
def _translated_errors(address: str) -> Iterator[None]:
    """Raise the errors of pyarrow as InputError."""
    import pyarrow as pa

    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, StopIteration) as error:
        reason = errors.first_line(error)[:120] if str(error) else "it is empty"
        raise InputError(
            f"{address[-120:]}: is no complete table of text ({reason}); expected lines of as many fields each"
        ) from None


@contextmanager
def open_batches(
    location: Location,
    columns: tuple[str, ...] | None = None,
    types: dict[str, Any] | None = None,
    lines: UnequalLines | None = None,
) -> Iterator[Any]:
    """Open the table, or these columns of it, as batches. Columns have the types of their first cells, or `types`.

    Lines with another number of fields than the columns are left out and recorded in `lines`, or raise an error.
    """
    import pyarrow.csv as reader

    delimiter, decimal_point = _separators(location)
    names = lines.names if lines is not None else []
    table = reader.open_csv(
        str(location),
        read_options=reader.ReadOptions(
            block_size=BLOCK_BYTES,
            column_names=names,
            autogenerate_column_names=not names and not _has_header(location),
            use_threads=False,
        ),
        parse_options=reader.ParseOptions(
            delimiter=delimiter, newlines_in_values=False, invalid_row_handler=lines and lines.skip
        ),
        convert_options=reader.ConvertOptions(
            include_columns=list(columns or ()),
            column_types=types,
            strings_can_be_null=True,
            check_utf8=True,
            null_values=NULLS,
            decimal_point=decimal_point,
        ),
    )
    with table:
        yield table


def _separators(location: Location) -> tuple[str, str]:
    """Return what separates the cells, and the decimal point, from the first lines outside of quotes.

    Another character than a comma separates cells if the first line has it. Commas are decimal points then, if no point
    is beside them.
    """
    with location.open("rb") as file:
        head = re.sub(r"\r\n?", "\n", file.read(HEAD_BYTES).decode("utf-8", "replace"))
    text = re.sub(r'"[^"]*"', "", head)
    first, _, following = text.lstrip("\ufeff").partition("\n")
    if location.suffix.lower() == ".tsv":
        delimiter = "\t"
    elif re.fullmatch(r"\s*[-+.\d][-+.\deE]*( +[-+.\d][-+.\deE]*)+\s*", first):
        delimiter = " "
    else:
        delimiter = next((character for character in "\t;|" if character in first), ",")
    lines = f"{first}\n{following}"
    has_decimal_commas = delimiter != "," and re.search(r"\d,\d", lines) and not re.search(r"\d\.\d", lines)
    return delimiter, "," if has_decimal_commas else "."


def _usual_number_of_cells(location: Location) -> int:
    """Return the number of cells that most of the first lines have."""
    delimiter, _ = _separators(location)
    with location.open("rb") as file:
        lines = [line.strip() for line in file.readlines(HEAD_BYTES)]
    return Counter(re.sub(rb'"[^"]*"', b"", line).count(delimiter.encode()) + 1 for line in lines).most_common(1)[0][0]


def _has_header(location: Location) -> bool:
    """Return whether the first line holds names: a word, quotes that the second line lacks, or numbers of columns.

    It holds a row if most of its cells are fractions. A missing cell is a name if all others are whole numbers, as
    above the row numbers that pandas writes.
    """
    with location.open("rb") as file:
        line = file.readline(BLOCK_BYTES)
        while line.isspace():
            line = file.readline(BLOCK_BYTES)
        text = (line + file.readline(BLOCK_BYTES)).decode("utf-8-sig", "replace")
    delimiter, decimal_point = _separators(location)
    first, second = [*re.split(r"\r\n?|\n", text), ""][:2]
    cells, next_cells = (_cells_of_line(line, delimiter) for line in (first, second))
    if any(cell.startswith("[") for cell in cells):
        return False
    given = [cell for cell in cells if cell not in NULLS]
    n_fractions = sum(re.match(FRACTION, cell) is not None for cell in given)
    if 2 * n_fractions > len(given):
        return False
    try:
        [float(cell.replace(decimal_point, ".")) for cell in given]
    except ValueError:
        return True
    if '"' in first and '"' not in second:
        return True
    if len(given) > 2 and given == [str(number) for number in range(len(given))]:
        return len(given) >= MIN_NUMBERED or any(re.match(FRACTION, cell) for cell in next_cells)
    return len(given) < len(cells) and not n_fractions


def _cells_of_line(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line without quotes.

    >>> _cells_of_line('7, "[0.1, 0.2]",a', ",")
    ['7', '[0.1, 0.2]', 'a']
    """
    bare = re.sub(r'"([^"]*)"', lambda quoted: quoted[1].replace(delimiter, "\0"), line)
    return [cell.strip().replace("\0", delimiter) for cell in bare.strip(" ").split(delimiter)]


def _keys(location: Location, name: str) -> Any:
    """Return the column `name` as keys."""
    with _translated_errors(str(location)):
        column = read_column(
            location, lambda schema: _arrow_lists.key_column(schema, name, str(location)), as_text=True
        )
    return _arrow_lists.integers_or_text(_arrow_lists.decode_keys(column, f"{location}::{name}"))


def read_column(location: Location, choose: Callable[[Any], str], *, as_text: bool) -> Any:
    """Return one column of the table, which `choose` finds in its schema, or raise `UnequalLinesError`.

    Its cells are text if `as_text`, and of the type of the first ones otherwise.
    """
    import pyarrow as pa

    def read(lines: UnequalLines | None) -> Any:
        with open_batches(location, lines=lines) as reader:
            name = choose(reader.schema)
        types = {name: pa.string()} if as_text else None
        with open_batches(location, (name,), types, lines) as reader:
            batches = reader if lines is None else lines.with_null_rows(reader)
            return pa.Table.from_batches(list(batches), schema=reader.schema).column(name)

    try:
        return read(None)
    except pa.ArrowInvalid as error:
        lines = _unequal_lines(location, error)
        if lines is None:
            raise
    column = read(lines)
    raise lines.error(column, len(column))


def _unequal_lines(location: Location, error: Exception) -> UnequalLines | None:
    """Return a record of lines with another number of cells, None if an error of pyarrow has another reason."""
    if "columns, got" not in str(error) or not is_utf8(location):
        return None
    has_header = _has_header(location)
    return UnequalLines(location, has_header, None if has_header else _usual_number_of_cells(location))
