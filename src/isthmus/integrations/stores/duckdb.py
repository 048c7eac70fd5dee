"""DuckDB: tables of a database file as sources and targets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from isthmus.data.sources import Store, StoreAddress, StoreTable, _arrow_lists, register_store
from isthmus.data.sources._stores import require_table
from isthmus.utils import errors
from isthmus.utils.errors import InputError, unknown_name

#: Types of the numbers of a vector by dtype.
TYPES = {"float32": "FLOAT", "float64": "DOUBLE"}
#: Settings of a connection. A sort beyond this memory goes to temporary files, so the memory does not grow with n.
SETTINGS = {"memory_limit": "512MB", "threads": 4}


@register_store
class DuckDB(Store):
    """DuckDB (duckdb:FILE.duckdb/TABLE::COLUMN?modality=image): a second column beside the vectors, by id."""

    scheme = "duckdb"

    def parse(self, url: str) -> StoreAddress:
        """Return the parts of an address, which is a path and has no slashes after the scheme."""
        return replace(super().parse(url), slashes="")

    def open_table(self, address: StoreAddress) -> DuckTable:
        """Open a table of a database file."""
        return DuckTable(address, _open(address, create=False))

    def create_table(self, address: StoreAddress, ids: np.ndarray, width: int, dtype: np.dtype, note: str) -> DuckTable:
        """Create a table of the columns id and vector."""
        column, name = address.column or "vector", address.table
        database = _open(address, create=True)
        database.make_writable()
        if name not in database.tables():
            id_type = "BIGINT" if np.issubdtype(ids.dtype, np.integer) else "VARCHAR"
            id_column = quoted(address.options.get("id", "id"))
            declared = f"{id_column} {id_type}, {quoted(column)} {vector_type(width, dtype)}"
            comment = f"COMMENT ON COLUMN {quoted(name)}.{quoted(column)} IS {literal(note)}"
            database.execute(f"CREATE TABLE {quoted(name)} ({declared}); {comment}")
        table = DuckTable(address.with_column(column), database)
        if table.note(column) != note:
            raise InputError(f"{address}: the table exists; give the name of a new table")
        table.adds_rows = True
        return table


class Database:
    """A database file, which a process opens once: for reading, or for writing too as soon as it writes."""

    def __init__(self, path: str, duckdb: Any, *, create: bool):
        self.path, self.duckdb, self.is_writable = path, duckdb, create
        self.spill: TemporaryDirectory[str] | None = None
        with self.translated():
            self.connection = self._connection(read_only=not create)

    def _connection(self, *, read_only: bool) -> Any:
        """Connect to the file. A file that this process has open already keeps the settings that it was opened with."""
        settings = dict(SETTINGS)
        if not os.access(Path(self.path).resolve().parent, os.W_OK):
            self.spill = TemporaryDirectory(prefix="isthmus-")
            settings["temp_directory"] = self.spill.name
        try:
            return self.duckdb.connect(self.path, read_only=read_only, config=settings)
        except self.duckdb.ConnectionException:
            return self.duckdb.connect(self.path, read_only=read_only)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise the errors of DuckDB as InputError."""
        try:
            yield
        except self.duckdb.Error as error:
            raise InputError(f"{self.path}: DuckDB reports: {errors.first_line(error)}") from None

    def make_writable(self) -> None:
        """Open the file again for writing, unless it is."""
        if self.is_writable:
            return
        self.connection.close()
        with self.translated():
            self.connection = self._connection(read_only=False)
        self.is_writable = True

    def execute(self, statements: str, parameters: Sequence[Any] = (), **tables: Any) -> list[tuple[Any, ...]]:
        """Run statements as one transaction, with Arrow tables by name, and return the rows of the last one."""
        cursor = self.connection.cursor()
        with self.translated():
            for name, table in tables.items():
                cursor.register(name, table)
            cursor.begin()
            try:
                rows = list(cursor.execute(statements, list(parameters)).fetchall())
                cursor.commit()
            except self.duckdb.Error:
                cursor.close()  # which undoes the transaction
                raise
            cursor.close()
        return rows

    def batches(self, query: str, parameters: Sequence[Any], size: int) -> Iterator[Any]:
        """Yield the rows of a query in batches of at most `size` rows."""
        cursor = self.connection.cursor()
        with self.translated():
            yield from cursor.sql(query, params=list(parameters)).to_arrow_reader(size)
        cursor.close()

    def tables(self) -> list[str]:
        """Return the names of all tables and views."""
        rows = self.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()")
        return [name for (name,) in rows]


