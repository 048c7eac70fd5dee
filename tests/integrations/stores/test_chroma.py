"""Collections of Chroma as sources and as new collections."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from isthmus.sources import open_source

import isthmus
import store_tables
from isthmus import InputError
from isthmus.testing import check_store

chromadb = pytest.importorskip("chromadb")


def test_chroma_keeps_the_contract_of_a_store(tmp_path: Path) -> None:
    check_store(
        isthmus.sources.stores["chroma"],
        lambda *columns: store_tables.chroma(tmp_path, *columns),
        new_table=f"chroma:{tmp_path}/fresh",
        columns=False,
        column_address="{}-{}".format,
    )


def test_ids_that_are_text_and_numbers_of_metadata_are_read(tmp_path: Path, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(6, 4)).astype("float32")
    client = chromadb.PersistentClient(str(tmp_path), settings=chromadb.Settings(anonymized_telemetry=False))
    collection = client.create_collection("items", embedding_function=None)
    names = ["b", "a", "07", "7", "é", "c"]
    collection.add(ids=names, embeddings=rows, metadatas=[{"page": page % 2} for page in range(6)])
    source = open_source(f"chroma:{tmp_path}/items?page=1")
    assert source.keys("id").tolist() == ["7", "a", "c"]
    np.testing.assert_array_equal(source.read(0, 3), rows[[3, 1, 5]])
    assert source.keys("page").tolist() == [1, 1, 1]
    for ending, message in (
        ("?page=5", "no row has this value"),
        ("::vector", "holds one vector a record"),
        ("x", "unknown collection"),
    ):
        with pytest.raises(InputError, match=message):
            open_source(f"chroma:{tmp_path}/items{ending}")
    with pytest.raises(InputError, match="there is no Chroma in the folder"):
        open_source(f"chroma:{tmp_path}/none/items")
