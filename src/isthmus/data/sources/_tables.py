"""Tables of Arrow in which one column is new and the others are kept."""

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


class Rewritten:
    """The table that `batches` (without `column`) come from, with the rows given to `next` as its `column`.

    `schema` is the old one, None for a table of this column alone.
    """

    def __init__(
        self, schema: pa.Schema | None, column: str, dtype: np.dtype, width: int, batches: Iterator[pa.RecordBatch]
    ):
        import pyarrow as pa

        number = pa.from_numpy_dtype(dtype)
        if schema is None:
            schema = pa.schema([pa.field(column, pa.list_(pa.field("item", number), width))])
        place = schema.get_field_index(column)
        kind = _like(schema.field(place).type, number, width)
        self.schema: pa.Schema = _told(schema.set(place, schema.field(place).with_type(kind)), column, dtype, width)
        self.column, self.kind, self._batches = column, kind, batches
        self._alone = len(schema) == 1
        self._ready: Any = None

    def next(self, block: np.ndarray) -> pa.Table:
        """The next rows of the table, with `block` as the column."""
        import pyarrow as pa

        values = pa.array(np.ascontiguousarray(block).reshape(-1))
        lists = pa.FixedSizeListArray.from_arrays(values, block.shape[1]).cast(self.kind)
        if self._alone:
            return pa.table([lists], schema=self.schema)
        others = self._others(len(block))
        columns = [lists if name == self.column else others.column(name) for name in self.schema.names]
        return pa.table(columns, schema=self.schema)

    def _others(self, rows: int) -> Any:
        import pyarrow as pa

        found: list[Any] = []
        while rows:
            if self._ready is None or not len(self._ready):
                batch = next(self._batches, None)
                if batch is None:
                    raise InputError("the file that is read has fewer rows in its other columns; write it again")
                self._ready = pa.Table.from_batches([batch])
            found.append(self._ready[:rows])
            self._ready = self._ready[rows:]
            rows -= len(found[-1])
        return joined(found)


def joined(tables: Sequence[Any]) -> Any:
    """The tables one after the other."""
    import pyarrow as pa

    return tables[0] if len(tables) == 1 else pa.concat_tables(tables)


def _like(old: Any, number: Any, width: int) -> Any:
    """The type of lists of `width` numbers, of the kind of the type `old`."""
    import pyarrow as pa

    old = getattr(old, "storage_type", old)
    inner = old.value_field.with_type(number)
    if pa.types.is_fixed_size_list(old):
        return pa.list_(inner, width)
    return pa.large_list(inner) if pa.types.is_large_list(old) else pa.list_(inner)


def _told(schema: Any, column: str, dtype: np.dtype, width: int) -> Any:
    """The schema whose note for Hugging Face `datasets` agrees with the new type of `column`."""
    metadata = dict(schema.metadata or {})
    if b"huggingface" not in metadata:
        return schema
    try:
        note = json.loads(metadata[b"huggingface"])
        info = described(json.dumps(note["info"]), column, dtype, width)
        metadata[b"huggingface"] = json.dumps(note | {"info": json.loads(info)}).encode()
    except (KeyError, TypeError, ValueError, AttributeError):  # a note that may not be true is worse than none
        del metadata[b"huggingface"]
    return schema.with_metadata(metadata)


def described(text: str, column: str, dtype: np.dtype, width: int) -> str:
    """A JSON file of a saved data set, with its description of `column` as it now is."""
    info = json.loads(text)
    if isinstance(info, dict) and column in info.get("features", {}):
        feature = info["features"][column]
        feature["feature"] = {"dtype": dtype.name, "_type": "Value"}
        if feature.get("length", -1) != -1:
            feature["length"] = width
    return json.dumps(info, indent=2)
