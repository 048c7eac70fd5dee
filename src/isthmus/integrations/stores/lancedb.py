"""LanceDB: tables as sources and targets, and queries that are corrected on the way in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.align.registration import load
from isthmus.data.sources import Store, StoreAddress, StoreTable, _arrow_lists, register_store
from isthmus.data.sources._stores import require_table
from isthmus.utils import errors
from isthmus.utils.errors import InputError, unknown_name

#: Key of the note in the metadata of a column.
NOTE = "isthmus"


@register_store
class LanceDB(Store):
    """LanceDB (lancedb://FOLDER/TABLE::COLUMN?modality=image): a second column beside the vectors, by id."""

    scheme = "lancedb"

    def open_table(self, address: StoreAddress) -> LanceTable:
        """Open a table of a folder, or of a bucket such as lancedb:s3://bucket/folder/table."""
        return LanceTable(address, _open(address, create=False))

    def create_table(
        self, address: StoreAddress, ids: np.ndarray, width: int, dtype: np.dtype, note: str
    ) -> LanceTable:
        """Create a table of the columns id and vector."""
        import pyarrow as pa

        column = address.column or "vector"
        database, name = _connect(address, create=True), address.table
        if name not in _table_names(database):
            id_field = pa.field(address.options.get("id", "id"), pa.array(ids[:1]).type)
            database.create_table(name, schema=pa.schema([id_field, _vector_field(column, width, dtype, note)]))
        table = LanceTable(address.with_column(column), database.open_table(name))
        if table.note(column) != note:
            raise InputError(f"{address}: the table exists; give the name of a new table")
        table.adds_rows = True
        return table


class LanceTable(StoreTable):
    """The rows of a table, in the order of one version of it."""

    def __init__(self, address: StoreAddress, table: Any):
        self.table = table
        schema = table.schema
        column = _arrow_lists.embedding_column(schema, address.column, str(address.with_column("")))
        self.address = address.with_column(column)
        self.adds_rows = False
        list_type = schema.field(column).type
        self.dtype = _arrow_lists.list_dtype(list_type)
        self.id_column = _arrow_lists.id_column(schema, address.options.get("id"), str(address.with_column("")))
        self.has_ids = self.id_column is not None
        self._where = " AND ".join(_equals(schema, name, value, self.address) for name, value in address.filters)
        self.count = table.count_rows(self._where or None)
        declared = int(getattr(list_type, "list_size", -1))  # LanceDB keeps vectors as lists of one size
        first_lists = (batch.column(column) for batch in self._scan([column], "", 1))
        self.width = declared if declared > 0 else _arrow_lists.list_width(list_type, first_lists, str(self.address))

    def _scan(self, columns: list[str], where: str, size: int) -> Iterator[Any]:
        """Yield batches of the columns of the rows that the filter and `where` select."""
        condition = " AND ".join(filter(None, (self._where, where)))
        query = self.table.search().select(columns)
        query = query.where(condition) if condition else query
        query = query.limit(size) if size == 1 else query
        yield from query.to_batches(batch_size=size)

    def blocks(self, size: int, *, missing: str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows in the order of the table."""
        column, first = str(self.address.column), 0
        ids = [] if self.id_column is None else [self.id_column]
        where = "" if missing is None else f"{_quoted(missing)} IS NULL"
        with _arrow_lists.translated_errors(str(self.address), "LanceDB"):
            for batch in self._scan([*ids, column], where, size):
                keys = _arrow_lists.key_values(batch.column(ids[0])) if ids else None
                rows = _arrow_lists.to_matrix(batch.column(column), self.width, first, str(self.address), keys)
                yield np.arange(first, first + len(rows)) if keys is None else keys, rows
                first += len(rows)

    def key_blocks(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and keys."""
        name = _arrow_lists.key_column(self.table.schema, name, str(self.address.with_column("")))
        ids = name if self.id_column is None else self.id_column
        for batch in self._scan(list(dict.fromkeys((ids, name))), "", 65_536):
            if batch.column(name).null_count:
                raise InputError(f"{self.address}: column {name!r} has nulls; every row needs a key")
            yield _arrow_lists.key_values(batch.column(ids)), _arrow_lists.key_values(batch.column(name))

    def check_ids(self) -> None:
        """Raise `InputError` unless the ids all differ, which LanceDB does not enforce."""
        super().check_ids()
        ids = np.concatenate([block for _, block in self.key_blocks(str(self.id_column))])
        values, counts = np.unique(ids, return_counts=True)
        if len(values) < len(ids):
            raise InputError(
                f"{self.address}: the id {values[counts.argmax()]} of column {self.id_column!r} is in "
                f"{counts.max()} rows, expected ids that all differ; name another column as ?id=NAME"
            )

    def note(self, column: str) -> str | None:
        """Return the note in the metadata of a column, as it is by now."""
        self.table.checkout_latest()
        if column not in self.table.schema.names:
            return None
        metadata = self.table.schema.field(column).metadata or {}
        return str(metadata.get(NOTE.encode(), b"").decode())

    def add_column(self, column: str, width: int, dtype: np.dtype, note: str) -> None:
        """Add a column of nulls."""
        self.table.checkout_latest()
        self.table.add_columns(_vector_field(column, width, dtype, note))

    def write(self, column: str, ids: np.ndarray, rows: np.ndarray) -> None:
        """Merge the vectors by id, or append the rows if the table was created for them. Each call is one version."""
        import pyarrow as pa

        schema = self.table.schema
        id_column = str(self.id_column)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).reshape(-1)), rows.shape[1])
        data = pa.table([pa.array(ids).cast(schema.field(id_column).type), vectors], names=[id_column, column])
        if self.adds_rows:
            self.table.add(data)
        else:
            self.table.merge_insert(id_column).when_matched_update_all().execute(data)

    def drop_column(self, column: str) -> None:
        """Remove a column."""
        self.table.drop_columns([column])

    def rename_column(self, column: str, new: str, note: str) -> None:
        """Replace the column `new` by `column`."""
        if new in self.table.schema.names:
            self.table.drop_columns([new])
        self.table.alter_columns({"path": column, "rename": new})
        self.table.update_field_metadata({"path": new, "metadata": {NOTE: note}})


