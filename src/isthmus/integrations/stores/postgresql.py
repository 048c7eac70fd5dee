"""PostgreSQL with pgvector: tables as sources and targets, through COPY BINARY in ranges of the key."""

from __future__ import annotations

import struct
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import numpy as np

from isthmus.data.sources import Store, StoreAddress, StoreTable, register_store
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name

#: Parameters of a connection, which are no filters.
LIBPQ = (
    "host", "hostaddr", "port", "user", "password", "passfile", "service", "sslmode", "sslrootcert", "sslcert",
    "sslkey", "connect_timeout", "application_name", "options", "target_session_attrs",
)  # fmt: skip
#: Types of pgvector, and what one number is in the binary form.
TYPES: dict[str, np.dtype[Any]] = {"vector": np.dtype(">f4"), "halfvec": np.dtype(">f2")}
#: Types of keys that are integers, and their binary form.
INTEGERS: dict[str, np.dtype[Any]] = {"int2": np.dtype(">i2"), "int4": np.dtype(">i4"), "int8": np.dtype(">i8")}
#: The binary form of the length of a field.
LENGTH = struct.Struct(">i")
#: Bytes before and after the rows of COPY BINARY.
SIGNATURE = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
#: Rows of a query for keys.
KEY_ROWS = 65_536


@register_store
class PostgreSQL(Store):
    """PostgreSQL with pgvector (postgresql://USER@HOST/DATABASE/[SCHEMA/]TABLE::COLUMN): a second column, by key."""

    scheme = "postgresql"
    options = ("id", *LIBPQ)

    def open_table(self, address: StoreAddress) -> PostgresTable:
        """Open a table with a primary key or another unique column."""
        return PostgresTable(address)

    def create_table(
        self, address: StoreAddress, ids: np.ndarray, width: int, dtype: np.dtype, note: str
    ) -> PostgresTable:
        """Create a table of the columns id and vector."""
        column, id_column = address.column or "vector", address.options.get("id", "id")
        address = address.with_column(column)
        database = Database(address)
        sql = database.sql
        if database.oid() is None:
            statement = sql.SQL("CREATE TABLE {} ({} {} PRIMARY KEY, {} {}); COMMENT ON COLUMN {}.{} IS {}").format(
                database.table,
                sql.Identifier(id_column),
                sql.SQL("bigint" if np.issubdtype(ids.dtype, np.integer) else "text"),
                sql.Identifier(column),
                _type(sql, width, dtype),
                database.table,
                sql.Identifier(column),
                sql.Literal(note),
            )
            database.execute(statement)
        table = PostgresTable(address)
        if table.note(column) != note:
            raise InputError(f"{address}: the table exists; give the name of a new table")
        table.adds_rows = True
        return table


