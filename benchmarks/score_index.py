"""Claim: corrected scores cost little in an index: the bank, the query, and the recall of an approximate index.

    python benchmarks/score_index.py

Made-up unit rows of width 512 with a common part, as many of each of two modalities. Seconds are those of the
processor, so that other work on the machine counts little. The hubness is that of 1,000,000 stored rows against a bank
of 5,000, in blocks. A query costs what `query` and `merge` cost beside the search, in batches of 100, and
alone, once after another query and once after a product that displaced the banks from the cache. HNSW (faiss, M=32,
efSearch=64) searches the forms of the index of the demo's rows, 1,200 of each modality. Queries are the texts and
images of the test split.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from _table import Row, show

import isthmus
from isthmus.align._score_model import mean_of_largest
from isthmus.compute.score_matrix import ScoreMatrix, select_topk

WIDTH = 512
HUBNESS_ROWS, BLOCK, BANK = 1_000_000, 50_000, 5_000
QUERIES, CORPUS = 100, 20_000


def rows() -> list[Row]:
    """Cost of the hubness and of a query, and recall of HNSW on each form of the index."""
    return [hubness_row(), query_row(), single_query_row(), *hnsw_rows()]


def made_up(count: int, seed: int) -> dict[str, np.ndarray]:
    """Paired unit rows of two modalities, each with a common direction and a spectrum that decays."""
    rng = np.random.default_rng(seed)
    spread = np.arange(1, WIDTH + 1) ** -0.35
    latent = rng.normal(size=(count, WIDTH)) * spread
    table = {}
    for number, name in enumerate(("image", "text")):
        own = unit(latent + 1.5 * rng.normal(size=(count, WIDTH)) * spread)
        table[name] = unit(own + 0.8 * np.eye(WIDTH)[7] + 0.5 * (-1) ** number * np.eye(WIDTH)[9]).astype(np.float32)
    return table


def unit(table: np.ndarray) -> np.ndarray:
    """Rows divided by their norms."""
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def seconds(work: Callable[[], Any], times: int) -> float:
    """Least seconds of the processor."""
    taken = []
    for _ in range(times):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def hubness_row() -> Row:
    """Hubness against its bare product."""
    rng = np.random.default_rng(0)
    stored, bank = (unit(rng.standard_normal((n, WIDTH))).astype(np.float32) for n in (BLOCK, BANK))

    def bare() -> None:
        matrix = ScoreMatrix(stored, bank)
        for block in matrix.blocks():
            matrix.tile(block)

    taken = np.zeros(2)
    for _ in range(HUBNESS_ROWS // BLOCK):
        taken += seconds(bare, 1), seconds(lambda: mean_of_largest(stored, bank, k=8), 1)
    claim = f"hubness of {HUBNESS_ROWS:,} rows against a bank of {BANK:,}"
    return Row(claim, f"{taken[1]:.1f} s", f"bare product {taken[0]:.1f} s", taken[1] / taken[0], most=1.3)


def query_row() -> Row:
    """Microseconds that a query of a batch costs beside the searches."""
    table = made_up(CORPUS, 1)
    correction = isthmus.align.ScoreCalibration().fit(**table)
    batch = table["text"][:QUERIES]
    asked = correction.query(batch, modality="text")
    lists = {
        name: select_topk(asked @ np.asarray(correction.stored(corpus, modality=name)).T, 10)
        for name, corpus in table.items()
    }
    bare = seconds(lambda: batch @ table["image"].T, 5)
    added = seconds(lambda: correction.query(batch, modality="text"), 50)
    added += seconds(lambda: correction.merge(lists, batch, modality="text", k=10), 50)
    each = 1e6 * added / QUERIES
    return Row(
        f"query and merge of one of {QUERIES} queries, banks of 1,000",
        f"{each:.0f} us more",
        f"bare product with {CORPUS:,} rows {1e6 * bare / QUERIES:.0f} us; 150 us allowed",
        each / 150,
        most=1,
    )


def single_query_row() -> Row:
    """Microseconds that a query alone costs beside the searches, with banks in the cache and after a large product."""
    table = made_up(CORPUS, 1)
    correction = isthmus.align.ScoreCalibration().fit(**table)
    query = np.random.default_rng(2).permutation(table["text"][:1], axis=1)  # equal to no row of the banks
    corpus = np.asarray(correction.stored(table["image"], modality="image")).T
    found = select_topk(correction.query(query, modality="text") @ corpus, 10)
    lists = dict.fromkeys(table, found)

    def served() -> None:
        correction.query(query, modality="text")
        correction.merge(lists, query, modality="text", k=10)

    warm = min(seconds(served, 1) for _ in range(200))
    bare, cold = np.transpose([(seconds(lambda: query @ table["image"].T, 1), seconds(served, 1)) for _ in range(200)])
    return Row(
        "query and merge of a query alone, banks of 1,000",
        f"{1e6 * warm:.0f} us more, {1e6 * np.median(cold):.0f} after a product that displaces the banks",
        f"bare product with {CORPUS:,} rows {1e6 * np.median(bare):.0f} us",
        float(np.median(cold) / np.median(bare)),
    )


def hnsw_rows() -> list[Row]:
    """Recall at 10 of HNSW on each form, and the balance that the shared form costs."""
    nan = float("nan")
    try:
        import faiss
    except ImportError:
        return [Row("HNSW on the forms of the index", "-", "faiss is not installed", nan)]
    return [row for run in isthmus.demo.RUNS for row in rows_of_run(run, faiss)]


def rows_of_run(run: str, faiss: Any) -> list[Row]:
    """Recall at 10 of HNSW and of the exact search, and the balance, of each form on one run of the demo."""
    train, test = (isthmus.demo.load(run, split=split) for split in ("train", "test"))
    corpus = dict(zip(train.names, train.unit(), strict=True))
    batches = dict(zip(test.names, test.unit(), strict=True))
    correction, count = isthmus.align.ScoreCalibration().fit(train), train.n_items
    fair = count / (2 * count - 1)  # of a random hit

    def searched(rows: np.ndarray, asked: np.ndarray, exact: bool) -> tuple[np.ndarray, np.ndarray]:
        kind = faiss.IndexFlatIP(rows.shape[1])
        if not exact:
            kind = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
            kind.hnsw.efSearch = 64
        kind.add(np.ascontiguousarray(rows, dtype=np.float32))
        return kind.search(np.ascontiguousarray(asked, dtype=np.float32), 10)

    def found(index: str, name: str, exact: bool) -> np.ndarray:
        batch = batches[name]
        asked = correction.query(batch, modality=name, index=index)
        queries = name if index == "exact" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", isthmus.IsthmusWarning)
            stored = {
                modality: correction.stored(rows, modality=modality, index=index, queries=queries)
                for modality, rows in corpus.items()
            }
        if index != "lists":
            return searched(np.concatenate(list(stored.values())), asked, exact)[1]
        lists = {modality: searched(rows, asked, exact) for modality, rows in stored.items()}
        hits = correction.merge(lists, batch, modality=name, k=10)
        return hits.rows + count * (hits.modalities == train.names[1])

    def recall(numbers: np.ndarray, truth: np.ndarray) -> float:
        return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(numbers, truth, strict=True)])) / 10

    truth = {name: found("lists", name, True) for name in batches}
    table = []
    for index in ("lists", "exact", "shared"):
        flat = {name: found(index, name, True) for name in batches}
        own = np.mean([recall(found(index, name, False), flat[name]) for name in batches])
        equal = np.mean([recall(flat[name], truth[name]) for name in batches])
        shares = [np.mean((flat[name] >= count) == number) for number, name in enumerate(train.names)]
        peer = f"exact search: {equal:.3f} of the ten best, same-modality share {np.mean(shares) / fair:.2f} of fair"
        claim = f"HNSW recall@10 of the exact search, form '{index}', {run}"
        table.append(Row(claim, f"{own:.3f}", peer, float(own), 0.9 if index == "lists" else None))
    return table


if __name__ == "__main__":
    show(rows())