def _connect(address: StoreAddress, *, create: bool) -> Any:
    """Connect to the folder of an address."""
    lancedb = errors.import_optional("lancedb", "lancedb", f"reading {address}")
    require_table(address, "lancedb://folder/table::vector")
    if "://" not in address.folder and not create and not Path(address.folder).is_dir():
        raise InputError(f"{address}: there is no folder {address.folder}; give lancedb://FOLDER/TABLE::COLUMN")
    return lancedb.connect(address.folder)


def _table_names(database: Any) -> list[str]:
    """Return the names of all tables."""
    names: list[str] = list(database.list_tables(limit=100_000).tables)
    return names


def _open(address: StoreAddress, *, create: bool) -> Any:
    """Open a table that exists."""
    database = _connect(address, create=create)
    names = _table_names(database)
    if address.table not in names:
        raise unknown_name(f"table in lancedb://{address.folder}", address.table, names)
    return database.open_table(address.table)


def _vector_field(column: str, width: int, dtype: np.dtype, note: str) -> Any:
    import pyarrow as pa

    value_type = pa.from_numpy_dtype(dtype)
    return pa.field(column, pa.list_(pa.field("item", value_type), width), metadata={NOTE: note})


def _quoted(column: str) -> str:
    """Return a column name as an identifier of LanceDB, which has no way to quote a backtick."""
    if "`" in column:
        raise InputError(f"column {column!r}: LanceDB cannot filter by a name with a backtick; rename the column")
    return f"`{column}`"


def _equals(schema: Any, name: str, value: str, address: StoreAddress) -> str:
    """Return a condition of SQL: the column has this value."""
    import pyarrow as pa

    if name not in schema.names:
        raise unknown_name(f"column in {address.with_column('')}", name, schema.names)
    data_type = schema.field(name).type
    if pa.types.is_integer(data_type) or pa.types.is_floating(data_type) or pa.types.is_boolean(data_type):
        try:
            literal = str(pa.scalar(value).cast(data_type).as_py())
        except pa.ArrowInvalid:
            raise InputError(f"{address}: {name}={value!r}, expected a value of the type {data_type}") from None
    else:
        literal = "'" + value.replace("'", "''") + "'"
    return f"{_quoted(name)} = {literal}"


def lancedb_embedding() -> Any:
    """Register the embedding function 'isthmus' of LanceDB and return its class.

    It wraps another embedding function, and corrects rows on the way in and queries on the way to the search. So the
    plain search of the table gives the corrected ranking. Call this function in each process that opens such a table.

    Returns
    -------
    type
        Subclass of `lancedb.embeddings.EmbeddingFunction`. Its `create` takes `correction`, the path of a saved
        correction, and `base` and `base_options`, the name and the options of a registered embedding function.
        `source_modality` and `text_modality` name the modalities of what is stored and of queries that are text.

    Raises
    ------
    InputError
        If lancedb is not installed.

    Examples
    --------
    >>> corrected = lancedb_embedding().create(correction="scores.safetensors", base="open-clip")  # doctest: +SKIP
    >>> class Item(LanceModel):  # doctest: +SKIP
    ...     image: str = corrected.SourceField()
    ...     vector: Vector(corrected.ndims()) = corrected.VectorField()
    """
    embeddings = errors.import_optional("lancedb.embeddings", "lancedb", "lancedb_embedding", package="lancedb")
    registry = embeddings.get_registry()
    if NOTE in registry._functions:
        return registry.get(NOTE)

    class CorrectedEmbedding(embeddings.EmbeddingFunction):  # type: ignore[misc,name-defined]
        correction: str
        base: str
        base_options: dict = {}  # noqa: RUF012 (pydantic copies it)
        source_modality: str = "image"
        text_modality: str = "text"
        _loaded: Any = None

        def loaded(self) -> Any:
            """Return the correction and the embedding function that it corrects, loaded once."""
            if self._loaded is None:
                function = registry.get(self.base).create(**self.base_options)
                self._loaded = load(self.correction), function
            return self._loaded

        def compute_source_embeddings(self, inputs: Any, *args: Any, **kwargs: Any) -> list[np.ndarray]:
            correction, function = self.loaded()
            rows = np.asarray(function.compute_source_embeddings(inputs, *args, **kwargs))
            return list(correction.stored(rows, modality=self.source_modality))

        def compute_query_embeddings(self, query: Any, *args: Any, **kwargs: Any) -> list[np.ndarray]:
            correction, function = self.loaded()
            rows = np.asarray(function.compute_query_embeddings(query, *args, **kwargs))
            modality = self.text_modality if isinstance(query, str) else self.source_modality
            return list(correction.query(rows, modality=modality))

        def ndims(self) -> int:
            correction, function = self.loaded()
            row = np.ones(function.ndims())
            return len(correction.stored(row, modality=self.source_modality))

    embeddings.register(NOTE)(CorrectedEmbedding)
    return CorrectedEmbedding
