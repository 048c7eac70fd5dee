"""The format .jsonl."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isthmus.data.sources import _arrow_lists, _tables
from isthmus.data.sources._arrow_lists import translated_errors
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source
from isthmus.data.sources._structs import flatten_structs
from isthmus.utils import errors
from isthmus.utils.errors import InputError

#: Bytes of text that are parsed at a time, up to the end of a line.
BLOCK_BYTES = 2**24


@register
class Jsonl(Format):
    """JSON lines (.jsonl, .ndjson): in each line an object with a list of numbers, {"embedding": [0.1, 0.2]}."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson")
    dtypes = ("float64",)
    is_shard = False
    announces_length = False

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Parse the embeddings in blocks. Each number equals ``float(text)``."""
        errors.import_optional("pyarrow.json", "parquet", f"reading {location}")
        address = str(location)
        with location.open("rb") as file:
            head = file.read(64).lstrip()
        if head.startswith(b"["):
            raise InputError(
                f"{address[-60:]}: begins with a list, expected an object in each line; "
                "run rows = [json.loads(line) for line in open(FILE)] and np.save('rows.npy', np.array(rows))"
            )
        with translated_errors(address, "jsonl"):
            if not location.stat().st_size:  # type: ignore[union-attr]
                raise InputError(f"{address[-120:]}: is empty, expected a JSON object in each line")
            embedding = _tables.find_embedding(json_batches(location), member, address)
            _tables.warn_of_missing_end(location)
            return _tables.open_cells(
                json_batches(location),
                embedding,
                location,
                format=self.name,
                keys=lambda name: _keys(location, name),
                min_rows=min_rows,
            )


def json_batches(location: Location, schema: Any = None) -> Iterator[Any]:
    """Yield the lines as Arrow batches. Without a schema, each batch has the types that its own lines show."""
    import pyarrow as pa
    import pyarrow.json as reader

    n_rows = 0
    with location.open("rb") as file:
        while lines := file.read(BLOCK_BYTES):
            lines += file.readline()
            if lines.strip():
                options = reader.ReadOptions(use_threads=False, block_size=len(lines) + 1)
                types = reader.ParseOptions(explicit_schema=schema)
                try:
                    table = reader.read_json(pa.BufferReader(lines), options, types)
                except pa.ArrowInvalid as error:  # it counts rows in these lines
                    raise pa.ArrowInvalid(errors.with_row_numbers(str(error), n_rows.__add__)) from None
                n_rows += table.num_rows
                yield from table.to_batches()


def common_batches(location: Location) -> Iterator[Any]:
    """Yield the lines as Arrow batches of one schema, for which a file of several blocks is parsed twice."""
    import pyarrow as pa

    if location.stat().st_size <= BLOCK_BYTES:  # type: ignore[union-attr]
        return json_batches(location)
    schemas = [batch.schema for batch in json_batches(location)]
    return json_batches(location, pa.unify_schemas(schemas, promote_options="permissive"))


def _keys(location: Location, name: str) -> Any:
    """Return the field `name` as keys."""
    import pyarrow as pa

    with translated_errors(str(location), "jsonl"):
        table = flatten_structs(pa.Table.from_batches(list(common_batches(location))))
        name = _arrow_lists.key_column(table.schema, name, str(location))
    return _arrow_lists.decode_keys(table.column(name), f"{location}::{name}")
