"""Embeddings in the cells of a table: lists, text and bytes in one column, or one column for each dimension.

The cells are converted block by block into rows that are mapped from a nameless temporary file. Memory thus stays
constant, and single rows can be read afterwards.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from isthmus.data.sources import _arrow_lists
from isthmus.data.sources._cells import Embedding, matrix_of_cells, null_rows, sets_of_cells
from isthmus.data.sources._locations import Location
from isthmus.data.sources._members import SeveralArraysError, listed
from isthmus.data.sources._ragged_rows import RaggedRows
from isthmus.data.sources._source import Source
from isthmus.data.sources._structs import flatten_structs
from isthmus.data.sources._vector_sets import VectorLists
from isthmus.data.sources._wide_columns import check_words, numbered_groups, wide_columns
from isthmus.utils.errors import InputError, IsthmusWarning, unknown_name
from isthmus.utils.files import spooled_rows

#: Rows of the first block by which the kind of a column is judged.
JUDGED_ROWS = 64
#: Bytes of a file that are searched for blank lines at a time.
BLOCK_BYTES = 2**24
#: Bytes of a blank line that are found where two of these pieces meet.
MAX_BLANKS = 64
#: Fewest bytes of a cell that count as codes.
MIN_CODES = 8
#: Numbers in a cell of bytes, in the order in which they are tried, and the absolute values that they have beside 0.
BYTE_DTYPES = {"float32": (1e-12, 1e6), "float64": (1e-12, 1e6), "float16": (1e-8, 1e3)}


def find_embedding(batches: Iterable[Any], member: str | None, address: str) -> Embedding:
    """Return the columns of a table that hold embeddings, judged by its first rows.

    If a column of text or bytes is null in the first batch, the next ones are read up to its first value.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        The table. Fields of structures are columns such as 'image.embedding'.
    member : str or None
        Name of the column. Default: the only one that can hold embeddings.
    address : str
        Name of the file, for messages.

    Returns
    -------
    Embedding
        The columns.

    Raises
    ------
    InputError
        If there is no such column, or several and none is chosen.
    """
    first = None
    for batch in map(flatten_structs, batches):
        if not batch.num_rows:
            continue
        embedding = _embedding_of_batch(batch, member, address)
        if embedding is not None:
            return embedding
        first = batch if first is None else first
        named_columns = zip(batch.schema.names, batch.columns, strict=True)
        is_clear = not any(member in (None, name) and is_undecided(column) for name, column in named_columns)
        if is_clear or (member is None and numbered_groups(batch.schema)):
            break
    if first is None:
        raise InputError(f"{address[-120:]}: has no rows, expected at least two; write it again")
    if member is None:
        columns = wide_columns(first, address)
        types = {first.schema.field(name).type for name in columns}
        is_coded = len(types) == 1 and _arrow_lists.is_code(next(iter(types)))
        return Embedding(columns, "wide", str(next(iter(types))) if is_coded else "float64")
    if member not in first.schema.names:
        embedding_names = [name for name in first.schema.names if _judge(first, name, is_selected=False) is not None]
        raise unknown_name(f"column in {address[-80:]}", member, embedding_names or first.schema.names)
    if is_undecided(first.column(member)):
        raise _arrow_lists.all_null(f"{address[-120:]}::{member}")
    raise InputError(f"{address[-120:]}::{member}: holds no numbers, lists or text such as '[0.1, 0.2]'")


def _embedding_of_batch(batch: Any, member: str | None, address: str) -> Embedding | None:
    """Return the columns of embeddings that a batch shows, or None. A column that is not chosen may be undecided."""
    names = list(batch.schema.names)
    if member is not None:
        groups = numbered_groups(batch.schema)
        if member in names:
            return _judge(batch, member, is_selected=True)
        if member not in groups:
            return None
        check_words(batch, address)
        return Embedding(groups[member], "wide", "float64")
    every_judgement = [_judge(batch, name, is_selected=False) for name in names]
    judgements = [embedding for embedding in every_judgement if embedding is not None]
    # Bytes that are no floats may be codes, where the table holds nothing else.
    floats = [entry for entry in judgements if entry.kind != "bytes" or entry.dtype in BYTE_DTYPES]
    candidates = floats or judgements
    candidates = [entry for entry in candidates if not _are_integers(batch, entry)] or candidates  # such as token ids
    candidates = [entry for entry in candidates if "." not in entry.columns[0]] or candidates
    if len(candidates) > 1:
        columns = [entry.columns[0] for entry in candidates]
        holds = f"{address[-60:]}: holds several columns of embeddings ({listed(columns)})"
        raise SeveralArraysError(holds, [f"{address}::{column}" for column in columns])
    if candidates:
        return candidates[0]
    return None


def _are_integers(batch: Any, embedding: Embedding) -> bool:
    """Return whether a column holds lists of whole numbers that are no codes, at any depth."""
    import pyarrow.types as t

    inner = batch.schema.field(embedding.columns[0]).type
    while _arrow_lists.is_list(inner):
        inner = getattr(inner, "storage_type", inner).value_type
    return t.is_integer(inner) and not _arrow_lists.is_code(inner)


def is_undecided(column: Any) -> bool:
    """Return whether nothing in a column shows what it holds: text or bytes that are all null, or empty lists.

    >>> import pyarrow as pa
    >>> is_undecided(pa.array([None, None], pa.string())), is_undecided(pa.array(["a cat", None]))
    (True, False)
    """
    import pyarrow.types as t

    if _arrow_lists.is_list(column.type):
        return t.is_null(getattr(column.type, "storage_type", column.type).value_type)
    kinds = (t.is_null, t.is_string, t.is_large_string, t.is_binary, t.is_large_binary, t.is_fixed_size_binary)
    return column.null_count == len(column) and any(is_kind(column.type) for is_kind in kinds)


def _judge(batch: Any, name: str, *, is_selected: bool) -> Embedding | None:
    """Return the embedding that a single column holds, or None. A column that is chosen may hold any bytes."""
    import pyarrow.types as t

    if batch.schema.names.count(name) > 1:
        return None
    data_type = batch.schema.field(name).type
    values = batch.column(name).drop_null()[:JUDGED_ROWS]
    if _arrow_lists.is_list(data_type):
        inner = getattr(data_type, "storage_type", data_type).value_type
        if t.is_floating(inner):
            return Embedding((name,), "list", str(np.dtype(inner.to_pandas_dtype())))
        if t.is_integer(inner):  # codes, or a batch whose numbers are all whole
            return Embedding((name,), "list", str(inner) if _arrow_lists.is_code(inner) else "float64")
        while _arrow_lists.is_list(inner) and _arrow_lists.is_list(getattr(inner, "storage_type", inner).value_type):
            inner = getattr(inner, "storage_type", inner).value_type
        if _arrow_lists.is_float_list(inner) or _arrow_lists.is_code_list(inner):
            return Embedding((name,), "nested", str(np.dtype(_arrow_lists.list_dtype(inner))))
        if _arrow_lists.is_list(inner) and t.is_integer(getattr(inner, "storage_type", inner).value_type):
            return Embedding((name,), "nested", "float64")
    if (t.is_string(data_type) or t.is_large_string(data_type)) and len(values):
        first = values[0].as_py().strip()
        if first[:1] in "[(" and re.fullmatch(r"[\[(][\s\d.,eE+naifNAIF-]*[\])]", first):
            return Embedding((name,), "text", "float64")
    if (t.is_binary(data_type) or t.is_large_binary(data_type) or t.is_fixed_size_binary(data_type)) and len(values):
        cells = values.to_pylist()
        dtype = _byte_dtype(cells) or _code_dtype(cells, is_selected=is_selected)
        return None if dtype is None else Embedding((name,), "bytes", dtype)
    return None


def _byte_dtype(cells: list[bytes]) -> str | None:
    """Return the first dtype in which the cells hold numbers of usual sizes, or None, also for bytes that are text.

    >>> _byte_dtype([np.full(4, 0.1).tobytes()]), _byte_dtype([b"a caption of 24 letters."])
    ('float64', None)
    """
    joined = b"".join(cell for cell in cells if len(cell) == len(cells[0]))
    if not joined or all(32 <= byte < 127 for byte in joined):
        return None
    for dtype, (low, high) in BYTE_DTYPES.items():
        if len(cells[0]) % np.dtype(dtype).itemsize:
            continue
        with np.errstate(invalid="ignore"):  # some bytes are no numbers
            sizes = np.abs(np.frombuffer(joined, dtype=dtype).astype(np.float64))
        if np.isfinite(sizes).all() and ((sizes == 0) | ((sizes > low) & (sizes < high))).all():
            return dtype
    return None


def _code_dtype(cells: list[bytes], *, is_selected: bool) -> str | None:
    """Return 'int8' or 'uint8' for bytes that a quantiser wrote, or None, such as for hashes and pictures.

    The ends of the range of a coordinate are rare among its codes. Packed signs are spread like hashes, so that their
    column has to be chosen.

    >>> _code_dtype([bytes([120, 140, 128, 131] * 2)], is_selected=False)
    'uint8'
    >>> _code_dtype([bytes([250, 3, 0, 7] * 2)], is_selected=False)
    'int8'
    """
    joined = b"".join(cells)
    if len({len(cell) for cell in cells}) > 1 or not joined or all(32 <= byte < 127 for byte in joined):
        return None
    if len(cells[0]) < MIN_CODES and not is_selected:
        return None
    values = np.frombuffer(joined, dtype=np.uint8)
    middle, ends = (int(np.count_nonzero((values + np.uint8(shift)) < 32)) for shift in (144, 16))
    if ends > 2 * middle:
        return "int8"
    if middle <= 2 * ends and is_selected:
        warnings.warn(
            "a column of bytes is read as unsigned, as numpy.packbits writes signs; write codes as lists of int8",
            IsthmusWarning,
            stacklevel=2,
        )
    return "uint8" if middle > 2 * ends or is_selected else None


def open_cells(
    batches: Iterable[Any],
    embedding: Embedding,
    location: Location,
    *,
    format: str,
    keys: Callable[[str], Any],
    min_rows: int,
) -> Source:
    """Return the embeddings of a table as a source.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        The table, which is read once.
    embedding : Embedding
        Its columns.
    location : Path or RemotePath
        The file.
    format : str
        Name of the format.
    keys : callable
        Function from the name of a column to its keys.
    min_rows : int
        Fewest rows that are accepted.

    Returns
    -------
    Source
        Rows (n, d).

    Raises
    ------
    InputError
        If a row has another width than the others or holds no numbers, or is null among codes.
    """
    column = embedding.columns[0] if len(embedding.columns) == 1 else None
    address = str(location) if column is None else f"{location}::{column}"
    ragged = RaggedRows(address)
    rows = _spooled_cells(map(flatten_structs, batches), embedding, str(location), ragged)
    source = Source(
        np.empty((0, len(embedding.columns)), dtype=embedding.dtype) if rows is None else rows,
        address=address,
        format=format,
        location=location,
        member=column,
        keys=keys,
        min_rows=min_rows,
    )
    source.ragged = ragged
    return source


def warn_of_missing_end(location: Any) -> None:
    """Warn if a file of text does not end in a line break, because its last line may then be cut off.

    Parameters
    ----------
    location : Path or RemotePath
        The file.
    """
    with location.open("rb") as file:
        file.seek(0, os.SEEK_END)
        if not file.tell():
            return
        file.seek(-1, os.SEEK_END)
        is_open = file.read(1) not in (b"\n", b"\r")
    if is_open:
        message = f"{location}: does not end in a line break; check that its last row is complete"
        warnings.warn(message, IsthmusWarning, stacklevel=2)


def check_blank_lines(location: Any, n_headers: int = 0, *, quote: bytes = b"") -> None:
    """Raise `InputError` if a blank line stands in the place of a row. Blank lines at the end are no rows.

    A file in which every second line is blank is one of double spaced lines, which has no such rows. Blank lines of a
    quoted text, such as a caption of two paragraphs, belong to its row.

    Parameters
    ----------
    location : Path or RemotePath
        The file.
    n_headers : int, default 0
        Number of lines before the rows.
    quote : bytes, optional
        Character around texts that may have several lines.
    """
    end = b""
    blank = re.compile(rb"\n\r?\n" if quote else rb"\n[ \t\r]*\n")  # tabs may separate cells that are all empty
    with location.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            if blank.search(end + block):
                break
            end = block[-MAX_BLANKS:]
        else:
            return
    is_outside, is_blank = line_states(location, quote)
    n_rows = np.cumsum(is_outside & ~is_blank) - n_headers
    between = np.flatnonzero(is_outside & is_blank & (n_rows > 0) & (n_rows < n_rows[-1]))
    if len(between) and 2 * len(np.unique(n_rows[between])) < n_rows[-1] - 1:
        row, line_number = n_rows[between[0]], between[0] + 1
        raise InputError(
            f"{str(location)[-120:]}: line {line_number:,} is blank, where row {row:,} would be (rows count from 0); "
            "delete the line, or write the missing row in it"
        )


def line_states(location: Any, quote: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return which lines of a file begin outside of a quoted text, and which are blank."""
    with location.open("rb") as file:
        lines = np.array([(line.isspace(), line.count(quote) if quote else 0) for line in file])
    n_quotes = lines[:, 1]
    return (np.cumsum(n_quotes) - n_quotes) % 2 == 0, lines[:, 0] > 0


