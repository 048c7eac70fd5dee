"""Tables of a DuckDB file as sources and targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
import store_tables
from isthmus import InputError
from isthmus.testing import check_store

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
