"""Claim: `measure`, `explain` and `inspect` take little more than their unavoidable matrix products and one pass.

All measures of 20,000 pairs rank a sample of 10,000 and are compared with the three products of its scores: within x
and within y, each score once, and between. `explain` of 1,000,000 pairs is compared with the moments of the same files,
and `inspect` with six seconds. The fast measures run beside a program whose two BLAS threads multiply all the time, and
are compared with one thread on the same machine without it. Files are in the page cache. Each line runs in a process of
its own, imports included.

    python benchmarks/measuring.py [--items 20000] [--large 1000000]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _table import Row, anonymous, child, peak_anonymous, show, threads

#: What a verb may add to the process, in MB.
MEMORY = 600.0
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
    }
    if with_memory:
        held = anonymous()
        return {"memory": peak_anonymous(work[name]) - held}
    begin, used = time.perf_counter(), time.process_time()
    work[name]()
    return {"seconds": time.perf_counter() - begin, "used": time.process_time() - used}


def products(n: int, dim: int) -> dict[str, float]:
    """Return the seconds of the scores within x, within y and between n rows each, in tiles side by side."""
    from isthmus.compute.threads import run_parallel

    x, y = np.random.default_rng(0).standard_normal((2, n, dim), dtype=np.float32)
    starts = range(0, n, 1000)
    pairs = [(x, y, a, b) for a in starts for b in starts]
    pairs += [(z, z, a, b) for z in (x, y) for a in starts for b in starts if b >= a]

    def multiply(a: np.ndarray, b: np.ndarray, i: int, j: int) -> None:
        _ = a[i : i + 1000] @ b[j : j + 1000].T

    begin, used = time.perf_counter(), time.process_time()
    run_parallel([lambda tile=tile: multiply(*tile) for tile in pairs], threads())
    return {"seconds": time.perf_counter() - begin, "used": time.process_time() - used}


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
            (child("measuring", "verb", "measure", paths), child("measuring", "products", sample, dim))
            for _ in range(repeats)
        ]
        best, bare = ({key: min(run[side][key] for run in runs) for key in ("seconds", "used")} for side in (0, 1))
        claim = f"`measure`, all, {items:,} x {dim}"
        measured = f"{best['seconds']:.1f} s, {best['used']:.1f} s of processor time"
        peer = f"its bare products: {bare['seconds']:.1f} s, {bare['used']:.1f} s of processor time"
        table.append(Row(claim, measured, peer, best["seconds"] / bare["seconds"], most=2.5))
        table.append(Row(f"{claim}: seconds", measured, "allowed 8 s", best["seconds"] / 8, most=1))
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
    for name in ("measure", "explain", "inspect"):
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
