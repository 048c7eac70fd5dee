"""Tables of a DuckDB file as sources and targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
import store_tables
from isthmus import InputError
from isthmus.testing import check_store
from store_tables import check_refused_replacement

duckdb = pytest.importorskip("duckdb")


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
