"""Claim: one pass over 1,000,000 x 768 mapped float32 pairs runs at 90 % of the rate of bare BLAS products, in less
than 400 MB.

The pass reads, checks and normalises the rows and sums X'X, Y'Y, X'Y and the moments of the paired cosine. Bare BLAS
computes only the three products, on blocks that are resident in memory, in the better of two ways: all threads in each
product, or a block for each thread. NumPy computes X'X with half the operations on both sides. The rate by processor
time divides by the seconds that all threads worked, which a busy machine changes less. Peak anonymous memory is the
kernel's count of anonymous pages (pages of the mapped files do not count), taken in a process that runs the pass
alone.

    python benchmarks/moments.py [--rows 1000000] [--width 768] [--repeats 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from _bare import bare, limit
from _table import Row, child, fastest_both, peak_anonymous, show

#: MB that the process may hold, the interpreter and its libraries included.
MEMORY = 400.0


def write(folder: Path, rows: int, width: int) -> tuple[Path, Path]:
    """Two .npy files of random rows; one block of them is repeated, which is quick and changes no time."""
    rng = np.random.default_rng(0)
    paths = folder / "image.npy", folder / "text.npy"
    for path in paths:
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, width))
        some = rng.standard_normal((min(rows, 20_000), width), dtype=np.float32)
        for start in range(0, rows, len(some)):
            out[start : start + len(some)] = some[: rows - start]
        out.flush()
    return paths


def the_pass(image: str, text: str) -> float:
    """Seconds of one pass."""
    import isthmus

    pairs = isthmus.open_pairs(image, text)
    begin = time.perf_counter()
    isthmus.Moments.of(pairs, matmul_dtype="float32")
    return time.perf_counter() - begin


def memory(image: str, text: str) -> float:
    """Peak anonymous memory of this process in MB."""
    return peak_anonymous(lambda: the_pass(image, text))


def rows(n: int = 1_000_000, width: int = 768, repeats: int = 3) -> list[Row]:
    """Rate against bare BLAS, and memory."""
    with tempfile.TemporaryDirectory() as folder:
        paths = tuple(map(str, write(Path(folder), n, width)))
        small = Path(folder) / "small"
        small.mkdir()
        the_pass(*map(str, write(small, 1000, width)))  # libraries loaded; what was just written is in the page cache
        contenders = bare(n, width) | {"pass": lambda: the_pass(*paths)}
        best, used = fastest_both(contenders, repeats=repeats)
        peak = child("moments", "memory", *paths)
    flops = 2 * n * width * width * 2  # the symmetric products need half of theirs
    size = f"{n:,} x {width} pairs from mapped npy"
    table = []
    for what, found in (("rate", best), ("rate by processor time", used)):
        measured, peer = (f"{s:.1f} s, {flops / s / 1e9:.0f} GFLOP/s" for s in (found["pass"], limit(found)))
        ratio = limit(found) / found["pass"]
        machine = f"{100 * ratio:.0f} % of bare BLAS"
        claim = f"moments of {size}: {what}"
        table.append(Row(claim, measured, f"bare BLAS: {peer}", ratio, least=0.9, machine=machine))
    claim = f"moments of {size}: memory"
    return [*table, Row(claim, f"{peak:.0f} MB", f"allowed {MEMORY:.0f} MB", peak / MEMORY, most=1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    show(rows(options.rows, options.width, options.repeats))


if __name__ == "__main__":
    main()
