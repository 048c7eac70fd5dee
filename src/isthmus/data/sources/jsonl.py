"""The format .jsonl."""

from __future__ import annotations

import json
import re
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
#: Field of the rows of a file that has a list of numbers in each line.
FIELD = "embedding"


@register
class Jsonl(Format):
    """JSON lines (.jsonl, .ndjson): a list of numbers in each line, alone or in an object {"embedding": [0.1, 0.2]}."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson")
    dtypes = ("float64",)
    is_shard = False
    announces_length = False

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Parse the embeddings in blocks. Each number equals ``float(text)``."""
        errors.import_optional("pyarrow.json", "parquet", f"reading {location}")
        address = str(location)
        _tables.check_blank_lines(location)
        if (first := _first_list(location)) is not None and not _is_row(first):
            raise InputError(
                f"{address[-60:]}: begins with a list of other values than numbers, expected a list of numbers or an "
                "object in each line; for one list of all rows run np.save('rows.npy', np.array(json.load(open(FILE))))"
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
    """Yield the lines as Arrow batches. Without a schema, each batch has the types that its own lines show.

    Lines that are lists have the field `FIELD`.
    """
    import pyarrow as pa
    import pyarrow.json as reader

    n_rows = 0
    are_lists = _first_list(location) is not None
    with location.open("rb") as file:
        while lines := file.read(BLOCK_BYTES):
            lines += file.readline()
            if lines.strip():
                if are_lists:
                    lines = re.sub(rb"(?m)^[^\S\n]*(\S.*)$", rb'{"%b": \1}' % FIELD.encode(), lines)
                options = reader.ReadOptions(use_threads=False, block_size=len(lines) + 1)
                types = reader.ParseOptions(explicit_schema=schema)
                try:
                    table = reader.read_json(pa.BufferReader(lines), options, types)
                except pa.ArrowInvalid as error:  # it counts rows in these lines
                    raise pa.ArrowInvalid(errors.with_row_numbers(str(error), n_rows.__add__)) from None
                n_rows += table.num_rows
                yield from table.to_batches()


def _first_list(location: Location) -> bytes | None:
    """Return the first line if it begins with a list, or None."""
    with location.open("rb") as file:
        line = file.readline(BLOCK_BYTES)
        while line.isspace():
            line = file.readline(BLOCK_BYTES)
    return line.strip() if line.lstrip().startswith(b"[") else None


def _is_row(line: bytes) -> bool:
    """Return whether a line is a list of numbers, in which null and NaN are missing.

    >>> _is_row(b"[0.1, null]"), _is_row(b"[[0.1, 0.2]]"), _is_row(b"[")
    (True, False, False)
    """
    try:
        numbers = json.loads(line)
    except ValueError:
        return False
    return bool(numbers) and all(number is None or type(number) in (int, float) for number in numbers)


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
