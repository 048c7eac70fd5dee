"""How long the block passes take and how much memory they hold: python benchmarks/neighbours.py

One pass finds the 20 nearest rows on both sides and in the union for all items of two sides, and the ranks of the
partners; the other sums functions of all distances. scikit-learn's brute-force NearestNeighbors answers a part of
the first: the neighbours of each row within its own side. Each line runs in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

CODE = """
import time
import numpy as np
from isthmus.metrics import _rows, _neighbours, _pairwise
x, y = np.random.default_rng(0).normal(size=(2, {n}, {d})).astype(np.float32)
x, y = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (x, y))
from sklearn.neighbors import NearestNeighbors
def memory():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
open("/proc/self/clear_refs", "w").write("5")  # the peak starts again from what is held now
before = memory()
wall, cpu = time.perf_counter(), time.process_time()
{work}
print(time.perf_counter() - wall, time.process_time() - cpu, memory() - before)
"""

WORK = {
    "isthmus: neighbours within, across and in the union, ranks": "_rows.Rows(x, y).neighbours",
    "isthmus: neighbours within both sides only": "[_neighbours.nearest(s, s, k=20, leave_self=True) for s in (x, y)]",
    "scikit-learn: neighbours within both sides": (
        "[NearestNeighbors(n_neighbors=20, metric='cosine', algorithm='brute').fit(s).kneighbors() for s in (x, y)]"
    ),
    "isthmus: sums over all distances": "_rows.Rows(x, y).pairwise",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 20_000])
    parser.add_argument("--dim", type=int, default=512)
    options = parser.parse_args()
    print("| what | items | width | seconds | CPU seconds | memory on top of the rows, MB |")
    print("|---|---|---|---|---|---|")
    for n in options.items:
        for what, work in WORK.items():
            code = CODE.format(n=n, d=options.dim, work=work)
            out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
            wall, cpu, memory = map(float, out.split())
            print(f"| {what} | {n:,} | {options.dim} | {wall:.1f} | {cpu:.1f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