class DuckTable(StoreTable):
    """The rows of a table in the order of their ids."""

    ordered = True

    def __init__(self, address: StoreAddress, database: Database):
        self.database, self.adds_rows = database, False
        self.name = quoted(address.table)
        schema = self._schema()
        column = _arrow_lists.embedding_column(schema, address.column, str(address.with_column("")))
        self.address = address.with_column(column)
        self.dtype = _arrow_lists.list_dtype(schema.field(column).type)
        self.id_column = _arrow_lists.id_column(schema, address.options.get("id"), str(address.with_column("")))
        self.has_ids = self.id_column is not None
        for name, _ in address.filters:
            if name not in schema.names:
                raise unknown_name(f"column in {address.with_column('')}", name, schema.names)
        self._where = " AND ".join(f"{quoted(name)}::VARCHAR = ?" for name, _ in address.filters) or "true"
        self._values = [value for _, value in address.filters]
        declared = int(getattr(schema.field(column).type, "list_size", -1))
        longest = str(declared) if declared > 0 else f"max(len({quoted(column)}))"
        (row,) = database.execute(f"SELECT count(*), {longest} FROM {self.name} WHERE {self._where}", self._values)
        self.count, self.width = int(row[0]), int(row[1] or 0)

    def _schema(self) -> Any:
        with self.database.translated():
            return self.database.connection.cursor().sql(f"SELECT * FROM {self.name} LIMIT 0").to_arrow_table().schema

    def _batches(self, columns: Sequence[str], condition: str, size: int) -> Iterator[Any]:
        listed = ", ".join(quoted(column) for column in columns)
        order = "rowid" if self.id_column is None else quoted(self.id_column)
        query = f"SELECT {listed} FROM {self.name} WHERE {self._where} AND {condition} ORDER BY {order}"
        query = f"{query} LIMIT 1" if size == 1 else query
        yield from (batch for batch in self.database.batches(query, self._values, size) if batch.num_rows)

    def blocks(self, size: int, *, missing: str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows in the order of their ids."""
        column, first = str(self.address.column), 0
        ids = [] if self.id_column is None else [self.id_column]
        condition = "true" if missing is None else f"{quoted(missing)} IS NULL"
        for batch in self._batches([*ids, column], condition, size):
            keys = _arrow_lists.key_values(batch.column(ids[0])) if ids else None
            rows = _arrow_lists.to_matrix(batch.column(column), self.width, first, str(self.address), keys)
            yield np.arange(first, first + len(rows)) if keys is None else keys, rows
            first += len(rows)

    def key_blocks(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and keys."""
        name = _arrow_lists.key_column(self._schema(), name, str(self.address.with_column("")))
        ids = name if self.id_column is None else self.id_column
        for batch in self._batches(list(dict.fromkeys((ids, name))), "true", 65_536):
            if batch.column(name).null_count:
                raise InputError(f"{self.address}: column {name!r} has nulls; every row needs a key")
            yield _arrow_lists.key_values(batch.column(ids)), _arrow_lists.key_values(batch.column(name))

    def check_ids(self) -> None:
        """Raise `InputError` unless the ids all differ and none is null."""
        super().check_ids()
        column = quoted(str(self.id_column))
        repeated = self.database.execute(
            f"SELECT {column}, count(*) FROM {self.name} GROUP BY 1 HAVING count(*) > 1 OR {column} IS NULL LIMIT 1"
        )
        if repeated and repeated[0][0] is None:
            raise InputError(f"{self.address}: column {self.id_column!r} has nulls; every row needs a key")
        if repeated:
            raise InputError(
                f"{self.address}: the id {repeated[0][0]} of column {self.id_column!r} is in {repeated[0][1]} rows, "
                "expected ids that all differ; name another column as ?id=NAME"
            )

    def note(self, column: str) -> str | None:
        """Return the comment of a column. The file is opened for writing."""
        self.database.make_writable()
        rows = self.database.execute(
            "SELECT comment FROM duckdb_columns() WHERE database_name = current_database() "
            "AND schema_name = current_schema() AND table_name = ? AND column_name = ?",
            [self.address.table, column],
        )
        return None if not rows else str(rows[0][0] or "")

    def add_column(self, column: str, width: int, dtype: np.dtype, note: str) -> None:
        """Add a column of nulls with a comment."""
        self.database.execute(
            f"ALTER TABLE {self.name} ADD COLUMN {quoted(column)} {vector_type(width, dtype)}; "
            f"COMMENT ON COLUMN {self.name}.{quoted(column)} IS {literal(note)}"
        )

    def write(self, column: str, ids: np.ndarray, rows: np.ndarray) -> None:
        """Update the vectors by id, or append the rows if the table was created for them, as one transaction."""
        import pyarrow as pa

        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).reshape(-1)), rows.shape[1])
        block = pa.table([pa.array(ids), vectors], names=["key", "vector"])
        id_column, target = quoted(str(self.id_column)), quoted(column)
        if self.adds_rows:
            statement = f"INSERT INTO {self.name} ({id_column}, {target}) SELECT key, vector FROM isthmus_block"
        else:
            statement = (
                f"UPDATE {self.name} SET {target} = isthmus_block.vector FROM isthmus_block "
                f"WHERE {self.name}.{id_column} = isthmus_block.key"
            )
        self.database.execute(statement, isthmus_block=block)

    def drop_column(self, column: str) -> None:
        """Remove a column."""
        self.database.execute(f"ALTER TABLE {self.name} DROP COLUMN {quoted(column)}")

    def rename_column(self, column: str, new: str, note: str) -> None:
        """Replace the column `new` by `column`."""
        drop = f"ALTER TABLE {self.name} DROP COLUMN {quoted(new)}; " if new in self._schema().names else ""
        self.database.execute(
            f"{drop}ALTER TABLE {self.name} RENAME COLUMN {quoted(column)} TO {quoted(new)}; "
            f"COMMENT ON COLUMN {self.name}.{quoted(new)} IS {literal(note)}"
        )


