"""Structures in a table, whose fields are read as columns such as ``image.embedding``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def flatten_structs(batch: Any) -> Any:
    """Return a record batch, or a table, in which every field of a structure is a column.

    >>> import pyarrow as pa
    >>> flatten_structs(pa.RecordBatch.from_pylist([{"image": {"embedding": [0.5], "id": 3}}])).schema.names
    ['image.embedding', 'image.id']
    """
    import pyarrow as pa

    if not any(pa.types.is_struct(field.type) for field in batch.schema):
        return batch
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    if isinstance(batch, pa.Table):
        return table
    columns = [column.combine_chunks() for column in table.columns]
    columns = [column.chunk(0) if isinstance(column, pa.ChunkedArray) else column for column in columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def stored_columns(schema: Any, columns: Iterable[str]) -> list[str]:
    """Return the columns of a schema that hold `columns`, which may be fields of structures.

    >>> import pyarrow as pa
    >>> stored_columns(pa.schema({"id": pa.int64(), "image": pa.struct({"id": pa.int64()})}), ["image.id", "id"])
    ['image', 'id']
    """
    return list(dict.fromkeys(stored_column(schema, name) or name for name in columns))


def stored_column(schema: Any, name: str) -> str | None:
    """Return the column that is called `name`, or the structure whose field is, or None."""
    import pyarrow as pa

    if name in schema.names:
        return name
    structs = [field.name for field in schema if pa.types.is_struct(field.type)]
    return next((struct for struct in structs if name.startswith(f"{struct}.")), None)
