"""Claim: `measure`, `explain` and `inspect` take little more than their unavoidable matrix products and one pass.

All measures of 20,000 pairs rank a sample of 10,000. They are compared with the products and decompositions that they
cannot avoid, in NumPy on as many threads: the scores of the sample, moments, CKA, eigenvectors, and the nulls and
intervals that need more of them, see `unavoidable`. `explain` of 1,000,000 pairs is compared with the moments of the
same files, and `inspect` with six seconds. The fast measures run beside a program whose two BLAS threads multiply all
the time, and are compared with one thread on the same machine without it. All that looks at the scores of the sample
(neighbours and ranks, all-distance sums for energy distance, MMD and uniformity, margins, recall, search by class, CKA)
is compared with the products of its tiles, in the processor time of one thread. One sweep computes each product once
for all of them. The share of products is smaller there, because the products are fewer. Compiled loops look at the
tiles (the extra `fast`), and at width 512 also NumPy alone.
Files are in the page cache. Each line runs in a process of its own, imports included.

    python benchmarks/measuring.py [--items 20000] [--large 1000000]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, anonymous, child, fastest, peak_anonymous, show, threads

#: What a verb may add to the process, in MB.
MEMORY = 600.0
#: What one sweep computes together in `sweep_shares`.
SWEPT = ("neighbours and ranks", "all-distance sums", "margins", "recall")
NOISE = "import numpy as np\na = np.random.default_rng(0).random((2000, 2000))\nwhile True:\n    a @ a"


def write_pairs(folder: str, n: int, dim: int) -> tuple[str, str]:
    """Write pairs like those of CLIP, unit rows of float32 in two cones with shared directions."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((2, dim)) / np.sqrt(dim)
    shared, private = rng.standard_normal((3, dim // 4, dim)).astype(np.float32)[:2]
    paths = [str(Path(folder) / f"{n}_{name}.npy") for name in "xy"]
    files = [np.lib.format.open_memmap(path, "w+", np.float32, (n, dim)) for path in paths]
    for start in range(0, n, 20_000):
        size = min(20_000, n - start)
        latent = rng.standard_normal((size, dim // 4), dtype=np.float32)
        for file, mean, sign in zip(files, means, (1, -1), strict=True):
            own = rng.standard_normal((size, dim // 4), dtype=np.float32)
            rows = (latent + 0.5 * own) @ (shared + 0.3 * sign * private) / dim + 1.2 * mean
            rows += 0.2 / np.sqrt(dim) * rng.standard_normal((size, dim), dtype=np.float32)
            file[start : start + size] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return paths[0], paths[1]


def verb(name: str, paths: list[str], with_memory: bool = False) -> dict[str, float]:
    """Return seconds, seconds of the processor and the anonymous MB that one verb adds to this process."""
    import isthmus
    from isthmus.data.sources import open_source
    from isthmus.diagnosis.inspection import inspect_pair
    from isthmus.evaluation import intervene
    from isthmus.statistics.pairing import looks_paired

    def inspect_both() -> None:
        sources = [open_source(path) for path in paths]
        inspect_pair(*sources)
        looks_paired(*sources)

    work: dict[str, Any] = {
        "measure": lambda: isthmus.measure(*paths),
        "fast": lambda: isthmus.measure(*paths, metrics="fast"),
        "explain": lambda: isthmus.explain(*paths),
        "moments": lambda: isthmus.Moments.of(isthmus.open_pairs(*paths, group=False)),
        "inspect": inspect_both,
        "fit": lambda: isthmus.align.Auto().fit(*paths),
        "compare": lambda: isthmus.compare(*paths),
        "report": lambda: isthmus.report(*paths, Path(tempfile.mkdtemp()) / "report.html"),
        "intervene": lambda: intervene(*paths),
    }
    if with_memory:
        held = anonymous()
        return {"memory": peak_anonymous(work[name]) - held}
    begin, used = time.perf_counter(), time.process_time()
    work[name]()
    return {"seconds": time.perf_counter() - begin, "used": time.process_time() - used}


def products(rows: int, sample: int, dim: int) -> dict[str, float]:
    """Return the seconds of the products and decompositions that all measures cannot avoid, side by side.

    Products are of float32, decompositions of float64, because those of float32 would not give the numbers. Each thread
    has one of BLAS. Work that is no product is left out: sorts, roots and exponentials of scores, and reading.
    """
    from isthmus.compute.threads import run_parallel

    x, y = np.random.default_rng(0).standard_normal((2, rows, dim), dtype=np.float32)
    square = (x[: 4 * dim].T @ x[: 4 * dim]).astype(np.float64)
    tasks = unavoidable(x, y, sample, square)
    begin, used = time.perf_counter(), time.process_time()
    run_parallel(tasks, threads())
    return {"seconds": time.perf_counter() - begin, "used": time.process_time() - used}


def unavoidable(x: np.ndarray, y: np.ndarray, sample: int, square: np.ndarray) -> list[Callable[[], Any]]:
    """Return the products and decompositions of all measures of rows x and y, the longest ones first.

    `square` (d, d) stands for every matrix that is decomposed.
    """
    import scipy.linalg

    (n, dim), few = x.shape, x[:2_000]
    tasks: list[Callable[[], Any]] = []

    def add(count: int, work: Callable[..., Any], *arguments: Any) -> None:
        tasks.extend([lambda: work(*arguments)] * count)

    # Scores within x and within y, each once, and between: neighbours, ranks, recall, all distances.
    starts = range(0, sample, 1000)
    ends = [(i, min(i + 1000, sample)) for i in starts]
    for a, b in [(a, b) for a in ends for b in ends]:
        add(1, lambda i, j: x[slice(*i)] @ y[slice(*j)].T, a, b)
        if b >= a:
            add(1, lambda i, j: (x[slice(*i)] @ x[slice(*j)].T, y[slice(*i)] @ y[slice(*j)].T), a, b)
    # Logistic regression on half of the items: 26 gradients with two products each.
    halves = x[: sample // 2], y[: sample // 2]
    add(1, lambda: [(side @ side[0], side[:, 0] @ side) for side in halves for _ in range(26)])
    # Frechet distance: its value, and the null of five swaps. The two covariances of a swap have one sum for all swaps.
    add(7, lambda: few.T @ few)
    add(5, lambda: (np.linalg.cholesky(square), np.linalg.cholesky(square)))
    add(6, lambda: np.linalg.svd(square, compute_uv=False))
    # Second moments and covariances of both sides, and the leading shared directions of two halves of the sample.
    add(4, lambda: np.linalg.eigh(square))
    add(4, lambda: scipy.linalg.eigh(square, subset_by_index=(dim - 8, dim - 1)))
    # Judgement of the pairing, the median distance, and the half samples and swaps of 1,000 rows behind two intervals.
    add(4, lambda: few.T @ few)
    add(3, lambda: few @ few[:1000].T)
    # Principal angles, and the null of random subspaces of nearly half of the directions: 9 draws of two.
    add(1, lambda: np.linalg.svd(square[:, : dim // 2]))
    add(9, lambda: np.linalg.qr(square[: dim - 32, : dim // 2 - 16]))
    add(18, lambda: np.linalg.svd(square[: dim // 2 - 16, : dim // 2 - 16], compute_uv=False))
    # Moments of all rows.
    for start in range(0, n, 4000):
        a, b = x[start : start + 4000], y[start : start + 4000]
        add(1, lambda a, b: (a.T @ a, b.T @ b, a.T @ b), a, b)
    # Unbiased CKA and its jackknife: products of the sides, and every row times them.
    for start in range(0, sample, 1000):
        a, b = x[start : min(start + 1000, sample)], y[start : min(start + 1000, sample)]
        add(1, lambda a, b: (a.T @ a, b.T @ b, a.T @ b), a, b)
        add(1, lambda a, b, matrix: (a @ matrix, b @ matrix, a @ matrix), a, b, square.astype(np.float32))
        # Sliced Wasserstein distance: both sides along 128 directions.
        add(1, lambda a, b: (a @ y[:128].T, b @ y[:128].T), a, b)
    # Influence of the sampled items on spectra and traces: their rows in five bases.
    add(5, lambda matrix: few @ matrix, square.astype(np.float32))
    return tasks


def sweep_shares(n: int, dim: int, compiles: bool = True, repeats: int = 3) -> dict[str, float]:
    """Return, by name, the share of bare products in the processor time of what looks at all scores of n pairs.

    Everything runs in one thread, in turns. Scores within a modality are symmetric, so that half of them are computed.
    Tiles are written to one place, because memory that is allocated for each product costs up to a half more. Compiling
    and loading the loops is left out, because the fastest run counts.
    """
    import scipy.linalg.blas  # noqa: F401  # imports are no work of the sums

    from isthmus.compute import compiled
    from isthmus.metrics._negative_ends import NegativeEnds
    from isthmus.metrics._neighbours import Neighbours
    from isthmus.metrics._paired_rows import PairedRows
    from isthmus.metrics._pairwise_sums import PairwiseSums
    from isthmus.metrics._score_sweep import sweep_rows
    from isthmus.metrics.kernel_alignment import Hsic
    from isthmus.metrics.recall import SampledRetrieval
    from isthmus.tasks.within_modality_search import WithinModalitySearch

    if not compiles:
        compiled.MIN_SCORES = sys.maxsize
    elif compiled.compiled_loops(n * n, np.float32) is None:
        raise SystemExit("numba is missing: pip install -e '.[bench]'")
    x, y = np.random.default_rng(0).standard_normal((2, n, dim), dtype=np.float32)
    x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
    tile, starts, labels = np.empty((1000, 1000), np.float32), range(0, n, 1000), np.arange(n) % 200

    def bare(*kinds: str) -> None:
        for kind in kinds:
            left, right = ({"x": x, "y": y}[name] for name in kind)
            for i, j in [(i, j) for i in starts for j in starts if kind == "xy" or j >= i]:
                a, b = left[i : i + 1000], right[j : j + 1000]
                np.matmul(a, b.T, out=tile[: len(a), : len(b)])

    def bare_cka() -> None:  # of each pair of sides: the product of the sides, and every row of x times it
        for left, right in ((x, y), (x, x), (y, y)):
            for i in starts:
                product = left[i : i + 1000].T @ right[i : i + 1000]
            for i in starts:
                left[i : i + 1000] @ product

    contenders: dict[str, tuple[str, Callable[[], Any]]] = {
        "neighbours and ranks": ("all", lambda: Neighbours.of(x, y)),
        "all-distance sums": ("all", lambda: PairwiseSums.of(PairedRows(x, y))),
        "margins": ("between", lambda: NegativeEnds.of(PairedRows(x, y))),
        "recall": ("between", lambda: sweep_rows(PairedRows(x, y), SampledRetrieval)),
        "all of them": (
            "all", lambda: sweep_rows(PairedRows(x, y), Neighbours, PairwiseSums, NegativeEnds, SampledRetrieval)
        ),
        "search by class within one modality": ("within", lambda: WithinModalitySearch.of(x, labels)),
        "CKA": ("CKA", lambda: (Hsic.of(x, y), Hsic.of(x, x), Hsic.of(y, y))),
    }  # fmt: skip
    products: dict[str, Callable[[], None]] = {
        "all": lambda: bare("xx", "yy", "xy"), "between": lambda: bare("xy"), "within": lambda: bare("xx"),
        "CKA": bare_cka,
    }  # fmt: skip
    work = {name: run for name, (_, run) in contenders.items()}
    used = fastest(work | products, repeats=repeats, clock=time.process_time)
    shares = {name: used[kind] / used[name] for name, (kind, _) in contenders.items()}
    alone = (used[kind] for kind, _ in map(contenders.__getitem__, SWEPT))
    return shares | {"all of them, of the products that each needs alone": sum(alone) / used["all of them"]}


def beside_noise(paths: list[str]) -> float:
    """Return the seconds of the fast measures while another program multiplies with two threads."""
    import os

    noise = subprocess.Popen([sys.executable, "-c", NOISE], env=os.environ | {"OMP_NUM_THREADS": "2"})
    try:
        time.sleep(2)
        seconds: float = child("measuring", "verb", "fast", paths)["seconds"]
        return seconds
    finally:
        noise.kill()
        noise.wait()


def rows(items: int = 20_000, large: int = 1_000_000, dim: int = 512, repeats: int = 2) -> list[Row]:
    """Time against the products, the pass and seconds, and memory against what is allowed."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        paths = write_pairs(folder, items, dim)
        sample = min(items, 10_000)
        runs = [
            (child("measuring", "verb", "measure", paths), child("measuring", "products", items, sample, dim))
            for _ in range(repeats)
        ]
        best, bare = ({key: min(run[side][key] for run in runs) for key in ("seconds", "used")} for side in (0, 1))
        claim = f"`measure`, all, {items:,} x {dim}"
        measured = f"{best['seconds']:.1f} s, {best['used']:.1f} s of processor time"
        peer = f"its bare products: {bare['seconds']:.1f} s, {bare['used']:.1f} s of processor time"
        table.append(Row(claim, measured, peer, best["seconds"] / bare["seconds"], most=2.5))
        table.append(Row(f"{claim}: seconds", measured, "allowed 8 s", best["seconds"] / 8, most=1))
        table.append(
            Row(f"{claim}: share of bare products", f"{100 * bare['used'] / best['used']:.0f} % of the processor time",
                "bare products", bare["used"] / best["used"])
        )  # fmt: skip
        # The functions of a score take the same time at each width, and its product twice as long at twice the width.
        for width, compiles in ((dim, True), (dim, False), (2 * dim, True)):
            shares = child("measuring", "sweep_shares", sample, width, compiles, OMP_NUM_THREADS="1")
            for name, share in shares.items():
                title = f"{name}, {sample:,} x {width:,}{'' if compiles else ', NumPy alone'}: share of bare products"
                asked = {"least": 0.75} if compiles else {}
                table.append(Row(title, f"{100 * share:.0f} % of processor time", "75 % asked", share, **asked))
        quiet = min(child("measuring", "verb", "fast", paths, OMP_NUM_THREADS="1")["seconds"] for _ in range(repeats))
        loaded = min(beside_noise(list(paths)) for _ in range(repeats))
        table.append(
            Row(
                f"`measure --metrics fast`, {items:,} x {dim}, beside two busy BLAS threads", f"{loaded:.1f} s",
                f"one thread without them: {quiet:.1f} s", loaded / quiet, most=2.5,
            )
        )  # fmt: skip
        if large:
            table += large_rows(list(write_pairs(folder, large, dim)), large, dim)
    return table


def large_rows(paths: list[str], n: int, dim: int) -> list[Row]:
    """Explain and inspect files that are in the page cache."""
    pass_seconds = min(child("measuring", "verb", "moments", paths)["seconds"] for _ in range(2))
    explained, inspected = (child("measuring", "verb", name, paths)["seconds"] for name in ("explain", "inspect"))
    allowed, size = 1.15 * pass_seconds + 8, f"{n:,} x {dim}"
    table = [
        Row(
            f"`explain`, {size}", f"{explained:.1f} s", f"allowed 1.15 passes of {pass_seconds:.1f} s + 8 s",
            explained / allowed, most=1,
        ),
        Row(f"`inspect`, {size}", f"{inspected:.1f} s", "allowed 6 s", inspected / 6, most=1),
    ]  # fmt: skip
    for name in ("measure", "explain", "inspect", "fit", "compare", "report", "intervene"):
        memory = child("measuring", "verb", name, paths, True)["memory"]
        peer = f"allowed {MEMORY:.0f} MB"
        table.append(Row(f"`{name}`, {size}: memory", f"{memory:.0f} MB", peer, memory / MEMORY, most=1))
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    options = parser.parse_args()
    show(rows(options.items, options.large))
