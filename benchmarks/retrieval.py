"""Claim: recall in both directions costs little more than the bare product of the scores, and less than other tools
need.

The ranks of 5,000 x 25,000 x 512 pairs (five captions for each image) are counted tile by tile from one product, in
both directions. The reference computes only the product, into memory that is there. The others answer one direction
with the ten best rows (text for each image): faiss-cpu's flat index (asked in both directions too), scikit-learn's
brute-force neighbours, and torchmetrics' RetrievalRecall (it is given the scores of 500 images, and its time is scaled
up). Those that are not installed are left out. Every line is the fastest of its repeats, taken in turns in one process
on the same data.

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
from _table import Row, missing, show


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


def with_faiss_twice(x: np.ndarray, y: np.ndarray) -> Callable[[], Any] | None:
    there, back = with_faiss(x, y), with_faiss(y, x)
    return None if there is None or back is None else lambda: (there(), back())


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


def with_usearch(x: np.ndarray, y: np.ndarray) -> Callable[[], Any] | None:
    try:
        from usearch.index import MetricKind, search
    except ImportError:
        return None
    count = int(os.environ["OMP_NUM_THREADS"])
    return lambda: search(y, x, 10, MetricKind.IP, exact=True, threads=count)


def rows(images: int = 5_000, captions: int = 25_000, width: int = 512, repeats: int = 5) -> list[Row]:
    """The rate against each tool and against the bare product."""
    from isthmus.tasks import Retrieval

    x, y, owner = data(images, captions, width)
    scores = np.empty((len(x), len(y)), dtype=np.float32)
    some = min(500, len(x))
    ours = "both directions, all ranks"
    contenders: list[tuple[str, str, Callable[[], Any] | None, int, float]] = [
        ("bare product", "no ranks", lambda: np.matmul(x, y.T, out=scores), repeats, 1.0),
        (ours, "", lambda: Retrieval.of(x, y, index=owner), repeats, 1.0),
        ("faiss-cpu IndexFlatIP", "one direction, top 10", with_faiss(x, y), repeats, 1.0),
        ("faiss-cpu IndexFlatIP", "both directions, top 10", with_faiss_twice(x, y), 2, 1.0),
        ("usearch exact search", "one direction, top 10", with_usearch(x, y), 2, 1.0),
        ("scikit-learn brute", "one direction, top 10", with_sklearn(x, y), 2, 1.0),
        ("torchmetrics", f"{some} queries scaled", with_torchmetrics(x, y, owner, some), 1, len(x) / some),
    ]
    best: dict[tuple[str, str], float] = {}
    for turn in range(repeats):
        for name, what, work, most, scale in contenders:
            if work is not None and turn < most:
                time.sleep(0.1)  # threads of the library before it wait for work, busily, for some milliseconds
                best[name, what] = min(best.get((name, what), float("inf")), scale * timed(work))
    size = f"{len(x):,} x {len(y):,} x {width}"
    seconds = best[ours, ""]
    measured = f"{seconds:.2f} s"
    machine = f"{100 * best['bare product', 'no ranks'] / seconds:.0f} % of the bare product"
    table = []
    for name, what, work, *_ in contenders:
        if name == ours:
            continue
        claim = f"ranks in both directions, {size}"
        if work is None:
            table.append(missing(claim, name))
            continue
        peer = f"{name} ({what}): {best[name, what]:.2f} s"
        least = 0.9 if name == "bare product" else 1.0
        table.append(Row(claim, measured, peer, best[name, what] / seconds, least=least, machine=machine))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("images", 5_000), ("captions", 25_000), ("width", 512), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    show(rows(options.images, options.captions, options.width, options.repeats))


if __name__ == "__main__":
    main()