def _spooled_cells(batches: Iterable[Any], embedding: Embedding, address: str, ragged: RaggedRows) -> Any:
    """Return the rows of all batches, mapped from a temporary file, or None if there are none."""
    counts: list[np.ndarray] = []
    vectors = spooled_rows(_matrices(batches, embedding, address, ragged, counts))
    if vectors is None or embedding.kind != "nested":
        return vectors
    n_vectors = np.concatenate(counts)
    return vectors if (n_vectors == 1).all() else VectorLists(vectors, n_vectors, ragged.address)


def _matrices(
    batches: Iterable[Any], embedding: Embedding, address: str, ragged: RaggedRows, counts: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield the rows of each batch as a matrix, all of the width of the first.

    Nested lists give the vectors of all rows. Their numbers are appended to `counts`.
    """
    first, width = 0, None
    for batch in batches:
        if not batch.num_rows:
            continue
        if embedding.kind == "nested":
            block, n_vectors = sets_of_cells(batch, embedding, width, first, address, ragged)
            counts.append(n_vectors)
        else:
            block = matrix_of_cells(batch, embedding, width, first, address, ragged)
        first += batch.num_rows
        if not block.shape[1]:  # all cells are null
            continue
        if width is None:
            yield from null_rows(first - batch.num_rows, block)
        width = block.shape[1]
        yield block
    if first and width is None:
        raise _arrow_lists.all_null(f"{address[-120:]}::{embedding.columns[0]}")
