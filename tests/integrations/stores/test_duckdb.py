"""Tables of a DuckDB file as sources and targets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import isthmus
import store_tables
from isthmus import InputError
from isthmus.cli import app
from isthmus.testing import check_store
from store_tables import check_refused_replacement

duckdb = pytest.importorskip("duckdb")
pa = pytest.importorskip("pyarrow")


def test_duckdb_keeps_the_contract_of_a_store(tmp_path: Path) -> None:
    for dtype in ("float32", "float64"):
        check_store(
            isthmus.sources.stores["duckdb"],
            lambda *columns: store_tables.duckdb(tmp_path, *columns),
            new_table=f"duckdb:{tmp_path}/{dtype}.duckdb/fresh::vector",
            dtype=dtype,
        )


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("", "several|holds"),
        ("::none", "none"),
        ("::a?modality=sound", "no row has this value"),
        ("/none::a", "there is no file"),
    ],
)
def test_address_that_cannot_be_opened_says_what_exists(
    tmp_path: Path, rng: np.random.Generator, ending: str, message: str
) -> None:
    rows = rng.normal(size=(6, 4)).astype("float32")
    url = store_tables.duckdb(tmp_path, np.arange(6), {"a": rows, "b": rows}, np.full(6, "image"))
    with pytest.raises(InputError, match=message):
        isthmus.sources.open_source(f"{url}{ending}")


def test_table_with_repeated_ids_or_null_vectors_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(6, 4)).astype("float32")
    url = store_tables.duckdb(tmp_path, np.array([0, 1, 2, 2, 4, 5]), {"a": rows}, np.full(6, "image"))
    aligner = isthmus.align.Centering().fit(rows, rows[::-1])
    with pytest.raises(InputError, match="the id 2 of column 'id' is in 2 rows"):
        isthmus.align.streaming.apply(aligner, isthmus.sources.open_source(f"{url}::a"), f"{url}::b", modality="x")
    with duckdb.connect(f"{tmp_path}/items.duckdb") as connection:
        connection.execute("""UPDATE "Items ""0""; drop" SET a = NULL WHERE id = 4""")
    with pytest.raises(InputError, match="null"):
        isthmus.sources.open_source(f"{url}::a").read(0, 6)


def test_two_tables_with_one_name_of_column_give_the_names_and_repeated_apply_says_that_nothing_is_left(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    rows = rng.normal(size=(60, 4)).astype("float32")
    with duckdb.connect(f"{tmp_path}/shop.duckdb") as connection:
        for table, vectors in (("images", rows + 1), ("captions", rows - 1)):
            connection.register("made", pa.table({"id": range(60), "clip": store_tables.lists(vectors)}))
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM made")
    images, captions = (f"duckdb:{tmp_path}/shop.duckdb/{table}::clip" for table in ("images", "captions"))
    assert isthmus.open_pairs(images, captions).names == ("image", "text")
    aligner = str(tmp_path / "a.safetensors")
    assert CliRunner().invoke(app, ["fit", "Centering", images, captions, "-o", aligner]).exit_code == 0
    words = ["apply", aligner, captions, captions.replace("::clip", "::aligned")]
    printed = [CliRunner().invoke(app, words).stdout for _ in range(2)]
    assert printed[0].startswith("Wrote 60 x 4 rows: duckdb:")
    assert printed[1].startswith("Nothing was left to do: all 60 x 4 rows are in duckdb:")
    assert json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["unchanged"]
    written = isthmus.sources.open_source(words[-1]).read(0, 60)
    np.testing.assert_allclose(written, isthmus.load(aligner).transform_y(rows - 1), atol=1e-6)


def test_replacing_a_column_that_holds_no_vectors_is_refused_and_keeps_the_table(tmp_path: Path) -> None:
    check_refused_replacement(lambda *columns: store_tables.duckdb(tmp_path, *columns))


def test_sort_beyond_the_memory_of_the_connection_keeps_the_rows_in_order(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isthmus.integrations.stores import duckdb as store

    rows = rng.normal(size=(40_000, 64)).astype("float32")
    ids = rng.permutation(len(rows))
    url = store_tables.duckdb(tmp_path, ids, {"a": rows}, np.full(len(rows), "image"))
    monkeypatch.setitem(store.SETTINGS, "memory_limit", "24MB")
    monkeypatch.setitem(store.SETTINGS, "threads", 1)
    np.testing.assert_array_equal(isthmus.sources.open_source(f"{url}::a").read(0, len(rows)), rows[np.argsort(ids)])


def test_file_that_the_process_has_open_is_read_with_its_settings(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(6, 4)).astype("float32")
    url = store_tables.duckdb(tmp_path, np.arange(6), {"a": rows}, np.full(6, "image"))
    with duckdb.connect(f"{tmp_path}/items.duckdb", read_only=True):
        np.testing.assert_array_equal(isthmus.sources.open_source(f"{url}::a").read(0, 6), rows)
