"""Cells of a table as rows of a matrix: lists, sets of lists, text, bytes, or one column for each dimension."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.data.sources import _arrow_lists
from isthmus.data.sources._ragged_rows import RaggedRows, usual_length
from isthmus.utils import validation
from isthmus.utils.errors import InputError

#: Null rows that are written at once.
NULL_BLOCK = 1024


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


def null_rows(count: int, block: np.ndarray) -> Iterator[np.ndarray]:
    """Yield blocks of `count` rows that are NaN, of the width and dtype of `block`."""
    for start in range(0, count, NULL_BLOCK):
        yield np.full((min(NULL_BLOCK, count - start), block.shape[1]), np.nan, dtype=block.dtype)


def matrix_of_cells(
    batch: Any, embedding: Embedding, width: int | None, first: int, address: str, ragged: RaggedRows
) -> np.ndarray:
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
    ragged : RaggedRows
        Record of the rows of another width, which are NaN.

    Returns
    -------
    numpy.ndarray
        Rows (m, d), of width 0 if `width` is None and all cells are null.

    Raises
    ------
    InputError
        If a row holds no numbers. If it has another width or is null among codes. Other null cells are NaN.
    """
    import pyarrow as pa

    if embedding.kind == "wide":
        return _wide_rows(batch, embedding, first, address)
    column = cells_of(batch, embedding.columns[0])
    column_address = f"{address[-120:]}::{embedding.columns[0]}"
    if pa.types.is_null(column.type):
        return np.full((len(column), width or 0), np.nan, dtype=embedding.dtype)
    if embedding.kind == "bytes":
        return _rows_of_bytes(column, np.dtype(embedding.dtype), width, first, column_address, ragged)
    lists = column
    if embedding.kind == "text":
        lists = _lists_of_text(column, first, column_address)
    elif not pa.types.is_floating(lists.type.value_type) and embedding.dtype == "float64":
        lists = lists.cast(pa.list_(pa.float64()))
    return _arrow_lists.to_matrix(lists, width, first, column_address, ragged=ragged)


def sets_of_cells(
    batch: Any, embedding: Embedding, width: int | None, first: int, address: str, ragged: RaggedRows
) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors (v, d) in the nested lists of a batch, and the number of vectors in each of its rows.

    The parameters are those of `matrix_of_cells`. A null or empty cell of floats has one vector that is NaN.
    """
    import pyarrow as pa

    cells, dtype = cells_of(batch, embedding.columns[0]), np.dtype(embedding.dtype)
    if pa.types.is_null(cells.type):
        return np.full((len(cells), width or 0), np.nan, dtype=dtype), np.ones(len(cells), dtype=np.int64)
    return sets_of_lists(cells, dtype, width, first, f"{address[-120:]}::{embedding.columns[0]}", ragged)


def sets_of_lists(
    cells: Any, dtype: np.dtype, width: int | None, first: int, address: str, ragged: RaggedRows | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors (v, d) in an array of nested lists, and the number of vectors in each row.

    A null or empty cell of floats has one vector that is NaN, and a cell with a vector of another width has NaN alone.
    Without `ragged`, vectors of other widths raise an error.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = getattr(cells, "storage", cells)  # of `Array2D` of `datasets`
    cells.validate(full=True)
    while _arrow_lists.is_list(cells.type.value_type.value_type):
        sizes = pc.list_value_length(cells).fill_null(1).to_numpy(zero_copy_only=False)
        if (sizes != 1).any():
            row = first + int(np.flatnonzero(sizes != 1)[0])
            raise InputError(
                f"{address}: row {row:,} (counted from 0) holds {sizes.max():,} lists of lists, expected one "
                "vector, or a list of vectors; average the inner ones first"
            )
        cells = pc.list_element(cells, 0)
    counts = pc.list_value_length(cells).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    lists, row_of_vector = cells.flatten(), np.repeat(np.arange(len(counts)), counts)
    if dtype.kind == "f" and not pa.types.is_floating(lists.type.value_type):
        lists = lists.cast(pa.list_(pa.from_numpy_dtype(dtype)))
    if ragged is None or dtype.kind != "f":
        _check_vectors(lists, width, first + row_of_vector, address)
    of_vectors = None if ragged is None else RaggedRows(address)
    vectors = _arrow_lists.to_matrix(lists, width, 0, address, ragged=of_vectors)
    if ragged is not None and of_vectors:
        unequal, indices = np.unique(row_of_vector[of_vectors.numbers], return_index=True)
        ragged.add(first, unequal, of_vectors.lengths[indices])
        vectors[np.isin(row_of_vector, unequal)] = np.nan
    is_empty = counts == 0
    if not is_empty.any():
        return vectors, counts
    if dtype.kind != "f":
        rows = validation.rows_are(first + np.flatnonzero(is_empty), "null or empty")
        raise InputError(f"{address}: {rows}; remove these rows or embed them again")
    with_empty = np.full((len(vectors) + int(is_empty.sum()), vectors.shape[1]), np.nan, dtype=vectors.dtype)
    filled = np.maximum(counts, 1)
    with_empty[np.repeat(~is_empty, filled)] = vectors
    return with_empty, filled


def _check_vectors(lists: Any, width: int | None, rows: np.ndarray, address: str) -> None:
    """Raise `InputError` if vectors of sets are null or have several lengths, and name the rows of their sets."""
    import pyarrow.compute as pc

    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    width = usual_length(lengths[lengths > 0], address) if width is None else width
    unequal = np.unique(rows[lengths != width])
    if len(unequal):
        rows_are = validation.rows_are(unequal, f"of vectors that are null or not of {width:,} numbers as most")
        raise InputError(f"{address}: {rows_are}; remove these rows or embed them again")


def cells_of(batch: Any, name: str) -> Any:
    """Return a column of a batch, or nulls if it has no such column, as a block of JSON lines without this field."""
    import pyarrow as pa

    return batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows)


def _wide_rows(batch: Any, embedding: Embedding, first: int, address: str) -> np.ndarray:
    """Return one column for each dimension as rows."""
    import pyarrow as pa

    block = np.empty((batch.num_rows, len(embedding.columns)), dtype=embedding.dtype)
    for position, name in enumerate(embedding.columns):
        column = cells_of(batch, name)
        if column.null_count and block.dtype.kind != "f":
            rows = first + np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
            raise InputError(f"{address[-120:]}::{name}: {validation.rows_are(rows, 'null')}; remove these rows")
        # An empty cell becomes NaN.
        block[:, position] = column.cast(pa.from_numpy_dtype(block.dtype)).to_numpy(zero_copy_only=False)
    return block


def _rows_of_bytes(
    column: Any, dtype: np.dtype, width: int | None, first: int, address: str, ragged: RaggedRows
) -> np.ndarray:
    """Return the numbers in cells of bytes as rows."""
    import pyarrow as pa

    column = column.cast(pa.binary()) if pa.types.is_fixed_size_binary(column.type) else column
    lengths = pa.compute.binary_length(column)
    if width is None:
        expected = usual_length(lengths.drop_null().to_numpy(zero_copy_only=False), address, unit="bytes")
    else:
        expected = width * dtype.itemsize
    if dtype.kind == "f":
        column = _arrow_lists.without_unequal(column, lengths, expected, first, ragged)
    else:
        _arrow_lists.check_lengths(lengths, expected, first, address, unit="bytes")
    cells = column.drop_null()
    numbers = np.frombuffer(b"".join(cells.to_pylist()), dtype=dtype)
    block = numbers.reshape(len(cells), expected // dtype.itemsize)
    return _arrow_lists.with_null_rows(block, column) if column.null_count else block


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
