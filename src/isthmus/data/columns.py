"""Rows of embeddings in memory: arrays of any library, lists, and columns of data frames, Arrow or Hugging Face."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.arrays import Array
from isthmus.data.row_lists import ListReader, joined_batches
from isthmus.data.sources import Source, _arrow_lists, open_source, prepared
from isthmus.data.sources._cells import sets_of_lists
from isthmus.data.sources._ragged_rows import RaggedRows
from isthmus.data.sources._vector_sets import pooled_sets
from isthmus.utils import errors, validation
from isthmus.utils.arguments import type_of
from isthmus.utils.errors import InputError
from isthmus.utils.format import counted

#: Columns that a message lists.
MAX_LISTED_COLUMNS = 3


def to_array(rows: Any, name: str, *, pool: str | None = None, ragged: RaggedRows | None = None) -> Array:
    """Return rows of any kind as an array.

    Parameters
    ----------
    rows : array-like
        An array of any library, or a list of rows or of batches. A data frame of pandas or polars, or a column of one.
        Any object of the Arrow PyCapsule interface, such as a table. A column of Hugging Face `datasets`.
    name : str
        Name of the modality for messages.
    pool : str, optional
        If given, a list of arrays (k, d) holds sets of vectors, and each set of floats becomes one vector. Sets of
        integers are padded with vectors of zeros. Default: it holds batches.
    ragged : RaggedRows, optional
        Record of the rows of another length than most, which are NaN then. Default: they raise an error.

    Returns
    -------
    array
        The rows (n, d), or sets (n, k, d) that are not pooled yet. The array library is that of `rows`, or NumPy if
        they have none.

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
    lists = ListReader(name, pool, ragged)
    if isinstance(rows, (list, tuple)):
        return lists.of_sequence(rows)
    if isinstance(rows, np.ma.MaskedArray):
        if np.ma.is_masked(rows) and rows.dtype.kind in "iub":
            raise InputError(f"{name}: is a masked array of {rows.dtype}, which has no NaN; give floats, or all codes")
        return np.ma.filled(rows, np.nan) if np.ma.is_masked(rows) else np.ma.getdata(rows)
    if isinstance(rows, np.matrix):  # its products and its rows have two dimensions
        return np.asarray(rows)
    if hasattr(rows, "toarray") and hasattr(rows, "nnz"):
        raise InputError(f"{name}: is a sparse {type(rows).__name__}, expected dense rows; convert it with .toarray()")
    if isinstance(rows, np.ndarray):
        return rows if rows.dtype != object else lists.of_objects(rows)
    if arrays.is_non_numpy(rows):
        _check_tensor(rows, name)
        return rows.detach() if getattr(rows, "requires_grad", False) else rows
    if hasattr(rows, "to_native"):  # narwhals
        return to_array(rows.to_native(), name, pool=pool, ragged=ragged)
    if hasattr(getattr(rows, "source", rows), "with_format") and not hasattr(getattr(rows, "source", rows), "num_rows"):
        raise InputError(f"{name}: is a streamed data set, expected rows in memory; load it without streaming=True")
    if hasattr(rows, "with_format"):  # a data set of Hugging Face
        return _from_arrow(rows.with_format("arrow")[:], lists)
    if hasattr(rows, "source") and hasattr(rows, "column_name"):  # a column of one
        return _from_arrow(rows.source.with_format("arrow")[:][rows.column_name], lists)
    if hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__"):
        return _from_capsule(rows, lists)
    if hasattr(rows, "to_numpy"):
        return _from_data_frame(rows, lists)
    if isinstance(rows, Sequence) and not isinstance(rows, (str, bytes)):
        return lists.of_sequence(list(rows))
    if hasattr(rows, "__array__"):
        return np.asarray(rows)
    if not hasattr(rows, "shape"):
        advice = "; run its method collect() first" if hasattr(rows, "collect") else ""
        if isinstance(rows, Iterable) and not isinstance(rows, (str, bytes)):
            values = "rows.values()" if isinstance(rows, Mapping) else "rows"
            advice = f"; give list({values}) if each value is a row"
        raise InputError(f"{name}: is {type_of(rows)}, expected an array of shape (n, d){advice}")
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
    ragged = RaggedRows(name)
    array = to_array(rows, name, pool=reading.get("pool"), ragged=ragged)
    reading.pop("raw", None)
    is_coded = reading.get("bits") or any(reading.get(key) is not None for key in ("scale", "offset", "ranges"))
    if isinstance(array, np.ndarray):
        if not (is_coded and array.dtype.kind in "iu"):
            validation.check_float_dtype(_dtype_of_numbers(rows, array), name)
    elif not is_coded and ("int" in str(array.dtype) or "bool" in str(array.dtype)):
        raise validation.integer_dtype(str(array.dtype), name)
    elif not is_coded and "float" not in str(array.dtype):
        raise InputError(f"{name}: has dtype {array.dtype}, expected floats")
    if len(array.shape) > 2 and sum(size != 1 for size in array.shape[1:]) == 1:
        array = array.reshape(array.shape[0], -1)  # (n, 1, d), (n, d, 1, 1) ...
    if len(array.shape) == 3:
        array = arrays.to_numpy(array)
    source = prepared(Source(array, address=name, min_rows=min_rows), **reading)
    source.ragged = ragged
    return source


