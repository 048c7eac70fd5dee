"""Claim: the time of the pass grows in proportion to n from 10^4 to 10^7 pairs, its memory does not grow, and at large
widths the rate approaches that of bare BLAS.

Rows come from shards: one .npy of 100,000 rows that is linked as many times as needed, so that 10^7 pairs need no more
disk than 10^5. Ten passes over n pairs and one over 10 n follow each other, in seconds of the processor (all threads),
which other programs change least; the middle one of three such ratios counts. Memory is the growth of the anonymous
memory of a process that runs one pass.

    python benchmarks/growth.py [--largest 10000000] [--width 128]
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from _bare import bare, limit
from _table import Row, child, fastest, show
from moments import the_pass

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


def step(small: tuple[str, str], large: tuple[str, str]) -> tuple[float, float]:
    """Seconds of the processor of ten passes over `small` and of one over `large`, ten times as many pairs."""
    seconds = []
    for place, times in ((small, 10), (large, 1)):
        begin = time.process_time()
        for _ in range(times):
            the_pass(*place)
        seconds.append(time.process_time() - begin)
    return seconds[0], seconds[1]


def rows(largest: int = 10_000_000, width: int = 128, repeats: int = 3) -> list[Row]:
    """Growth with n, memory, growth with d."""
    table = []
    with tempfile.TemporaryDirectory() as folder:
        sizes = [n for n in (10_000, 100_000, 1_000_000, 10_000_000) if n <= largest]
        paths = {n: shards(Path(folder), n, width) for n in sizes}
        the_pass(*paths[sizes[0]])
        for small, large in itertools.pairwise(sizes):
            turns = [step(paths[small], paths[large]) for _ in range(repeats)]
            ten, one = sorted(turns, key=lambda turn: turn[1] / turn[0])[repeats // 2]
            most = 1.05 if small >= 1_000_000 else None  # what a pass costs before its first row counts in the others
            measured, peer = f"{one:.2f} s", f"ten passes over {small:,}: {ten:.2f} s"
            claim = f"time of {large:,} x {width} pairs"
            table.append(Row(claim, measured, peer, one / ten, least=most and 0.95, most=most))
        held = {n: child("moments", "memory", *paths[n]) for n in (sizes[1], sizes[-1])}
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
        n = min(max(30_000_000_000 // dim**2, 30_000), SHARD)  # enough rows for several blocks in each lane
        with tempfile.TemporaryDirectory() as folder:
            place = shards(Path(folder), n, dim)
            found = fastest(bare(n, dim) | {"pass": lambda p=place: the_pass(*p)}, repeats=repeats)
        share = limit(found) / found["pass"]
        table.append(
            Row(
                f"rate at width {dim}, {n:,} pairs",
                f"{4e-9 * n * dim * dim / found['pass']:.0f} GFLOP/s",
                f"bare BLAS: {4e-9 * n * dim * dim / limit(found):.0f} GFLOP/s",
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
