"""Rows of embeddings in memory: arrays of any library, lists, and columns of data frames, Arrow or Hugging Face."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.arrays import Array
from isthmus.data.sources import Source, _arrow_lists, open_source, prepared
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

#: Columns that a message lists.
MAX_LISTED_COLUMNS = 3


def to_array(rows: Any, name: str) -> Array:
    """Return rows of any kind as an array.

    Parameters
    ----------
    rows : array-like
        An array of any library, or a list of rows or of batches. A data frame of pandas or polars, or a column of one.
        Any object of the Arrow PyCapsule interface, such as a table. A column of Hugging Face `datasets`.
    name : str
        Name of the modality for messages.

    Returns
    -------
    array
        The rows, in the array library of `rows` if it has one, else in NumPy.

    Raises
    ------
    InputError
        If the rows are missing, of different lengths, or no numbers.

    Examples
    --------
    >>> to_array([[1, 2], [3, 4]], "image").shape
    (2, 2)
    """
    if isinstance(rows, Source):
        return rows.read(0, rows.shape[0])
    if isinstance(rows, (list, tuple)):
        return _from_sequence(rows, name)
    if isinstance(rows, np.ma.MaskedArray):
        return np.ma.filled(rows.astype(np.result_type(rows.dtype, np.float16)), np.nan)
    if isinstance(rows, np.matrix):  # its products and its rows have two dimensions
        return np.asarray(rows)
    if hasattr(rows, "toarray") and hasattr(rows, "nnz"):
        raise InputError(f"{name}: is a sparse {type(rows).__name__}, expected dense rows; convert it with .toarray()")
    if isinstance(rows, np.ndarray):
        return _from_sequence(rows.tolist(), name) if rows.dtype == object and rows.ndim == 1 else rows
    if arrays.is_non_numpy(rows):
        _check_tensor(rows, name)
        return rows.detach() if getattr(rows, "requires_grad", False) else rows
    if hasattr(rows, "to_native"):  # narwhals
        return to_array(rows.to_native(), name)
    if hasattr(getattr(rows, "source", rows), "with_format") and not hasattr(getattr(rows, "source", rows), "num_rows"):
        raise InputError(f"{name}: is a streamed data set, expected rows in memory; load it without streaming=True")
    if hasattr(rows, "with_format"):  # a data set of Hugging Face
        return _from_arrow(rows.with_format("arrow")[:], name)
    if hasattr(rows, "source") and hasattr(rows, "column_name"):  # a column of one
        return _from_arrow(rows.source.with_format("arrow")[:][rows.column_name], name)
    if hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__"):
        return _from_capsule(rows, name)
    if hasattr(rows, "to_numpy"):
        return _from_data_frame(rows, name)
    if isinstance(rows, Sequence) and not isinstance(rows, (str, bytes)):
        return _from_sequence(list(rows), name)
    if hasattr(rows, "__array__"):
        return np.asarray(rows)
    if not hasattr(rows, "shape"):
        advice = "; run its method collect() first" if hasattr(rows, "collect") else ""
        if isinstance(rows, Iterable) and not isinstance(rows, (str, bytes)):
            values = "rows.values()" if isinstance(rows, Mapping) else "rows"
            advice = f"; give list({values}) if each value is a row"
        raise InputError(f"{name}: is a {type(rows).__name__}, expected an array of shape (n, d){advice}")
    return rows


def as_source(name: str, rows: Any, *, min_rows: int = 2, **reading: Any) -> Source:
    """Return rows of one modality as a source: an array, list, column, path or source.

    Arrays have at least `min_rows` rows. Further options are those of `isthmus.sources.open_source`. An opened source
    takes none.
    """
    if not name.strip():
        raise InputError(f"got the name {name!r} of a modality, expected no empty one, such as Pairs(image=X, text=Y)")
    if isinstance(rows, Source):
        return rows
    if isinstance(rows, (str, os.PathLike)):
        return open_source(rows, **reading)
    array = to_array(rows, name)
    reading.pop("raw", None)
    is_coded = reading.get("bits") or any(reading.get(key) is not None for key in ("scale", "offset", "ranges"))
    if isinstance(array, np.ndarray):
        if array.dtype.kind == "O":
            raise InputError(
                f"{name}: holds Python objects, expected floats; if they are numbers, give "
                "np.array(rows.tolist(), 'float32')"
            )
        if not (is_coded and array.dtype.kind in "iu"):
            validation.check_float_dtype(array.dtype, name)
    elif not is_coded and ("int" in str(array.dtype) or "bool" in str(array.dtype)):
        raise validation.integer_dtype(str(array.dtype), name)
    elif not is_coded and "float" not in str(array.dtype):
        raise InputError(f"{name}: has dtype {array.dtype}, expected floats")
    if len(array.shape) > 2 and sum(size != 1 for size in array.shape[1:]) == 1:
        array = array.reshape(array.shape[0], -1)  # (n, 1, d), (n, d, 1, 1) ...
    if len(array.shape) == 3:
        array = arrays.to_numpy(array)
    return prepared(Source(array, address=name, min_rows=min_rows), **reading)


def _check_tensor(rows: Any, name: str) -> None:
    """Raise `InputError` for tensors of PyTorch without values, or whose values have another layout or type."""
    layout, dtype = str(getattr(rows, "layout", "torch.strided")), str(getattr(rows, "dtype", ""))
    if getattr(rows, "is_nested", False):
        raise InputError(f"{name}: is a nested tensor, expected a dense one; give torch.stack(list(rows))")
    if layout != "torch.strided" and layout.startswith("torch."):
        raise InputError(f"{name}: is a tensor of layout {layout}, expected a dense one; convert it with .to_dense()")
    if str(getattr(rows, "device", "")) == "meta":
        raise InputError(f"{name}: is a tensor on the device meta, which has no values; load the model first")
    if "float8" in dtype:
        raise InputError(f"{name}: has dtype {dtype}, expected float16, float32 or float64; convert it with .float()")


def same_library(x: Source, y: Source) -> tuple[Source, Source]:
    """Return both sources as they are, or on the host in NumPy if their libraries or devices differ."""
    kinds = {(type(source.rows).__module__, str(getattr(source.rows, "device", ""))) for source in (x, y)}
    if (x.is_numpy and y.is_numpy) or len(kinds) == 1:
        return x, y
    return _to_host(x), _to_host(y)


def _to_host(source: Source) -> Source:
    if source.is_numpy:
        return source
    return Source(arrays.to_numpy(source.rows), address=source.address, format=source.format)


def _from_sequence(rows: Sequence[Any], name: str) -> np.ndarray:
    """Return a list of rows, or of batches that are concatenated, as an array. A missing row is NaN."""
    is_missing = np.array([_is_missing(row) for row in rows], dtype=bool)
    if is_missing.any():
        return _with_missing(rows, is_missing, name)
    if not len(rows) or not (hasattr(rows[0], "shape") or arrays.is_non_numpy(rows[0])):
        return _from_numbers(rows, name)
    blocks = [arrays.to_numpy(row) if hasattr(row, "shape") else np.asarray(row) for row in rows]
    widths = np.array([block.shape[-1] if block.ndim else 0 for block in blocks])
    unequal = np.flatnonzero([b.ndim != blocks[0].ndim for b in blocks] | (widths != widths[0]))
    if len(unequal):
        raise _unequal_rows(name, int(unequal[0]), blocks[unequal[0]].shape, blocks[0].shape)
    if blocks[0].ndim != 2:
        return np.stack(blocks)
    sizes = [len(block) for block in blocks]
    if any(size != sizes[0] for size in sizes[:-1]) or sizes[-1] > sizes[0]:
        raise InputError(
            f"{name}: holds {counted(len(sizes), 'array')} of {min(sizes)} to {max(sizes)} rows, expected one vector "
            "an item; average the vectors of each item, or concatenate them if they are batches"
        )
    return np.concatenate(blocks)


def _is_missing(row: Any) -> bool:
    """Return whether a row is None, or what pandas writes for it: NaN or NA."""
    return row is None or (isinstance(row, float) and row != row) or type(row).__name__ == "NAType"


def _with_missing(rows: Sequence[Any], is_missing: np.ndarray, name: str) -> np.ndarray:
    """Return a list of rows as an array whose missing rows are NaN."""
    missing = np.flatnonzero(is_missing)
    present = next((row for row in rows if not _is_missing(row)), None)
    matrix = None if present is None else _from_sequence([present if _is_missing(row) else row for row in rows], name)
    if matrix is None or matrix.ndim != 2 or len(matrix) != len(rows):
        raise InputError(
            f"{name}: {validation.rows_are(missing, 'None')}, expected one vector in each row; remove these pairs"
        )
    matrix = matrix.astype(np.result_type(matrix.dtype, np.float16), copy=False)
    matrix[missing] = np.nan
    return matrix


def _from_numbers(rows: Sequence[Any], name: str) -> np.ndarray:
    """Return a list of lists of numbers as an array of float64."""
    try:
        return np.asarray(rows, dtype=np.float64)
    except (ValueError, TypeError):
        lengths = [len(row) if isinstance(row, Sequence) and not isinstance(row, str) else -1 for row in rows]
    unequal = np.flatnonzero(np.array(lengths) != lengths[0])
    if len(unequal):
        first = int(unequal[0])
        raise _unequal_rows(name, first, (max(lengths[first], 0),), (max(lengths[0], 0),)) from None
    raise InputError(f"{name}: is a list of {type(rows[0]).__name__}, expected rows of numbers")


def _unequal_rows(name: str, row: int, shape: tuple[int, ...], expected: tuple[int, ...]) -> InputError:
    return InputError(
        f"{name}: row {row:,} (counted from 0) has shape {shape}, expected {expected} as the first row; remove it or "
        "embed it again"
    )


def _from_capsule(rows: Any, name: str) -> np.ndarray:
    """Return an object of the Arrow PyCapsule interface as an array."""
    if hasattr(rows, "to_numpy") and all(dtype.startswith("float") for dtype in _dtypes(rows)):
        return _from_data_frame(rows, name)
    try:
        pa = errors.import_optional("pyarrow", "parquet", f"reading a {type(rows).__name__}")
    except errors.MissingDependencyError:
        if hasattr(rows, "to_numpy"):
            return _from_data_frame(rows, name)
        raise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas announces that it converts names of columns to text
        try:
            column = pa.chunked_array(rows if hasattr(rows, "__arrow_c_stream__") else [pa.array(rows)])
        except pa.ArrowException:
            if hasattr(rows, "to_numpy"):  # a column of tensors, which Arrow does not know
                return _from_data_frame(rows, name)
            raise
    return _from_arrow(column, name)


def _from_arrow(table: Any, name: str) -> np.ndarray:
    """Return a table, or a column of lists or structures, as an array."""
    import pyarrow as pa

    if isinstance(table, pa.Table):
        columns = dict(zip(table.column_names, table.columns, strict=True))
    elif pa.types.is_struct(table.type):
        columns = dict(zip([field.name for field in table.type], table.flatten(), strict=True))
    else:
        return _from_lists(table, name)
    lists = [column for column in columns if _arrow_lists.is_list(columns[column].type)]
    if len(lists) == 1:
        return _from_lists(columns[lists[0]], f"{name}: column {lists[0]}")
    if lists:
        raise InputError(f"{name}: holds several columns of lists, {_first(lists)}; give one column")
    _check_float_columns(name, [c for c in columns if not pa.types.is_floating(columns[c].type)], len(columns))
    return np.column_stack([column.to_numpy() for column in columns.values()])  # null is NaN


def _from_lists(column: Any, name: str) -> np.ndarray:
    """Return an Arrow column of lists of floats as an array."""
    if not (_arrow_lists.is_float_list(column.type) or _arrow_lists.is_code_list(column.type)):
        advice = (
            "; run [json.loads(text) for text in column] if each text is a list" if "string" in str(column.type) else ""
        )
        raise InputError(f"{name}: holds {str(column.type)[:60]}, expected a list of floats in each row{advice}")
    blocks: list[np.ndarray] = []
    first, width = 0, None
    for chunk in column.chunks:
        if len(chunk):
            with _arrow_lists.translated_errors(name, "Arrow"):
                blocks.append(_arrow_lists.to_matrix(chunk, width, first, name))
            first, width = first + len(chunk), blocks[-1].shape[1] or None
    if first and width is None:
        raise _arrow_lists.all_null(name)
    dim = width or 2
    blocks = [block if block.shape[1] else np.full((len(block), dim), np.nan, block.dtype) for block in blocks]
    return np.concatenate(blocks) if blocks else np.empty((0, dim))


def _from_data_frame(rows: Any, name: str) -> np.ndarray:
    """Return a data frame, or a column of one, through NumPy."""
    dtypes = _dtypes(rows)
    if hasattr(rows, "columns"):
        if len(dtypes) == 1 and not dtypes[0].startswith("float"):
            return to_array(rows[rows.columns[0]].to_numpy(), name)
        columns = [str(c) for c, dtype in zip(rows.columns, dtypes, strict=True) if not dtype.startswith("float")]
        _check_float_columns(name, columns, len(dtypes))
    array = rows.to_numpy()
    if array.dtype.kind == "O" and all(dtype.startswith("float") for dtype in dtypes):
        array = rows.to_numpy(dtype=np.float64, na_value=np.nan)  # columns of pandas that know a missing value
    return to_array(array, name)


def _dtypes(rows: Any) -> list[str]:
    """Return the dtypes of the columns of a data frame in lower case, or one that is no float for anything else."""
    return [str(dtype).lower() for dtype in rows.dtypes] if hasattr(rows, "columns") else ["object"]


def _check_float_columns(name: str, others: Sequence[str], count: int) -> None:
    """Raise `InputError` if a table of one column a dimension has columns that are no floats."""
    if len(others) == count:
        raise InputError(
            f"{name}: none of its {counted(count, 'column')} holds floats, such as {_first(others)}; whole numbers "
            "are ids, or codes that need a scale: open_pairs(..., scale=) of rows.to_numpy()"
        )
    if others:
        raise InputError(
            f"{name}: of its {counted(count, 'column')}, {len(others):,} hold no floats: {_first(others)}; give the "
            "columns of the vector alone"
        )


def _first(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED_COLUMNS:,} more" if len(names) > MAX_LISTED_COLUMNS else ""
    return ", ".join(name[:40] for name in names[:MAX_LISTED_COLUMNS]) + more
