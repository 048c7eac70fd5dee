"""Columns of lists, in which Parquet and Arrow hold embeddings: selection of the column, and lists as a matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.data.sources._members import SeveralArraysError, listed
from isthmus.data.sources._ragged_rows import RaggedRows, usual_length
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name

if TYPE_CHECKING:
    import pyarrow as pa

#: Lists of several lengths by which the usual length is judged.
MIN_JUDGED = 1024


@contextmanager
def translated_errors(address: str, format: str) -> Iterator[None]:
    """Raise the errors of pyarrow as InputError."""
    import pyarrow as pa

    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
        raise errors.incomplete_file(address, f"{format} file", error, "write it again") from None


def embedding_column(schema: pa.Schema, member: str | None, address: str) -> str:
    """Return the column `member`, or the only column that holds lists of floats, or else lists of 8-bit codes."""
    candidates = [field.name for field in schema if is_float_list(field.type)]
    codes = [field.name for field in schema if is_code_list(field.type)]
    candidates = codes if member in codes else candidates or codes
    if member is not None:
        if member not in schema.names:
            raise unknown_name(f"column in {address}", member, candidates or schema.names)
        if member not in candidates:
            inner = getattr(_storage_type(schema.field(member).type), "value_type", None)
            is_set = inner is not None and is_float_list(inner)
            advice = "; several vectors an item are pooled in Parquet files (--pool mean)" if is_set else ""
            raise InputError(
                f"{address}::{member}: holds {schema.field(member).type}, expected a list of float16, float32 or "
                f"float64 in each row{advice}"
            )
        name = member
    elif len(candidates) == 1:
        name = candidates[0]
    elif candidates:
        holds = f"{address}: holds several columns of embeddings ({listed(candidates)})"
        raise SeveralArraysError(holds, [f"{address}::{column}" for column in candidates])
    else:
        columns = listed([f"{field.name}: {field.type}" for field in schema]) or "no column"
        raise InputError(f"{address}: holds no column of lists of floats, only {columns}")
    if schema.names.count(name) > 1:
        raise InputError(f"{address}: holds {schema.names.count(name)} columns called {name!r}; rename all but one")
    return name


def list_dtype(list_type: pa.DataType) -> np.dtype:
    """Return the dtype of the numbers in the lists of an embedding column."""
    return np.dtype(_storage_type(list_type).value_type.to_pandas_dtype())


def list_width(list_type: pa.DataType, cells: Iterable[pa.Array], address: str) -> int:
    """Return the length of the first lists, or of most of them. The width declared by the type is not trusted.

    `cells` are arrays of the column in the order of the rows. They are read up to the first list that is not null, and
    further if the lists of its array differ in length.
    """
    list_type, n_rows = _storage_type(list_type), 0
    sizes = np.empty(0, dtype=np.int64)
    for array in cells:
        storage = getattr(array, "storage", array)
        storage.validate(full=True)
        n_rows += len(array)
        if _is_fixed(list_type):
            lists = storage.drop_null()[:1]
            if len(lists):
                return len(to_matrix(lists, None, 0, address)[0])
            continue
        sizes = np.concatenate([sizes, _lengths_of_filled(storage)])
        if len(sizes) >= MIN_JUDGED or (len(sizes) and (sizes == sizes[0]).all()):
            break
    if n_rows and not len(sizes) and not _is_fixed(list_type):
        raise all_null(address)
    return int(list_type.list_size) if _is_fixed(list_type) else usual_length(sizes, address)


def _lengths_of_filled(lists: pa.Array) -> np.ndarray:
    """Return the lengths of the lists that are not null, nor empty if they hold floats."""
    import pyarrow.compute as pc

    lengths: np.ndarray = pc.list_value_length(without_empty(lists)).drop_null().to_numpy(zero_copy_only=False)
    return lengths


def without_empty(lists: pa.Array) -> pa.Array:
    """Return lists of floats with null in place of empty ones. Lists of codes are returned as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_empty = pc.equal(pc.list_value_length(lists), 0).fill_null(False).to_numpy(zero_copy_only=False)
    if not is_empty.any() or not pa.types.is_floating(lists.type.value_type):
        return lists
    return lists.take(pa.array(np.arange(len(lists)), mask=is_empty))


