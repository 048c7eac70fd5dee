"""Structures in a table, whose fields are read as columns such as ``image.embedding``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def flatten_structs(batch: Any) -> Any:
    """Return a record batch, or a table, in which every field of a structure is a column of plain text, bytes or lists.

    A list of structures gives one list for each field.

    >>> import pyarrow as pa
    >>> flatten_structs(pa.RecordBatch.from_pylist([{"image": {"embedding": [0.5], "id": 3}}])).schema.names
    ['image.embedding', 'image.id']
    """
    import pyarrow as pa

    if not any(_is_nested(field.type) or _plain_type(field.type) for field in batch.schema):
        return batch
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    while any(_is_nested(field.type) for field in table.schema):
        fields = list(zip(table.schema.names, table.columns, strict=True))
        columns = [column for name, cells in fields for column in _columns_of(name, cells)]
        table = pa.table([cells for _, cells in columns], names=[name for name, _ in columns])
    plain = [(column, _plain_type(column.type)) for column in table.columns]
    cells = [column if data_type is None else column.cast(data_type) for column, data_type in plain]
    if isinstance(batch, pa.Table):
        return pa.table(cells, names=table.schema.names)
    return pa.RecordBatch.from_arrays([_one_chunk(column) for column in cells], names=table.schema.names)


def stored_columns(schema: Any, columns: Iterable[str]) -> list[str]:
    """Return the columns of a schema that hold `columns`, which may be fields of structures.

    >>> import pyarrow as pa
    >>> stored_columns(pa.schema({"id": pa.int64(), "image": pa.struct({"id": pa.int64()})}), ["image.id", "id"])
    ['image', 'id']
    """
    return list(dict.fromkeys(stored_column(schema, name) or name for name in columns))


def stored_column(schema: Any, name: str) -> str | None:
    """Return the column that is called `name`, or the structure whose field is, or None."""
    if name in schema.names:
        return name
    structs = [field.name for field in schema if _is_nested(field.type)]
    return next((struct for struct in structs if name.startswith(f"{struct}.")), None)


def _is_nested(data_type: Any) -> bool:
    """Return whether a column of this type holds structures, or lists of them."""
    import pyarrow.types as t

    is_list = t.is_list(data_type) or t.is_large_list(data_type)
    return t.is_struct(data_type) or (is_list and t.is_struct(data_type.value_type))


def _plain_type(data_type: Any) -> Any:
    """Return the type of text or bytes in which views are read, or None for any other type."""
    import pyarrow as pa

    return {"string_view": pa.string(), "binary_view": pa.binary()}.get(str(data_type))


def _columns_of(name: str, cells: Any) -> list[tuple[str, Any]]:
    """Return the fields of a column of structures, or of lists of them, by their names. Other columns are returned."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not _is_nested(cells.type):
        return [(name, cells)]
    if pa.types.is_struct(cells.type):
        names = [f"{name}.{field.name}" for field in cells.type]
        return list(zip(names, cells.flatten(), strict=True))
    lists = _one_chunk(cells)
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    structs = lists.flatten()
    names = [f"{name}.{field.name}" for field in structs.type]
    nulls = lists.is_null()
    columns = [pa.LargeListArray.from_arrays(offsets, field, mask=nulls) for field in structs.flatten()]
    return list(zip(names, columns, strict=True))


def _one_chunk(column: Any) -> Any:
    """Return a column as one array."""
    import pyarrow as pa

    column = column.combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
