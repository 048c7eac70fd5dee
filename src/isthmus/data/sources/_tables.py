"""Embeddings in the cells of a table: lists, text and bytes in one column, or one column for each dimension.

The cells are converted block by block into rows that are mapped from a nameless temporary file. Memory thus stays
constant, and single rows can be read afterwards.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.data.sources import _arrow_lists
from isthmus.data.sources._locations import Location
from isthmus.data.sources._source import Source
from isthmus.data.sources._wide_columns import numbered_groups, wide_columns
from isthmus.utils import validation
from isthmus.utils.errors import InputError, IsthmusWarning, unknown_name
from isthmus.utils.files import spooled_rows

#: Rows of the first block by which the kind of a column is judged.
JUDGED_ROWS = 64
#: Null rows that are written at once.
NULL_BLOCK = 1024
#: Fewest bytes of a cell that count as codes.
MIN_CODES = 8
#: Numbers in a cell of bytes, in the order in which they are tried, and the absolute values that they have beside 0.
BYTE_DTYPES = {"float32": (1e-12, 1e6), "float64": (1e-12, 1e6), "float16": (1e-8, 1e3)}


@dataclass(frozen=True)
class Embedding:
    """Columns of a table that hold one embedding in each row.

    Attributes
    ----------
    columns : tuple of str
        The column, or one column for each dimension.
    kind : {'list', 'nested', 'text', 'bytes', 'wide'}
        What the cells hold.
    dtype : str
        Dtype of the rows, or of the numbers in cells of bytes.
    """

    columns: tuple[str, ...]
    kind: str
    dtype: str


def find_embedding(batch: Any, member: str | None, address: str) -> Embedding:
    """Return the columns of a table that hold embeddings, judged by its first rows.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        The first rows.
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
    first_rows = batch.slice(0, JUDGED_ROWS)
    every_judgement = [_judge(batch, name, is_selected=name == member) for name in first_rows.schema.names]
    judgements = [embedding for embedding in every_judgement if embedding is not None]
    # Bytes that are no floats may be codes, where the table holds nothing else.
    floats = [entry for entry in judgements if entry.kind != "bytes" or entry.dtype in BYTE_DTYPES]
    candidates = judgements if member is not None else floats or judgements
    if member is not None:
        selected = next((entry for entry in candidates if entry.columns == (member,)), None)
        if selected is not None:
            return selected
        if member in (groups := numbered_groups(first_rows.schema)):
            return Embedding(groups[member], "wide", "float64")
        if member not in first_rows.schema.names:
            raise unknown_name(f"column in {address[-80:]}", member, [entry.columns[0] for entry in candidates])
        raise InputError(f"{address[-120:]}::{member}: holds no numbers, lists or text such as '[0.1, 0.2]'")
    if len(candidates) > 1:
        names = ", ".join(entry.columns[0] for entry in candidates[:4])
        raise InputError(
            f"{address[-120:]}: holds several columns of embeddings ({names}); give one, such as "
            f"::{candidates[0].columns[0]} after the name of the file"
        )
    if candidates:
        return candidates[0]
    columns = wide_columns(first_rows, address)
    types = {first_rows.schema.field(name).type for name in columns}
    is_coded = len(types) == 1 and _arrow_lists.is_code(next(iter(types)))
    return Embedding(columns, "wide", str(next(iter(types))) if is_coded else "float64")


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
    rows = spooled_rows(_matrices(batches, embedding, str(location)))
    column = embedding.columns[0] if len(embedding.columns) == 1 else None
    return Source(
        np.empty((0, len(embedding.columns)), dtype=embedding.dtype) if rows is None else rows,
        address=str(location) if column is None else f"{location}::{column}",
        format=format,
        location=location,
        member=column,
        keys=keys,
        min_rows=min_rows,
    )


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


def _matrices(batches: Iterable[Any], embedding: Embedding, address: str) -> Iterator[np.ndarray]:
    """Yield the rows of each batch as a matrix, all of the width of the first."""
    first, width = 0, None
    for batch in batches:
        if not batch.num_rows:
            continue
        block = matrix_of_cells(batch, embedding, width, first, address)
        first += batch.num_rows
        if not block.shape[1]:  # all cells are null
            continue
        if width is None:
            yield from null_rows(first - batch.num_rows, block)
        width = block.shape[1]
        yield block
    if first and width is None:
        raise _arrow_lists.all_null(f"{address[-120:]}::{embedding.columns[0]}")


def null_rows(count: int, block: np.ndarray) -> Iterator[np.ndarray]:
    """Yield blocks of `count` rows that are NaN, of the width and dtype of `block`."""
    for start in range(0, count, NULL_BLOCK):
        yield np.full((min(NULL_BLOCK, count - start), block.shape[1]), np.nan, dtype=block.dtype)


