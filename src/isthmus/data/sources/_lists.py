"""Embeddings in a column of lists, as Parquet and Arrow hold them: which column, and lists as a matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name

if TYPE_CHECKING:
    import pyarrow as pa


@contextmanager
def reading(where: str, format: str) -> Iterator[None]:
    """What pyarrow says of broken files, in our words."""
    import pyarrow as pa

    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, OverflowError) as error:
        raise InputError(
            f"{where}: is not a complete {format} file ({errors.first_line(error)}); write it again"
        ) from None


def embedding_column(schema: pa.Schema, member: str | None, where: str) -> str:
    """The column `member`, or the only one that holds lists of floats."""
    found = [field.name for field in schema if _floats(field.type)]
    if member is not None:
        if member not in schema.names:
            raise unknown_name(f"column in {where}", member, found or schema.names)
        if member not in found:
            raise InputError(
                f"{where}::{member}: holds {schema.field(member).type}, expected a list of float16, float32 or float64 "
                f"in each row"
            )
        name = member
    elif len(found) == 1:
        name = found[0]
    elif found:
        raise InputError(
            f"{where}: holds several columns of embeddings ({', '.join(found)}); say which one as {where}::{found[0]}"
        )
    else:
        columns = ", ".join(f"{field.name}: {field.type}" for field in schema) or "no column"
        raise InputError(f"{where}: holds no column of lists of floats, only {columns[:300]}")
    if schema.names.count(name) > 1:
        raise InputError(f"{where}: holds {schema.names.count(name)} columns called {name!r}; rename all but one")
    return name


def dtype_of(kind: pa.DataType) -> np.dtype:
    """The dtype of the numbers in the lists of an embedding column."""
    return np.dtype(_storage(kind).value_type.to_pandas_dtype())


def width_of(kind: pa.DataType, first: Callable[[], pa.Array], where: str) -> int:
    """The length of the lists: that of the first row, which `first` reads; a type that announces another one lies."""
    kind, array = _storage(kind), first()
    if len(array) == 0:
        return int(kind.list_size) if _is_fixed(kind) else 0
    return len(matrix(array, None, 0, where)[0])


def matrix(array: pa.Array, width: int | None, first: int, where: str) -> np.ndarray:
    """The lists of `array` as rows, (n, width), without a copy; `first` is the number of its first row in the file.

    A null among fixed-size lists has values in the buffer that `flatten` leaves out and `values` keeps, so that rows
    behind it shift: rows with a null are refused, as are rows of another length than `width` (None: the first's).
    """
    import pyarrow.compute as pc

    array = getattr(array, "storage", array)
    array.validate(full=True)
    if array.null_count:
        rows = first + np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
        raise InputError(f"{where}: {_are(rows, 'null')}; remove or embed them again")
    if not _is_fixed(array.type):
        lengths = pc.list_value_length(array).to_numpy()
        width = int(lengths[0]) if width is None else width
        odd = np.flatnonzero(lengths != width)
        if len(odd):
            raise InputError(
                f"{where}: row {first + odd[0]:,} (counted from 0) holds {lengths[odd[0]]:,} numbers, expected "
                f"{width:,} as in the other rows; {len(odd):,} of the rows read with it differ"
            )
    elif width is not None and array.type.list_size != width:
        raise InputError(f"{where}: has width {array.type.list_size}, expected {width}")
    width = array.type.list_size if width is None else width
    values = array.flatten()
    if values.null_count:
        places = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
        raise InputError(
            f"{where}: {_are(first + np.unique(places // width), 'partly null')}; remove or embed them again"
        )
    return values.to_numpy(zero_copy_only=True).reshape(len(array), width)


def key_column(schema: pa.Schema, name: str, where: str) -> str:
    """The column `name`, if it can be a key."""
    import pyarrow as pa

    fit = [f.name for f in schema if _keys(pa, f.type)]
    if name not in schema.names:
        raise unknown_name(f"column of keys in {where}", name, fit)
    if name not in fit:
        raise InputError(f"{where}::{name}: holds {schema.field(name).type}, expected keys that are integers or text")
    return name


def plain_keys(column: pa.ChunkedArray, where: str) -> pa.ChunkedArray:
    """A column of keys, checked: no nulls, no dictionary."""
    import pyarrow as pa

    column.validate(full=True)
    if column.null_count:
        rows = np.flatnonzero(column.is_null().to_numpy())
        raise InputError(f"{where}: {_are(rows, 'null')}; every row needs a key")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column


def _are(rows: np.ndarray, what: str) -> str:
    return f"{validation.format_rows(rows)} (counted from 0) {'is' if len(rows) == 1 else 'are'} {what}"


def _storage(kind: Any) -> Any:
    return getattr(kind, "storage_type", kind)


def _is_fixed(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind))


def _floats(kind: Any) -> bool:
    import pyarrow as pa

    kind, t = _storage(kind), pa.types
    lists = (t.is_list, t.is_large_list, t.is_fixed_size_list, t.is_list_view, t.is_large_list_view)
    return any(is_list(kind) for is_list in lists) and t.is_floating(kind.value_type)


def _keys(pa: Any, kind: Any) -> bool:
    t = pa.types
    kind = kind.value_type if t.is_dictionary(kind) else kind
    text = (t.is_string, t.is_large_string, t.is_binary, t.is_large_binary)
    return t.is_integer(kind) or any(is_text(kind) for is_text in text)
