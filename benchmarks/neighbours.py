"""Claim: one pass finds the neighbours of all items in both modalities faster than scikit-learn, in little memory.

One pass finds the 20 nearest rows on both sides and in the union for all items of two sides, and the ranks of the
partners; the other sums functions of all distances. scikit-learn's brute-force NearestNeighbors answers a part of
the first: the neighbours of each row within its own side. Each line runs in a process of its own.

    python benchmarks/neighbours.py [--items 10000 20000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, child, show

#: What each may hold beside the rows, in MB.
MEMORY = 400.0


def one(what: str, n: int, dim: int) -> dict[str, float]:
    """Seconds and memory in MB on top of the rows."""
    from sklearn.neighbors import NearestNeighbors

    from isthmus.compute.topk import topk
    from isthmus.metrics import _neighbours, _paired_rows, _pairwise_sums

    x, y = np.random.default_rng(0).normal(size=(2, n, dim)).astype(np.float32)
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))

    def sklearn() -> None:
        for side in (x, y):
            NearestNeighbors(n_neighbors=20, metric="cosine", algorithm="brute").fit(side).kneighbors()

    work: dict[str, Callable[[], Any]] = {
        "neighbours within, across and in the union, ranks": lambda: _neighbours.Neighbours.of(x, y),
        "neighbours within": lambda: [topk(side, side, k=20, exclude_self=True) for side in (x, y)],
        "sums over all distances": lambda: _pairwise_sums.PairwiseSums.of(_paired_rows.PairedRows(x, y)),
        "scikit-learn": sklearn,
        "bare product": lambda: [x[i : i + 400] @ y.T for i in range(0, n, 400)],
    }
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is held now
    before, begin = peak(), time.perf_counter()
    work[what]()
    return {"seconds": time.perf_counter() - begin, "memory": peak() - before}


def peak() -> float:
    """Peak resident memory of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this kernel does not report VmHWM")


def rows(items: tuple[int, ...] = (10_000,), dim: int = 512, repeats: int = 2) -> list[Row]:
    """Time against scikit-learn and memory against what is allowed."""
    names = (
        "neighbours within", "neighbours within, across and in the union, ranks", "sums over all distances",
        "scikit-learn", "bare product",
    )  # fmt: skip
    table = []
    for n in items:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(repeats):
            for name in names:
                found[name].append(child("neighbours", "one", name, n, dim))
        seconds = {name: min(r["seconds"] for r in results) for name, results in found.items()}
        for name, products in (("neighbours within", 2), (names[1], 2), (names[2], 2)):
            share = products * seconds["bare product"] / seconds[name]
            theirs = seconds["scikit-learn"]
            peer = f"scikit-learn, within alone: {theirs:.1f} s"
            measured = f"{seconds[name]:.1f} s"
            machine = f"{100 * share:.0f} % of {products} bare products"
            least = 1 if name == "neighbours within" else None
            table.append(
                Row(f"{name}, {n:,} x {dim}", measured, peer, theirs / seconds[name], least=least, machine=machine)
            )
            memory = min(r["memory"] for r in found[name])
            allowed = f"allowed {MEMORY:.0f} MB"
            table.append(Row(f"{name}: memory", f"{memory:.0f} MB", allowed, memory / MEMORY, most=1))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000])
    parser.add_argument("--dim", type=int, default=512)
    options = parser.parse_args()
    show(rows(tuple(options.items), options.dim))


if __name__ == "__main__":
    main()
