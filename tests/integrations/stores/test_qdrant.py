"""Shards of qdrant-edge and collections of qdrant-client as sources and as new tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import isthmus
import store_tables
from isthmus import InputError
from isthmus.testing import check_store


def test_edge_keeps_the_contract_of_a_store(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    check_store(
        isthmus.sources.stores["qdrant"],
        lambda *columns: store_tables.qdrant(tmp_path, *columns),
        new_table=f"qdrant:{tmp_path}/fresh::vector",
        columns=False,
    )


@pytest.mark.slow
def test_local_client_keeps_the_contract_of_a_store(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_client")
    check_store(
        isthmus.sources.stores["qdrant"],
        lambda *columns: store_tables.qdrant_local(tmp_path, *columns),
        new_table=f"qdrant:{tmp_path}/fresh::vector",
        columns=False,
    )


@pytest.mark.parametrize("make", ["qdrant", "qdrant_local"])
def test_points_of_several_requests_are_one_block(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, make: str
) -> None:
    pytest.importorskip("qdrant_edge" if make == "qdrant" else "qdrant_client")
    monkeypatch.setattr("isthmus.integrations.stores.qdrant.REQUEST_NUMBERS", 12)  # three rows of width 4
    rows = rng.normal(size=(11, 4)).astype("float32")
    url = getattr(store_tables, make)(tmp_path, np.arange(11), {"a": rows}, np.full(11, "image"))
    source = isthmus.sources.open_source(url)
    blocks = list(source.rows.table.blocks(7))
    assert [len(ids) for ids, _ in blocks] == [6, 5]
    np.testing.assert_array_equal(np.concatenate([ids for ids, _ in blocks]), np.arange(11))
    np.testing.assert_allclose(np.concatenate([block for _, block in blocks]), rows, rtol=1e-6)
    target = f"qdrant:{tmp_path}/fresh::a"
    isthmus.align.streaming.apply(isthmus.align.Centering().fit(rows, rows + 1), source, target, modality="x")
    assert isthmus.sources.open_source(target).shape == (11, 4)


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("", "holds the vectors .*; name one as ::NAME"),
        ("::none", "unknown vector in qdrant:.*'none'"),
        ("::a?modality=sound", "no row has this value"),
        ("/none::a", "is no shard of qdrant-edge; .*qdrant://HOST:6333/COLLECTION"),
    ],
)
def test_address_that_cannot_be_opened_says_what_exists(
    tmp_path: Path, rng: np.random.Generator, ending: str, message: str
) -> None:
    pytest.importorskip("qdrant_edge")
    rows = rng.normal(size=(6, 4))
    url = store_tables.qdrant(tmp_path, np.arange(6), {"a": rows, "b": rows}, np.full(6, "image"))
    with pytest.raises(InputError, match=message):
        isthmus.sources.open_source(f"{url}{ending}")


def test_filter_of_a_field_with_quotes_and_spaces_selects_its_points(tmp_path: Path) -> None:
    edge = pytest.importorskip("qdrant_edge")
    shard = edge.EdgeShard.create(
        str(tmp_path), edge.EdgeConfig(vectors={"v": edge.EdgeVectorParams(2, edge.Distance.Dot)})
    )
    points = [edge.Point(row, {"v": [1.0, row]}, {"it's é": f"o'neil {row % 2}"}) for row in range(6)]
    shard.update(edge.UpdateOperation.upsert_points(points))
    shard.flush()
    shard.close()
    source = isthmus.sources.open_source(f"qdrant:{tmp_path}::v?it's é=o'neil 1")
    np.testing.assert_array_equal(source.read(0, 3), [[1, 1], [1, 3], [1, 5]])
    with pytest.raises(InputError, match="holds a double quote"):
        isthmus.sources.open_source(f'qdrant:{tmp_path}::v?a"b=1')


def test_apply_beside_the_vectors_of_a_shard_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    pytest.importorskip("qdrant_edge")
    rows = rng.normal(size=(6, 4))
    url = store_tables.qdrant(tmp_path, np.arange(6), {"a": rows}, np.full(6, "image"))
    aligner = isthmus.align.Centering().fit(rows, rows[::-1])
    with pytest.raises(InputError, match="vectors of Qdrant are written to a new shard or collection"):
        isthmus.align.streaming.apply(aligner, isthmus.sources.open_source(url), f"{url}::b", modality="x")


def test_source_that_outlives_the_interpreter_ends_without_a_message(tmp_path: Path, rng: np.random.Generator) -> None:
    pytest.importorskip("qdrant_client")
    rows = rng.normal(size=(3, 4)).astype("float32")
    url = store_tables.qdrant_local(tmp_path, np.arange(3), {"a": rows}, np.full(3, "image"))
    code = "import builtins, sys, isthmus; builtins.kept = isthmus.sources.open_source(sys.argv[1])"
    ended = subprocess.run([sys.executable, "-c", code, f"{url}::a"], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
