"""Claim: recall in both directions costs little more than the bare product of the scores, and less than other tools.

The ranks of 5,000 x 25,000 x 512 pairs (five captions for each image) are counted tile by tile from one product, in
both directions. The reference computes only the product, into memory that is there. The others answer one direction
with the ten best rows (text for each image): faiss-cpu's flat index, scikit-learn's brute-force neighbours, and
torchmetrics' RetrievalRecall (it is given the scores of 500 images, and its time is scaled up). Those that are not
installed are left out. Every line is the fastest of its repeats, taken in turns in one process on the same data.

    OMP_NUM_THREADS=2 python benchmarks/retrieval.py [--images 5000] [--captions 25000] [--width 512] [--repeats 5]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ["OMP_NUM_THREADS"])

import numpy as np


def timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def data(images: int, captions: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    owner = np.arange(captions) % images
    x = rng.standard_normal((images, width), dtype=np.float32)
    y = x[owner] + 4 * rng.standard_normal((captions, width), dtype=np.float32)
    for side in (x, y):
        side /= np.linalg.norm(side, axis=1, keepdims=True)
    order = np.argsort(owner, kind="stable")
    return x, np.ascontiguousarray(y[order]), owner[order]


def with_faiss(x: np.ndarray, y: np.ndarray) -> Callable[[], Any] | None:
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(y)
    return lambda: index.search(x, 10)


def with_sklearn(x: np.ndarray, y: np.ndarray) -> Callable[[], Any] | None:
    try:
        from sklearn.neighbors import NearestNeighbors
    except ImportError:
        return None
    found = NearestNeighbors(n_neighbors=10, algorithm="brute").fit(y)  # Euclidean: the same order on unit rows
    return lambda: found.kneighbors(x, return_distance=False)


def with_torchmetrics(x: np.ndarray, y: np.ndarray, owner: np.ndarray, some: int) -> Callable[[], Any] | None:
    try:
        import torch
        from torchmetrics.retrieval import RetrievalRecall
    except ImportError:
        return None
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    a, b, items = torch.from_numpy(x[:some]), torch.from_numpy(y), torch.from_numpy(owner)
    rows = torch.arange(some)[:, None].expand(some, len(y))

    def work() -> Any:
        metric = RetrievalRecall(top_k=10)
        metric.update((a @ b.T).flatten(), (items[None, :] == rows).flatten(), indexes=rows.flatten())
        return metric.compute()

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 5_000), ("captions", 25_000), ("width", 512), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    from isthmus.tasks import Retrieval

    x, y, owner = data(options.images, options.captions, options.width)
    scores = np.empty((len(x), len(y)), dtype=np.float32)
    some = min(500, len(x))
    rows: list[tuple[str, str, Callable[[], Any] | None, int, float]] = [
        ("bare product", "no ranks", lambda: np.matmul(x, y.T, out=scores), options.repeats, 1.0),
        ("isthmus", "both directions", lambda: Retrieval.of(x, y, index=owner), options.repeats, 1.0),
        ("faiss-cpu IndexFlatIP", "one direction, top 10", with_faiss(x, y), options.repeats, 1.0),
        ("scikit-learn brute", "one direction, top 10", with_sklearn(x, y), 2, 1.0),
        (
            "torchmetrics",
            f"one direction, {some} queries scaled",
            with_torchmetrics(x, y, owner, some),
            1,
            len(x) / some,
        ),
    ]
    best: dict[str, float] = {}
    for turn in range(options.repeats):
        for name, _, work, repeats, scale in rows:
            if work is not None and turn < repeats:
                best[name] = min(best.get(name, float("inf")), scale * timed(work))
    print(f"{len(x):,} x {len(y):,} x {x.shape[1]} float32, {os.environ['OMP_NUM_THREADS']} threads")
    for name, what, *_ in rows:
        if name not in best:
            print(f"{name:24}{what:36}not installed")
            continue
        rate, share = 2e-9 * len(x) * len(y) * x.shape[1] / best[name], best["bare product"] / best[name]
        print(f"{name:24}{what:36}{best[name]:8.3f} s{rate:8.1f} GFLOP/s{100 * share:6.0f} % of the product's rate")


if __name__ == "__main__":
    main()