_databases: WeakValueDictionary[str, Database] = WeakValueDictionary()


def _open(address: StoreAddress, *, create: bool) -> Database:
    """Open the file of an address, and check that it has the table unless it is created."""
    duckdb = errors.import_optional("duckdb", "duckdb", f"reading {address}")
    errors.import_optional("pyarrow", "duckdb", f"reading {address}")
    require_table(address, "duckdb:shop.duckdb/items::vector")
    path = Path(address.folder)
    if not create and not path.is_file():
        raise InputError(f"{address}: there is no file {path}; give duckdb:FILE.duckdb/TABLE::COLUMN")
    key = str(path.resolve())
    database = _databases.get(key)
    if database is None:
        database = _databases[key] = Database(str(path), duckdb, create=create)
    if not create:
        names = database.tables()
        if address.table not in names:
            raise unknown_name(f"table in {path}", address.table, names)
    return database


def quoted(name: str) -> str:
    """Return a name as an identifier of SQL.

    Parameters
    ----------
    name : str
        Name of a table or a column.

    Returns
    -------
    str
        The name in double quotes.

    Examples
    --------
    >>> quoted('Items "2"; drop')
    '"Items ""2""; drop"'
    """
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as a literal of SQL, where no parameter is possible.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
        The text in single quotes.

    Examples
    --------
    >>> literal("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def vector_type(width: int, dtype: np.dtype) -> str:
    """Return the type of vectors of a length.

    Parameters
    ----------
    width : int
        Length of the vectors.
    dtype : numpy.dtype
        Type of their numbers.

    Returns
    -------
    str
        Type of SQL.

    Examples
    --------
    >>> vector_type(3, np.dtype("float32"))
    'FLOAT[3]'
    """
    return f"{TYPES.get(dtype.name, 'FLOAT')}[{width}]"
