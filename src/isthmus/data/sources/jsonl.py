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
from isthmus.utils import errors
from isthmus.utils.errors import InputError

#: Bytes of text that are parsed at a time. A line must fit.
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
            first = next(json_batches(location), None)
            if first is None:
                raise InputError(f"{address[-120:]}: is empty, expected a JSON object in each line")
            embedding = _tables.find_embedding(first, member, address)
            _tables.warn_of_missing_end(location)
            return _tables.open_cells(
                json_batches(location),
                embedding,
                location,
                format=self.name,
                keys=lambda name: _keys(location, name),
                min_rows=min_rows,
            )


def json_batches(location: Location) -> Iterator[Any]:
    """Yield the lines as Arrow batches."""
    import pyarrow.json as reader

    options = reader.ReadOptions(use_threads=False, block_size=BLOCK_BYTES)
    if location.stat().st_size:  # type: ignore[union-attr]
        yield from reader.open_json(str(location), read_options=options)


def _keys(location: Location, name: str) -> Any:
    """Return the field `name` as keys."""
    import pyarrow as pa

    with translated_errors(str(location), "jsonl"):
        table = pa.Table.from_batches(list(json_batches(location)))
        name = _arrow_lists.key_column(table.schema, name, str(location))
    return _arrow_lists.decode_keys(table.column(name), f"{location}::{name}")