def _dtype_of_numbers(rows: Any, array: np.ndarray) -> np.dtype[Any]:
    """Return the type of the numbers of a list of lists, which are floats in `array`, or that of `array`."""
    if not (isinstance(rows, (list, tuple)) and rows and isinstance(rows[0], (list, tuple))):
        return array.dtype
    if not all(isinstance(value, int) for value in rows[0]):  # an early answer for lists of floats
        return array.dtype
    are_whole_numbers = array.ndim == 2 and np.isfinite(array).all() and np.array_equal(array, np.round(array))
    return np.asarray(rows).dtype if are_whole_numbers else array.dtype


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


def sources_of_pairs(modalities: Mapping[str, Any]) -> tuple[Source, Source]:
    """Return the rows of two modalities of pairs as sources of one library."""
    x, y = map(as_source, modalities, joined_batches(*modalities.values()))
    return same_library(x, y)


def _to_host(source: Source) -> Source:
    if source.is_numpy:
        return source
    return Source(arrays.to_numpy(source.rows), address=source.address, format=source.format)


def _from_capsule(rows: Any, lists: ListReader) -> np.ndarray:
    """Return an object of the Arrow PyCapsule interface as an array."""
    if hasattr(rows, "to_numpy") and all(dtype.startswith("float") for dtype in _dtypes(rows)):
        return _from_data_frame(rows, lists)
    try:
        pa = errors.import_optional("pyarrow", "parquet", f"reading {type_of(rows)}")
    except errors.MissingDependencyError:
        if hasattr(rows, "to_numpy"):
            return _from_data_frame(rows, lists)
        raise
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas announces that it converts names of columns to text
        try:
            column = pa.chunked_array(rows if hasattr(rows, "__arrow_c_stream__") else [pa.array(rows)])
        except pa.ArrowException:
            if hasattr(rows, "to_numpy"):  # a column of tensors, which Arrow does not know
                return _from_data_frame(rows, lists)
            raise
    return _from_arrow(column, lists)


def _from_arrow(table: Any, lists: ListReader) -> np.ndarray:
    """Return a table, or a column of lists or structures, as an array."""
    import pyarrow as pa

    name = lists.name
    if isinstance(table, pa.Table):
        columns = dict(zip(table.column_names, table.columns, strict=True))
    elif pa.types.is_struct(table.type):
        columns = dict(zip([field.name for field in table.type], table.flatten(), strict=True))
    else:
        return _from_lists(table, lists)
    of_lists = [column for column in columns if _arrow_lists.is_list(columns[column].type)]
    if len(of_lists) == 1:
        return _from_lists(columns[of_lists[0]], replace(lists, name=f"{name}: column {of_lists[0]}"))
    if of_lists:
        raise InputError(f"{name}: holds several columns of lists, {_first(of_lists)}; give one column")
    _check_float_columns(name, [c for c in columns if not pa.types.is_floating(columns[c].type)], len(columns))
    return np.column_stack([column.to_numpy() for column in columns.values()])  # null is NaN


def _from_lists(column: Any, lists: ListReader) -> np.ndarray:
    """Return an Arrow column of lists of floats, or of lists of such lists, as an array."""
    name, is_nested = lists.name, _is_nested(column.type)
    if not (_arrow_lists.is_float_list(column.type) or _arrow_lists.is_code_list(column.type) or is_nested):
        advice = (
            "; run [json.loads(text) for text in column] if each text is a list" if "string" in str(column.type) else ""
        )
        raise InputError(f"{name}: holds {str(column.type)[:60]}, expected a list of floats in each row{advice}")
    blocks: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    first, width = 0, None
    for chunk in column.chunks:
        if len(chunk):
            with _arrow_lists.translated_errors(name, "Arrow"):
                if is_nested:
                    block, sizes = sets_of_lists(chunk, np.dtype(np.float64), width, first, name, lists.ragged)
                    counts.append(sizes)
                else:
                    block = _arrow_lists.to_matrix(chunk, width, first, name, ragged=lists.ragged)
            blocks.append(block)
            first, width = first + len(chunk), block.shape[1] or None
    if first and width is None:
        raise _arrow_lists.all_null(name)
    dim = width or 2
    blocks = [block if block.shape[1] else np.full((len(block), dim), np.nan, block.dtype) for block in blocks]
    rows = np.concatenate(blocks) if blocks else np.empty((0, dim))
    n_vectors = np.concatenate(counts) if counts else np.ones(len(rows), dtype=np.int64)
    return rows if (n_vectors == 1).all() else pooled_sets(rows, n_vectors, lists.pool, name)


def _is_nested(data_type: Any) -> bool:
    """Return whether a column of this type holds lists of lists of floats."""
    if not _arrow_lists.is_list(data_type):
        return False
    inner = getattr(data_type, "storage_type", data_type).value_type
    return _arrow_lists.is_float_list(inner) or _is_nested(inner)


def _from_data_frame(rows: Any, lists: ListReader) -> np.ndarray:
    """Return a data frame, or a column of one, through NumPy."""
    dtypes, name = _dtypes(rows), lists.name
    if hasattr(rows, "columns"):
        if len(dtypes) == 1 and not dtypes[0].startswith("float"):
            return lists.of_objects(rows[rows.columns[0]].to_numpy())
        columns = [str(c) for c, dtype in zip(rows.columns, dtypes, strict=True) if not dtype.startswith("float")]
        _check_float_columns(name, columns, len(dtypes))
    array = rows.to_numpy()
    if array.dtype.kind == "O" and all(dtype.startswith("float") for dtype in dtypes):
        array = rows.to_numpy(dtype=np.float64, na_value=np.nan)  # columns of pandas that know a missing value
    return lists.of_objects(array) if array.dtype == object else array


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