def matrix_of_cells(batch: Any, embedding: Embedding, width: int | None, first: int, address: str) -> np.ndarray:
    """Return the rows of one batch as a matrix.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Rows of the table.
    embedding : Embedding
        Its columns.
    width : int or None
        Width of the earlier rows, None for the first.
    first : int
        Number of the first row in the table.
    address : str
        Name of the file, for messages.

    Returns
    -------
    numpy.ndarray
        Rows (m, d), of width 0 if `width` is None and all cells are null.

    Raises
    ------
    InputError
        If a row has another width or holds no numbers, or is null among codes. Other null cells are NaN.
    """
    import pyarrow as pa

    if embedding.kind == "wide":
        block = np.empty((batch.num_rows, len(embedding.columns)), dtype=embedding.dtype)
        for position, name in enumerate(embedding.columns):
            column = batch.column(name)
            if column.null_count and block.dtype.kind != "f":
                rows = first + np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
                raise InputError(f"{address[-120:]}::{name}: {validation.rows_are(rows, 'null')}; remove these rows")
            # An empty cell becomes NaN.
            block[:, position] = column.cast(pa.from_numpy_dtype(block.dtype)).to_numpy(zero_copy_only=False)
        return block
    column = batch.column(embedding.columns[0])
    column_address = f"{address[-120:]}::{embedding.columns[0]}"
    if embedding.kind == "bytes":
        column = column.cast(pa.binary()) if pa.types.is_fixed_size_binary(column.type) else column
        lengths, dtype = pa.compute.binary_length(column), np.dtype(embedding.dtype)
        expected = _arrow_lists.first_length(lengths) if width is None else width * dtype.itemsize
        _arrow_lists.check_lengths(
            lengths, expected, first, column_address, unit="bytes", keeps_nulls=dtype.kind == "f"
        )
        cells = column.drop_null()
        numbers = np.frombuffer(b"".join(cells.to_pylist()), dtype=dtype)
        block = numbers.reshape(len(cells), expected // dtype.itemsize)
        return _arrow_lists.with_null_rows(block, column) if column.null_count else block
    lists = column
    if embedding.kind == "text":
        lists = _lists_of_text(column, first, column_address)
    elif embedding.kind == "nested":
        while _arrow_lists.is_list(lists.type.value_type):
            inner = pa.compute.list_value_length(lists).fill_null(1).to_numpy(zero_copy_only=False)
            if (inner != 1).any():
                row = first + int(np.flatnonzero(inner != 1)[0])
                raise InputError(
                    f"{column_address}: row {row:,} (counted from 0) holds {inner.max():,} vectors, expected one; "
                    "average them, or save sets of one size as an .npy file (n, k, d) and give --pool mean"
                )
            lists = pa.compute.list_element(lists, 0)
    elif pa.types.is_integer(lists.type.value_type) and embedding.dtype == "float64":
        lists = lists.cast(pa.list_(pa.float64()))
    return _arrow_lists.to_matrix(lists, width, first, column_address)


def _lists_of_text(column: Any, first: int, column_address: str) -> Any:
    """Return lists of numbers from text such as '[0.1, 0.2]' or '[0.1 0.2]'. Each number equals ``float(text)``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    bare = pc.utf8_trim(column, "[]() \t\r\n")
    separated = pc.replace_substring_regex(bare, r"\s*[,\s]\s*", ",")
    tokens = pc.split_pattern(separated, ",")
    shortened = pc.match_substring(bare, "...").fill_null(False).to_numpy(zero_copy_only=False)
    if shortened.any():
        number = first + int(np.flatnonzero(shortened)[0])
        raise InputError(
            f"{column_address}: row {number:,} (counted from 0) holds '...', because NumPy left out numbers of the "
            "printed row; write the rows again, as str(row.tolist())"
        )
    try:
        numbers = pc.cast(tokens.flatten(), pa.float64())
    except pa.ArrowInvalid:
        valid = pc.match_substring_regex(separated, r"^[-+.,0-9eEnaifNAIFty]*$")
        valid = valid.fill_null(True).to_numpy(zero_copy_only=False)
        row = first + int(np.flatnonzero(~valid)[0]) if not valid.all() else None
        place = "a row" if row is None else f"row {row:,} (counted from 0)"
        raise InputError(
            f"{column_address}: {place} holds text that is no list of numbers, expected '[0.1, 0.2]'"
        ) from None
    closed = pc.and_(pc.match_substring_regex(column, r"^\s*[\[(]"), pc.match_substring_regex(column, r"[\])]\s*$"))
    closed = closed.fill_null(True).to_numpy(zero_copy_only=False)
    if not closed.all():
        row = first + int(np.flatnonzero(~closed)[0])
        raise InputError(
            f"{column_address}: row {row:,} (counted from 0) is no complete list in brackets; write it again"
        )
    return pa.ListArray.from_arrays(tokens.offsets, numbers, mask=column.is_null())
