"""Tables of LanceDB as sources and targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus import InputError
from isthmus.testing import check_store
from store_tables import check_refused_replacement, lists
from store_tables import lancedb as make_table

lancedb = pytest.importorskip("lancedb")
pa = pytest.importorskip("pyarrow")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_lancedb_keeps_the_contract_of_a_store(tmp_path: Path, dtype: str) -> None:
    check_store(
        isthmus.sources.stores["lancedb"],
        lambda *columns: make_table(tmp_path, *columns),
        dtype=dtype,
        new_table=f"lancedb://{tmp_path}/fresh::vector",
    )


def test_repeated_ids_are_refused_by_apply(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(50, 4)).astype("float32")
    url = make_table(tmp_path, np.arange(50) // 2, {"vector": rows}, np.full(50, "image"))
    aligner = isthmus.align.Centering().fit(rows, rows + 1)
    with pytest.raises(InputError, match="the id 0 of column 'id' is in 2 rows"):
        isthmus.align.streaming.apply(aligner, isthmus.sources.open_source(url), f"{url}::new", modality="x")
    assert isthmus.sources.open_source(url).shape == (50, 4)


def test_row_without_direction_is_named_by_its_id(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(50, 4)).astype("float32")
    aligner = isthmus.align.Centering().fit(rows, rows + 1)
    rows[7] = 0
    url = make_table(tmp_path, np.arange(100, 150), {"vector": rows}, np.full(50, "image"))
    with pytest.raises(InputError, match="the row of the id 107 is zero, NaN or infinite"):
        isthmus.align.streaming.apply(aligner, isthmus.sources.open_source(url), f"{url}::new", modality="x")


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("/none", "unknown table in lancedb://.*'none'"),
        ("/items0::modality", "holds string, expected a list of float16"),
        ("/items0", r"holds several columns of embeddings \(a, b\)"),
        ("/items0::a?number=x", "number='x', expected a value of the type int64"),
        ("/nodb/items0", "there is no folder"),
    ],
)
def test_address_that_cannot_be_opened_says_what_exists(
    tmp_path: Path, rng: np.random.Generator, ending: str, message: str
) -> None:
    rows = rng.normal(size=(5, 4)).astype("float32")
    table = pa.table(
        {"id": range(5), "number": range(5), "modality": ["image"] * 5, "a": lists(rows), "b": lists(rows)}
    )
    lancedb.connect(tmp_path).create_table("items0", table)
    with pytest.raises(InputError, match=message):
        isthmus.sources.open_source(f"lancedb://{tmp_path}{ending}")


def test_quotes_in_values_and_names_stay_text(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(6, 4)).astype("float32")
    names = ["it's", "it's", "a` OR true", "x", "x", "x"]
    table = pa.table({"id": range(6), "odd 'name": names, "odd `name": names, "vector": lists(rows)})
    lancedb.connect(tmp_path).create_table("items", table)
    source = isthmus.sources.open_source(f"lancedb://{tmp_path}/items?odd 'name=it's")
    np.testing.assert_array_equal(source.read(0, 9), rows[:2])
    with pytest.raises(InputError, match="cannot filter by a name with a backtick"):
        isthmus.sources.open_source(f"lancedb://{tmp_path}/items?odd `name=x")


def test_replacing_a_column_that_holds_no_vectors_is_refused_and_keeps_the_table(tmp_path: Path) -> None:
    check_refused_replacement(lambda *columns: make_table(tmp_path, *columns))
