"""Tables of Arrow in which the column of embeddings is replaced and the others are copied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.utils.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

#: The column of embeddings in a new file.
NAME = "embedding"


class TableRewriter:
    """Combine new embeddings with the other columns of a table.

    `batches` are the record batches of the other columns, in the order of the rows. `schema` is that of the old table,
    or None for a table of the column alone.
    """

    def __init__(
        self, schema: pa.Schema | None, column: str, dtype: np.dtype, width: int, batches: Iterator[pa.RecordBatch]
    ):
        import pyarrow as pa

        value_type = pa.from_numpy_dtype(dtype)
        if schema is None:
            schema = pa.schema([pa.field(column, pa.list_(pa.field("item", value_type), width))])
        index = schema.get_field_index(column)
        self.list_type = list_type_like(schema.field(index).type, value_type, width)
        schema = schema.set(index, schema.field(index).with_type(self.list_type))
        self.schema: pa.Schema = update_hf_metadata(schema, column, dtype, width)
        self.column, self._batches = column, batches
        self._buffered: Any = None

    def next(self, block: np.ndarray) -> pa.Table:
        """Return the next rows of the table, with `block` (m, d) as the column."""
        import pyarrow as pa

        values = pa.array(np.ascontiguousarray(block).reshape(-1))
        lists = pa.FixedSizeListArray.from_arrays(values, block.shape[1]).cast(self.list_type)
        if len(self.schema) == 1:
            return pa.table([lists], schema=self.schema)
        copied = self._next_copied(len(block))
        columns = [lists if name == self.column else copied.column(name) for name in self.schema.names]
        return pa.table(columns, schema=self.schema)

    def _next_copied(self, n_rows: int) -> Any:
        """Return the next rows of the other columns."""
        import pyarrow as pa

        tables: list[Any] = []
        while n_rows:
            if self._buffered is None or not len(self._buffered):
                batch = next(self._batches, None)
                if batch is None:
                    raise InputError("the file that is read has fewer rows in its other columns; write it again")
                self._buffered = pa.Table.from_batches([batch])
            tables.append(self._buffered[:n_rows])
            self._buffered = self._buffered[n_rows:]
            n_rows -= len(tables[-1])
        return concat_tables(tables)


def concat_tables(tables: Sequence[Any]) -> Any:
    """Concatenate tables."""
    import pyarrow as pa

    return tables[0] if len(tables) == 1 else pa.concat_tables(tables)


def list_type_like(list_type: Any, value_type: Any, width: int) -> Any:
    """Return the type of lists of `width` values, as fixed-size, large or plain lists like `list_type`."""
    import pyarrow as pa

    list_type = getattr(list_type, "storage_type", list_type)
    field = list_type.value_field.with_type(value_type)
    if pa.types.is_fixed_size_list(list_type):
        return pa.list_(field, width)
    return pa.large_list(field) if pa.types.is_large_list(list_type) else pa.list_(field)


def update_hf_metadata(schema: Any, column: str, dtype: np.dtype, width: int) -> Any:
    """Return the schema with the metadata of Hugging Face `datasets` changed to the new type of `column`."""
    metadata = dict(schema.metadata or {})
    if b"huggingface" not in metadata:
        return schema
    try:
        content = json.loads(metadata[b"huggingface"])
        info = update_features(json.dumps(content["info"]), column, dtype, width)
        metadata[b"huggingface"] = json.dumps(content | {"info": json.loads(info)}).encode()
    except (KeyError, TypeError, ValueError, AttributeError):  # metadata that may be wrong is worse than none
        del metadata[b"huggingface"]
    return schema.with_metadata(metadata)


def update_features(text: str, column: str, dtype: np.dtype, width: int) -> str:
    """Return a JSON file of a saved data set with its description of `column` changed to the new type."""
    info = json.loads(text)
    if isinstance(info, dict) and column in info.get("features", {}):
        feature = info["features"][column]
        feature["feature"] = {"dtype": dtype.name, "_type": "Value"}
        if feature.get("length", -1) != -1:
            feature["length"] = width
    return json.dumps(info, indent=2)
