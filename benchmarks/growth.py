"""Claim: the time of the pass grows in proportion to n from 10^4 to 10^7 pairs, its memory not at all, and with the
width the rate only comes nearer to that of bare BLAS.

Rows come from shards: one .npy of 100,000 rows that is linked as many times as needed, so that 10^7 pairs need no more
disk than 10^5. Time for n is compared with what the largest n predicts in proportion; sizes are timed in turns, the
smaller ones more often. Memory is the growth of the anonymous memory of a process that runs one pass.

    python benchmarks/growth.py [--largest 10000000] [--width 128]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from _table import Row, child, fastest, peak_anonymous, show

SHARD = 100_000
#: MB that a pass over 10^7 pairs may hold beyond one over 10^5.
MORE = 30.0


def shards(folder: Path, rows: int, width: int) -> tuple[str, str]:
    """Folders of linked shards with `rows` rows for each side."""
    rng = np.random.default_rng(0)
    for side in ("image", "text"):
        target = folder / str(rows) / side
        target.mkdir(parents=True)
        first = target / "0.npy"
        np.save(first, rng.standard_normal((min(rows, SHARD), width), dtype=np.float32))
        for number in range(1, rows // SHARD):
            os.link(first, target / f"{number}.npy")
    return str(folder / str(rows) / "image"), str(folder / str(rows) / "text")


def the_pass(image: str, text: str) -> float:
    """Seconds of one pass."""
    import isthmus

    pairs = isthmus.open_pairs(image, text)
    begin = time.perf_counter()
    isthmus.Moments.of(pairs, products="float32")
    return time.perf_counter() - begin


def memory(image: str, text: str) -> float:
    """Peak anonymous memory of this process in MB."""
    return peak_anonymous(lambda: the_pass(image, text))


def bare(n: int, width: int) -> None:
    """The three products of n resident rows."""
    from isthmus.resources import block_rows

    rng = np.random.default_rng(1)
    size = min(2 * block_rows(width), n)
    x, y = (rng.standard_normal((size, width), dtype=np.float32) for _ in "xy")
    for start in range(0, n, size):
        a, b = x[: n - start], y[: n - start]
        _ = a.T @ a, b.T @ b, a.T @ b


def rows(largest: int = 10_000_000, width: int = 128) -> list[Row]:
    """Growth with n, memory, growth with d."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        sizes = [n for n in (10_000, 100_000, 1_000_000, 10_000_000) if n <= largest]
        paths = {n: shards(Path(folder), n, width) for n in sizes}
        the_pass(*paths[sizes[0]])
        best = dict.fromkeys(sizes, float("inf"))
        for _ in range(3):
            for n in sizes:
                for _ in range(max(1, min(20, sizes[-1] // (20 * n)))):
                    best[n] = min(best[n], the_pass(*paths[n]))
        rate = best[sizes[-1]] / sizes[-1]
        for n in sizes[:-1]:
            ratio = best[n] / (rate * n)
            most = 1.05 if n >= 1_000_000 else None
            measured, peer = f"{1e3 * best[n]:.0f} ms", f"in proportion to {sizes[-1]:,}: {1e3 * rate * n:.0f} ms"
            table.append(Row(f"time of {n:,} x {width} pairs", measured, peer, ratio, least=most and 0.95, most=most))
        held = {n: child("growth", "memory", *paths[n]) for n in (sizes[1], sizes[-1])}
        more = held[sizes[-1]] - held[sizes[1]]
        table.append(
            Row(
                f"memory of {sizes[-1]:,} x {width} pairs",
                f"{held[sizes[-1]]:.0f} MB",
                f"{sizes[1]:,} pairs: {held[sizes[1]]:.0f} MB, allowed {MORE:.0f} MB more",
                max(more, 0.0) / MORE,
                most=1,
            )
        )
    for dim in (64, 128, 256, 512, 1024, 2048):
        n = min(400_000, 60_000_000 // dim // max(dim // 512, 1))
        with tempfile.TemporaryDirectory() as folder:
            place = shards(Path(folder), min(n, SHARD), dim)
            n = min(n, SHARD)
            contenders = {"pass": lambda p=place: the_pass(*p), "bare": lambda n=n, d=dim: bare(n, d)}
            found = fastest(contenders, repeats=3)
        share = found["bare"] / found["pass"]
        rates = {name: 4e-9 * n * dim * dim / seconds for name, seconds in found.items()}
        table.append(
            Row(
                f"rate at width {dim}, {n:,} pairs",
                f"{rates['pass']:.0f} GFLOP/s",
                f"bare BLAS: {rates['bare']:.0f} GFLOP/s",
                share,
                least=0.85 if dim >= 768 else None,
                machine=f"{100 * share:.0f} % of bare BLAS",
            )
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=10_000_000)
    parser.add_argument("--width", type=int, default=128)
    options = parser.parse_args()
    show(rows(options.largest, options.width))


if __name__ == "__main__":
    main()
