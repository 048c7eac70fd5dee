"""Claim: one pass over mapped float32 pairs runs at 75 % or more of the rate of bare BLAS products, in flat memory.

The pass reads, checks and normalises the rows and sums X'X, Y'Y, X'Y and the moments of the paired cosine. The
reference computes only the three products, on blocks that are resident in memory, in the same process. Peak
anonymous memory is the kernel's high-water mark of anonymous pages (pages of the mapped files do not count), taken in
a process that runs the pass alone.

    python benchmarks/moments.py [--rows 200000] [--width 512] [--repeats 5]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def write(folder: Path, rows: int, width: int) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    paths = folder / "image.npy", folder / "text.npy"
    for path in paths:
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, width))
        for start in range(0, rows, 20_000):
            out[start : start + 20_000] = rng.standard_normal(out[start : start + 20_000].shape, dtype=np.float32)
        out.flush()
    return paths


def the_pass(paths: tuple[Path, Path]) -> float:
    import isthmus

    pairs = isthmus.open_pairs(*paths)
    begin = time.perf_counter()
    isthmus.Moments.of(pairs, products="float32")
    return time.perf_counter() - begin


def bare_products(rows: int, width: int, block: int) -> float:
    """Seconds for X'X, Y'Y and X'Y over as many resident blocks as the pass has."""
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal((block, width), dtype=np.float32) for _ in range(2))
    begin = time.perf_counter()
    for start in range(0, rows, block):
        n = min(block, rows - start)
        a, b = x[:n], y[:n]
        _ = a.T @ a, b.T @ b, a.T @ b
    return time.perf_counter() - begin


def anonymous_peak() -> float:
    """High-water mark of this process's anonymous pages in MB, by watching the kernel's count from a thread."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this kernel does not report RssAnon")


MEMORY = """
import sys, threading, time
sys.path.insert(0, {here!r})
import moments
peak, stop = 0.0, threading.Event()
def watch():
    global peak
    while not stop.is_set():
        peak = max(peak, moments.anonymous_peak()); time.sleep(0.002)
thread = threading.Thread(target=watch); thread.start()
moments.the_pass(({x!r}, {y!r}))
stop.set(); thread.join()
print(peak)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    from isthmus.pairs import block_rows

    with tempfile.TemporaryDirectory() as folder:
        paths = write(Path(folder), options.rows, options.width)
        the_pass(paths)  # files into the page cache, libraries loaded
        ratios, passes, bare = [], [], []
        for _ in range(options.repeats):
            passes.append(the_pass(paths))
            bare.append(bare_products(options.rows, options.width, block_rows(options.width)))
            ratios.append(bare[-1] / passes[-1])
        code = MEMORY.format(here=str(Path(__file__).parent), x=str(paths[0]), y=str(paths[1]))
        peak = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    middle = sorted(range(len(ratios)), key=ratios.__getitem__)[len(ratios) // 2]
    print(f"{options.rows:,} x {options.width} float32 pairs, memory-mapped")
    print(f"  the pass              {passes[middle]:8.3f} s")
    print(f"  bare BLAS products    {bare[middle]:8.3f} s")
    print(f"  rate against bare     {ratios[middle]:8.2f}    (lowest {min(ratios):.2f}, highest {max(ratios):.2f})")
    print(f"  peak anonymous memory {peak:8.0f} MB")


if __name__ == "__main__":
    main()