class Database:
    """Connections to the database of an address. Every statement is composed of quoted identifiers and literals."""

    def __init__(self, address: StoreAddress):
        self.address = address
        self.psycopg = errors.import_optional("psycopg", "pgvector", f"reading {address}")
        self.sql = errors.import_optional("psycopg.sql", "pgvector", f"reading {address}")
        server, *path = address.location.split("/")
        if address.location.count("@") > 1:
            raise InputError(
                "the address of PostgreSQL holds several '@'; write '@' as %40 and '/' as %2F in passwords and names"
            )
        if len(path) not in (2, 3) or not all(path):
            raise InputError(f"{address}: names no table, expected postgresql://USER@HOST/DATABASE/TABLE::COLUMN")
        parameters = {name: value for name, value in address.options.items() if name in LIBPQ}
        with self.translated():
            self.conninfo = self.psycopg.conninfo.make_conninfo(f"postgresql://{server}/{path[0]}", **parameters)
        self.names = [unquote(name) for name in path[1:]]
        self.table = self.sql.Identifier(*self.names)
        self._session: Any = None

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise the errors of the driver as InputError."""
        try:
            yield
        except self.psycopg.Error as error:
            hint = "; run CREATE EXTENSION vector" if '"vector" does not exist' in str(error) else ""
            raise InputError(f"{self.address}: PostgreSQL reports: {errors.first_line(error)}{hint}") from None

    @contextmanager
    def connection(self) -> Iterator[Any]:
        """Yield a connection whose statements are one transaction."""
        if self._session is not None:
            yield self._session
            return
        with self.translated(), self.psycopg.connect(self.conninfo) as connection:
            yield connection

    @contextmanager
    def session(self) -> Iterator[None]:
        """Run all statements within this context in one connection, as one transaction."""
        with self.connection() as connection:
            self._session = connection
            try:
                yield
            finally:
                self._session = None

    def execute(self, statement: Any, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement as one transaction and return its rows."""
        with self.connection() as connection:
            connection.execute("SET LOCAL lock_timeout = '60s'")
            cursor = connection.execute(statement, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def oid(self) -> int | None:
        """Return the number of the table, or None if there is no such table."""
        with self.connection() as connection:
            name = self.table.as_string(connection)
            row = connection.execute("SELECT to_regclass(%s)::oid::bigint", [name]).fetchone()
        number: int | None = row[0]
        return number


class PostgresTable(StoreTable):
    """The rows of a table in the order of its key."""

    ordered = True

    def __init__(self, address: StoreAddress):
        self.database = Database(address)
        self.sql = self.database.sql
        self.adds_rows = False
        self._writing: Any = None
        with self.database.session():
            self._open(address)

    def _open(self, address: StoreAddress) -> None:
        """Read the columns, the key, the count and the width of the table."""
        oid = self.database.oid()
        if oid is None:
            raise InputError(f"{address}: there is no table {'.'.join(self.database.names)}, or no right to read it")
        self.oid = oid
        self.columns = {name: (kind, size) for name, kind, size in self.database.execute(_COLUMNS, [oid])}
        vectors = [name for name, (kind, _) in self.columns.items() if kind in TYPES]
        column = self._vector_column(address, vectors)
        self.address = address.with_column(column)
        self.id_column, self.id_type = self._key(address)
        self.dtype = TYPES[self.columns[column][0]].newbyteorder("=")
        self._where = self._filters()
        query = self.sql.SQL("SELECT count(*) FROM {} WHERE {}").format(self.database.table, self._where)
        self.count = self.database.execute(query)[0][0]
        self.width = self._width(column)

    def _width(self, column: str) -> int:
        """Return the declared width of a column, or that of its first vector, or 0 without any."""
        declared: int = self.columns[column][1]
        if declared > 0:
            return declared
        query = self.sql.SQL("SELECT vector_dims({}) FROM {} WHERE {} AND {} IS NOT NULL LIMIT 1")
        name = self.sql.Identifier(column)
        rows = self.database.execute(query.format(name, self.database.table, self._where, name))
        return int(rows[0][0]) if rows else 0

    def _vector_column(self, address: StoreAddress, vectors: list[str]) -> str:
        """Return the column of the address, or the only one of vectors."""
        base = address.with_column("")
        if address.column is None:
            if len(vectors) != 1:
                listed = ", ".join(vectors) or "none"
                raise InputError(f"{base}: names no column of vectors, and the table has {listed}; add ::COLUMN")
            return vectors[0]
        if address.column not in self.columns:
            raise unknown_name(f"column in {base}", address.column, vectors or self.columns)
        if address.column not in vectors:
            kind = self.columns[address.column][0]
            raise InputError(f"{address}: has the type {kind}, expected vector or halfvec of pgvector")
        return address.column

    def _key(self, address: StoreAddress) -> tuple[str, str]:
        """Return the name and type of the column of ids."""
        unique = {name: is_primary for name, is_primary in self.database.execute(_KEYS, [self.oid])}
        named = address.options.get("id") or next((name for name, is_primary in unique.items() if is_primary), None)
        if named not in unique:
            problem = "has no primary key of one column" if named is None else f"{named!r} is not a unique key"
            known = ", ".join(unique) or "there is none"
            raise InputError(
                f"{address}: {problem}, and rows are read and written by key; name a unique column as ?id=NAME: {known}"
            )
        return str(named), self.columns[str(named)][0]

    def _filters(self) -> Any:
        """Return the condition that the filter of the address sets."""
        conditions = [self.sql.SQL("true")]
        for name, value in self.address.filters:
            if name not in self.columns:
                raise unknown_name(f"column in {self.address.with_column('')}", name, self.columns)
            conditions.append(self.sql.SQL("{} = {}").format(self.sql.Identifier(name), self.sql.Literal(value)))
        return self.sql.SQL(" AND ").join(conditions)

    def _pages(self, connection: Any, name: str) -> Iterator[list[tuple[Any, Any]]]:
        """Yield ids and the values of a column in pages, in the order of the ids."""
        sql, last = self.sql, None
        key = sql.Identifier(self.id_column)
        while True:
            page = connection.execute(
                sql.SQL("SELECT {}, {} FROM {} WHERE {} AND {} ORDER BY {} LIMIT {}").format(
                    key, sql.Identifier(name), self.database.table, self._where, self._after(last), key, KEY_ROWS
                ),
                binary=self.id_type in INTEGERS,
            ).fetchall()
            if not page:
                return
            yield page
            last = page[-1][0]

    def _after(self, key: Any) -> Any:
        """Return the condition that rows come after a key."""
        if key is None:
            return self.sql.SQL("true")
        return self.sql.SQL("{} > {}").format(self.sql.Identifier(self.id_column), self.sql.Literal(key))

    def blocks(self, size: int, *, missing: str | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows in the order of their key, as they are when the first block is asked for."""
        sql, column = self.sql, self.sql.Identifier(str(self.address.column))
        where = self._where
        if missing is not None:
            where = sql.SQL("{} AND {} IS NULL").format(where, sql.Identifier(missing))
        with self.database.connection() as connection:
            connection.isolation_level = self.database.psycopg.IsolationLevel.REPEATABLE_READ
            null = sql.SQL("SELECT {} FROM {} WHERE {} AND {} IS NULL LIMIT 5")
            nulls = connection.execute(
                null.format(sql.Identifier(self.id_column), self.database.table, where, column)
            ).fetchall()
            if nulls:
                described = validation.ids_are(np.array([key for (key,) in nulls]), "null")
                raise InputError(f"{self.address}: {described}; remove or embed them again")
            last = None
            while True:
                query = sql.SQL(
                    "COPY (SELECT {}, {} FROM {} t WHERE {} AND {} ORDER BY t.{} LIMIT {}) TO STDOUT BINARY"
                )
                key = sql.Identifier(self.id_column)
                selected = key if self.id_type in INTEGERS else sql.SQL("{}::text").format(key)
                query = query.format(selected, column, self.database.table, where, self._after(last), key, size)
                with connection.cursor().copy(query) as copy:
                    data = b"".join(copy)
                ids, rows = self._parsed(data, connection.info.encoding)
                if len(ids):
                    yield ids, rows
                if len(ids) < size:
                    return
                last = ids[-1].item()

    def _parsed(self, data: bytes, encoding: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids and the vectors in the binary form of COPY."""
        body: Any = memoryview(data)[len(SIGNATURE) : len(data) - len(TRAILER)]
        integer, texts = INTEGERS.get(self.id_type), None
        if integer is None:
            texts, body = _text_ids(body, encoding)
        record = _record(TYPES[self.columns[str(self.address.column)][0]], self.width, integer)
        if len(body) % record.itemsize == 0:
            rows = np.frombuffer(body, dtype=record)
            if (rows["width"] == self.width).all():
                ids = rows["id"].astype(np.int64) if texts is None else texts
                return ids, rows["vector"].astype(self.dtype)
        raise InputError(f"{self.address}: holds vectors of other lengths than {self.width}; embed them again")

    def key_blocks(self, name: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ids and keys."""
        if name not in self.columns:
            raise unknown_name(f"column of keys in {self.address.with_column('')}", name, self.columns)
        with self.database.connection() as connection:
            for page in self._pages(connection, name):
                ids, keys = zip(*page, strict=True)
                nulls = np.flatnonzero([key is None for key in keys])
                if len(nulls):
                    raise InputError(
                        f"{self.address}: {name!r} {validation.rows_are(nulls, 'null')}; every row needs a key"
                    )
                yield _ids(ids), _ids(keys)

    def note(self, column: str) -> str | None:
        """Return the comment of a column."""
        rows = self.database.execute(_NOTE, [self.oid, column])
        return (rows[0][0] or "") if rows else None

    def _comment(self, column: str, note: str) -> Any:
        statement = self.sql.SQL("COMMENT ON COLUMN {}.{} IS {}")
        return statement.format(self.database.table, self.sql.Identifier(column), self.sql.Literal(note))

    def add_column(self, column: str, width: int, dtype: np.dtype, note: str) -> None:
        """Add a column of nulls, with the note as its comment."""
        statement = self.sql.SQL("ALTER TABLE {} ADD COLUMN {} {}; {}").format(
            self.database.table, self.sql.Identifier(column), _type(self.sql, width, dtype), self._comment(column, note)
        )
        self.database.execute(statement)

    def drop_column(self, column: str) -> None:
        """Remove a column."""
        statement = self.sql.SQL("ALTER TABLE {} DROP COLUMN {}")
        self.database.execute(statement.format(self.database.table, self.sql.Identifier(column)))

    def rename_column(self, column: str, new: str, note: str) -> None:
        """Replace the column `new` by `column`, as one transaction."""
        sql, table = self.sql, self.database.table
        statement = sql.SQL("ALTER TABLE {} DROP COLUMN IF EXISTS {}; ALTER TABLE {} RENAME COLUMN {} TO {}; {}")
        old_name, new_name = sql.Identifier(column), sql.Identifier(new)
        self.database.execute(statement.format(table, new_name, table, old_name, new_name, self._comment(new, note)))

    def write(self, column: str, ids: np.ndarray, rows: np.ndarray) -> None:
        """Copy the vectors to a temporary table, and set or insert them by key, as one transaction."""
        sql = self.sql
        kind = "halfvec" if rows.dtype.itemsize == 2 else "vector"
        record = _record(TYPES[kind], rows.shape[1], INTEGERS["int4"])
        data = np.zeros(len(rows), dtype=record)
        data["fields"], data["id_bytes"], data["id"] = 2, 4, np.arange(1, len(rows) + 1)
        data["bytes"], data["width"] = record["vector"].itemsize + 4, rows.shape[1]
        data["vector"] = rows
        source = sql.SQL("isthmus_block b JOIN unnest({}::{}[]) WITH ORDINALITY AS k(id, position) USING (position)")
        source = source.format(sql.Placeholder(), sql.Identifier(self.id_type))
        names = sql.Identifier(column), sql.Identifier(self.id_column)
        if self.adds_rows:
            statement = sql.SQL("INSERT INTO {} ({}, {}) SELECT b.v, k.id FROM {}").format(
                self.database.table, *names, source
            )
        else:
            statement = sql.SQL("UPDATE {} AS t SET {} = b.v FROM {} WHERE t.{} = k.id").format(
                self.database.table, names[0], source, names[1]
            )
        temporary = "CREATE TEMPORARY TABLE IF NOT EXISTS isthmus_block (position int, v {}) ON COMMIT DELETE ROWS"
        with self.database.translated():
            if self._writing is None:
                self._writing = self.database.psycopg.connect(self.database.conninfo, autocommit=True)
                weakref.finalize(self, self._writing.close)
                self._writing.execute("SET client_min_messages = warning")
            with self._writing.transaction():
                self._writing.execute(sql.SQL(temporary).format(sql.Identifier(kind)))
                with self._writing.cursor().copy("COPY isthmus_block FROM STDIN (FORMAT BINARY)") as copy:
                    copy.write(SIGNATURE + data.tobytes() + TRAILER)
                self._writing.execute(statement, [ids.tolist()])


def _record(kind: np.dtype, width: int, integer: np.dtype | None) -> np.dtype:
    """Return the binary form of one row of an integer, if there is one, and a vector."""
    key = [("fields", ">i2"), ("id_bytes", ">i4"), ("id", integer)] if integer is not None else []
    vector = [("bytes", ">i4"), ("width", ">i2"), ("unused", ">i2"), ("vector", kind, (width,))]
    return np.dtype([*key, *vector])


def _text_ids(body: memoryview, encoding: str) -> tuple[np.ndarray, bytes]:
    """Return the ids of rows of text and a vector, and the binary form of the vectors alone."""
    ids, vectors, start = [], [], 2  # a row begins with the number of its fields
    while start < len(body):
        end = start + 4 + LENGTH.unpack_from(body, start)[0]
        ids.append(str(body[start + 4 : end], encoding))
        start = end + 4 + LENGTH.unpack_from(body, end)[0]
        vectors.append(body[end:start])
        start += 2
    return np.asarray(ids, dtype=np.str_), b"".join(vectors)


def _type(sql: Any, width: int, dtype: np.dtype) -> Any:
    return sql.SQL("{}({})").format(sql.Identifier("halfvec" if np.dtype(dtype).itemsize == 2 else "vector"), width)


def _ids(values: Sequence[Any]) -> np.ndarray:
    """Return keys as an array of integers or text."""
    if all(isinstance(value, int) for value in values):
        return np.asarray(values, dtype=np.int64)
    return np.asarray([str(value) for value in values], dtype=np.str_)


_COLUMNS = (
    "SELECT a.attname, t.typname, a.atttypmod FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
    "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)
_KEYS = (
    "SELECT a.attname, i.indisprimary FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
    "AND a.attnum = i.indkey[0] WHERE i.indrelid = %s AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL "
    "AND a.attnotnull ORDER BY i.indisprimary DESC, a.attnum"
)
_NOTE = (
    "SELECT col_description(a.attrelid, a.attnum) FROM pg_attribute a "
    "WHERE a.attrelid = %s AND a.attname = %s AND NOT a.attisdropped"
)
