"""Approximate indexes of rows with inner products, as faiss and usearch build them, for the task `index`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

#: Numbers of the nearest rows (m, k) of queries (m, d), nearest first. -1 stands for none.
Search = Callable[[np.ndarray, int], np.ndarray]
#: Links of a node of HNSW, and candidates of its construction and of a search.
HNSW_LINKS, HNSW_CONSTRUCTION, HNSW_SEARCH = 32, 100, 64
#: Lists of IVF for each square root of the number of rows, and the share of them that a search visits.
IVF_PROBED_SHARE = 1 / 8
#: Coordinates that product quantisation replaces by one code, and the largest number of bits of a code.
PQ_WIDTH, PQ_BITS = 8, 8


@contextmanager
def one_thread(faiss: Any) -> Iterator[None]:
    """Let faiss use one thread, so that an index does not depend on their number and times are comparable."""
    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(n_threads)


def _padded(rows: np.ndarray, width: int) -> np.ndarray:
    """Return rows with zeros appended until their length is a multiple of `width`, as float32."""
    missing = -rows.shape[1] % width
    return np.ascontiguousarray(np.pad(rows, ((0, 0), (0, missing))), dtype=np.float32)


def _of_faiss(index: Any, rows: np.ndarray, *, width: int = 1) -> Search:
    """Add the rows to an index, which is trained if it needs it, and return its search."""
    table = _padded(rows, width)
    if not index.is_trained:
        index.train(table)
    index.add(table)
    return lambda queries, k: np.asarray(index.search(_padded(queries, width), k)[1])


def exact(faiss: Any, rows: np.ndarray, seed: int) -> Search:
    """Return an exhaustive search."""
    del seed
    return _of_faiss(faiss.IndexFlatIP(rows.shape[1]), rows)


def _hnsw(faiss: Any, rows: np.ndarray, seed: int) -> Search:
    del seed
    index = faiss.IndexHNSWFlat(rows.shape[1], HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = HNSW_CONSTRUCTION, HNSW_SEARCH
    return _of_faiss(index, rows)


def _ivf(faiss: Any, rows: np.ndarray, seed: int) -> Search:
    width, n_lists = rows.shape[1], max(1, int(np.sqrt(len(rows))))
    quantizer = faiss.IndexFlatIP(width)
    index = faiss.IndexIVFFlat(quantizer, width, n_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed, index.cp.min_points_per_centroid = seed, 1
    index.nprobe = max(1, round(n_lists * IVF_PROBED_SHARE))
    search = _of_faiss(index, rows)

    def searched(queries: np.ndarray, k: int) -> np.ndarray:
        assert quantizer.ntotal  # the index refers to its quantizer, which must live as long
        return search(queries, k)

    return searched


def _pq(faiss: Any, rows: np.ndarray, seed: int) -> Search:
    width = rows.shape[1] + -rows.shape[1] % PQ_WIDTH
    bits = int(np.clip(np.log2(len(rows) / 2), 1, PQ_BITS))
    index = faiss.IndexPQ(width, width // PQ_WIDTH, bits, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.seed, index.pq.cp.min_points_per_centroid = seed, 1
    return _of_faiss(index, rows, width=PQ_WIDTH)


def _int8(faiss: Any, rows: np.ndarray, seed: int) -> Search:
    del seed
    kind = faiss.ScalarQuantizer.QT_8bit
    width = rows.shape[1] + -rows.shape[1] % PQ_WIDTH  # faiss is ten times as fast at a multiple of 8
    return _of_faiss(faiss.IndexScalarQuantizer(width, kind, faiss.METRIC_INNER_PRODUCT), rows, width=PQ_WIDTH)


def _binary(faiss: Any, rows: np.ndarray, seed: int) -> Search:
    del seed

    def bits(table: np.ndarray) -> np.ndarray:
        return np.packbits(table > 0, axis=1)

    index = faiss.IndexBinaryFlat(8 * bits(rows[:1]).shape[1])
    index.add(bits(rows))
    return lambda queries, k: np.asarray(index.search(bits(queries), k)[1])


def _usearch(dtype: str) -> Callable[[Any, np.ndarray, int], Search]:
    def build(faiss: Any, rows: np.ndarray, seed: int) -> Search:
        del faiss, seed
        from usearch.index import Index

        index = Index(
            ndim=rows.shape[1],
            metric="ip",
            dtype=dtype,
            connectivity=HNSW_LINKS,
            expansion_add=HNSW_CONSTRUCTION,
            expansion_search=HNSW_SEARCH,
        )
        index.add(np.arange(len(rows)), np.ascontiguousarray(rows, dtype=np.float32), threads=1)

        def search(queries: np.ndarray, k: int) -> np.ndarray:
            hits = index.search(np.ascontiguousarray(queries, dtype=np.float32), k, threads=1)
            numbers = np.asarray(hits.keys, dtype=np.int64).reshape(len(queries), -1)
            counts = np.asarray(getattr(hits, "counts", numbers.shape[1])).reshape(-1, 1)
            return np.where(np.arange(numbers.shape[1]) < counts, numbers, -1)

        return search

    return build


#: Description and builder of each index by name.
INDEXES: dict[str, tuple[str, Callable[[Any, np.ndarray, int], Search]]] = {
    "hnsw": (f"HNSW with {HNSW_LINKS} links and {HNSW_SEARCH} candidates (faiss)", _hnsw),
    "ivf": ("IVF that visits an eighth of sqrt(n) lists (faiss)", _ivf),
    "pq": (f"product quantisation, a byte for {PQ_WIDTH} coordinates (faiss)", _pq),
    "int8": ("8-bit codes with a range for each coordinate (faiss)", _int8),
    "binary": ("signs of the coordinates with Hamming distances (faiss)", _binary),
}
if importlib.util.find_spec("usearch") is not None:
    INDEXES["usearch"] = (f"HNSW with {HNSW_LINKS} links and {HNSW_SEARCH} candidates (usearch)", _usearch("f32"))
    INDEXES["usearch_int8"] = (
        "the same with 8-bit codes of rows and queries, one range for each (usearch)",
        _usearch("i8"),
    )