def all_null(address: str) -> InputError:
    """Return the error for a column without a list."""
    return InputError(f"{address}: every row is null or empty, expected rows of numbers; write the embeddings again")


def to_matrix(
    array: pa.Array,
    width: int | None,
    first: int,
    address: str,
    ids: np.ndarray | None = None,
    ragged: RaggedRows | None = None,
) -> np.ndarray:
    """Return the lists of `array` as rows (n, width), given the number `first` of its first row.

    The numbers are not copied unless some are null. Null rows and null numbers become NaN, so that they count as
    invalid rows. They raise an error if the lists hold codes, which have no NaN, or if rows have `ids`, which are those
    of a store. Messages name rows by their ids if these are given, else by their numbers.

    A row of another length than `width` is NaN and recorded if `ragged` is given and the lists hold floats, else it
    raises an error. If `width` is None, it is the length of most lists, or 0 if all are null.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    array = getattr(array, "storage", array)
    array.validate(full=True)
    keeps_nulls = ids is None and pa.types.is_floating(array.type.value_type)
    if _is_fixed(array.type):
        check_lengths(array, None, first, address, ids=ids, keeps_nulls=keeps_nulls)
        if width is not None and array.type.list_size != width:
            raise InputError(f"{address}: has width {array.type.list_size}, expected {width}")
        width = array.type.list_size
    else:
        array = without_empty(array) if keeps_nulls else array
        lengths = pc.list_value_length(array)
        width = usual_length(_lengths_of_filled(array), address) if width is None else width
        if ragged is not None and keeps_nulls:
            array = without_unequal(array, lengths, width, first, ragged)
        else:
            check_lengths(lengths, width, first, address, ids=ids, keeps_nulls=keeps_nulls)
    # A null among fixed-size lists has values in the buffer, which `flatten` drops.
    values = array.flatten()
    if values.null_count and not keeps_nulls:
        null_values = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
        nulls = np.unique(null_values // width)
        raise InputError(f"{address}: {_rows_are(first, ids, nulls, 'partly null')}; remove or embed them again")
    numbers = values.to_numpy(zero_copy_only=not values.null_count).reshape(len(array) - array.null_count, width)
    return with_null_rows(numbers, array) if array.null_count else numbers


def without_unequal(cells: pa.Array, lengths: pa.Array, expected: int, first: int, ragged: RaggedRows) -> pa.Array:
    """Return cells with null in place of those of another length than `expected`, which are recorded in `ragged`."""
    import pyarrow as pa

    sizes = lengths.fill_null(expected).to_numpy(zero_copy_only=False)
    is_unequal = sizes != expected
    if not is_unequal.any():
        return cells
    unequal = np.flatnonzero(is_unequal)
    ragged.add(first, unequal, sizes[unequal])
    return cells.take(pa.array(np.arange(len(cells)), mask=is_unequal))


def with_null_rows(rows: np.ndarray, cells: pa.Array) -> np.ndarray:
    """Return the rows of all `cells`, NaN for those that are null, given the rows of the others."""
    matrix = np.full((len(cells), rows.shape[1]), np.nan, dtype=rows.dtype)
    matrix[cells.is_valid().to_numpy(zero_copy_only=False)] = rows
    return matrix


def check_lengths(
    lengths: pa.Array,
    expected: int | None,
    first: int,
    address: str,
    *,
    unit: str = "numbers",
    ids: Any = None,
    keeps_nulls: bool = False,
) -> None:
    """Raise `InputError` if a cell is null or has another length than `expected`, and name the first such rows.

    `lengths` are those of the cells, null where the cell is, and `first` is the number of the first row. If `expected`
    is None, only nulls are refused, and no null is if `keeps_nulls`.
    """
    sizes = lengths.fill_null(-1).to_numpy(zero_copy_only=False) if expected is not None else np.zeros(len(lengths))
    has_nulls = lengths.null_count and not keeps_nulls
    nulls = np.flatnonzero(lengths.is_null().to_numpy(zero_copy_only=False)) if has_nulls else np.empty(0, int)
    unequal = np.flatnonzero((sizes >= 0) & (sizes != (expected or 0)))
    clauses = {}
    if len(unequal):
        clauses[unequal[0]] = _rows_are(first, ids, unequal, f"not of {expected:,} {unit} as most rows")
    if len(nulls):
        clauses[nulls[0]] = _rows_are(first, ids, nulls, "null")
    if clauses:
        listed_clauses = " and ".join(clauses[row] for row in sorted(clauses))
        raise InputError(f"{address}: {listed_clauses}; remove these rows or embed them again")


def _rows_are(first: int, ids: Any, numbers: np.ndarray, state: str) -> str:
    """Return a clause about the state of rows, named by their ids or else by their numbers."""
    return validation.rows_are(first + numbers, state) if ids is None else validation.ids_are(ids[numbers], state)


def key_column(schema: pa.Schema, name: str, address: str) -> str:
    """Return `name` if it is a column that can serve as a key."""
    import pyarrow as pa

    candidates = [f.name for f in schema if _is_key_type(pa, f.type)]
    if name not in schema.names:
        raise unknown_name(f"column of keys in {address}", name, candidates)
    if name not in candidates:
        raise InputError(f"{address}::{name}: holds {schema.field(name).type}, expected keys that are integers or text")
    return name


def id_column(schema: pa.Schema, named: str | None, address: str) -> str | None:
    """Return the column of ids: the one that is named, or else 'id' or '_id', or None."""
    if named is not None:
        return key_column(schema, named, address)
    return next((name for name in ("id", "_id") if name in schema.names), None)


def key_values(column: Any) -> np.ndarray:
    """Return ids or keys as an array of integers or text."""
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False).astype(np.str_))


def decode_keys(column: pa.ChunkedArray, address: str) -> pa.ChunkedArray:
    """Check that a column of keys has no nulls, and decode a dictionary."""
    import pyarrow as pa

    column.validate(full=True)
    if column.null_count:
        rows = np.flatnonzero(column.is_null().to_numpy())
        raise InputError(f"{address}: {validation.rows_are(rows, 'null')}; every row needs a key")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column


def integers_or_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return keys of text as integers if these print as the text, and as they are otherwise, as "007" is."""
    import pyarrow as pa

    try:
        integers = column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column
    return integers if integers.cast(column.type).equals(column) else column


def _storage_type(data_type: Any) -> Any:
    return getattr(data_type, "storage_type", data_type)


def _is_fixed(data_type: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(data_type))


def is_list(data_type: Any) -> bool:
    """Return whether a column of this type holds lists."""
    import pyarrow as pa

    data_type, t = _storage_type(data_type), pa.types
    kinds = (t.is_list, t.is_large_list, t.is_fixed_size_list, t.is_list_view, t.is_large_list_view)
    return any(is_kind(data_type) for is_kind in kinds)


def is_float_list(data_type: Any) -> bool:
    """Return whether a column of this type holds lists of floats."""
    import pyarrow as pa

    return is_list(data_type) and pa.types.is_floating(_storage_type(data_type).value_type)


def is_code_list(data_type: Any) -> bool:
    """Return whether a column of this type holds lists of int8 or uint8 numbers, the codes of a quantiser."""
    return is_list(data_type) and is_code(_storage_type(data_type).value_type)


def is_code(data_type: Any) -> bool:
    """Return whether numbers of this type have 8 bits."""
    import pyarrow as pa

    return bool(pa.types.is_int8(data_type) or pa.types.is_uint8(data_type))


def _is_key_type(pa: Any, data_type: Any) -> bool:
    t = pa.types
    data_type = data_type.value_type if t.is_dictionary(data_type) else data_type
    text = (t.is_string, t.is_large_string, t.is_binary, t.is_large_binary)
    return t.is_integer(data_type) or any(is_text(data_type) for is_text in text)
