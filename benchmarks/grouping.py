"""Claim: equal rows are found for a tenth of the pass over the pairs, in at most 64 bytes a row.

1,000,000 pairs of 512 float32, each row of x five times, all rows of y different. Copies stand side by side, as in
flat exports, or in any order. Processor time on one BLAS thread, the least of several in turns. The pass computes the
moments. Memory is the peak of the search, without the rows.
"""

from __future__ import annotations

import sys
import time
import tracemalloc

import numpy as np
from _table import Row

from isthmus import Moments
from isthmus.compute.resources import config_context
from isthmus.data.cross_dim_pairs import CrossDimPairs
from isthmus.data.equal_rows import find_equal_rows

PAIRS, DIM, COPIES, REPEATS = 1_000_000, 512, 5, 3


def rows(n: int = PAIRS) -> list[Row]:
    """Time of the search in either modality and in both, and memory for each row."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n // COPIES, DIM), dtype=np.float32)[np.repeat(np.arange(n // COPIES), COPIES)]
    pairs = CrossDimPairs(image=x, text=rng.standard_normal((len(x), DIM), dtype=np.float32))
    shuffled = CrossDimPairs(image=x[rng.permutation(len(x))], text=x)
    searches = {
        "rows that repeat five times": pairs.x,
        "rows that are all different": pairs.y,
        "rows that repeat five times, in any order": shuffled.x,
    }
    seconds = dict.fromkeys([*searches, "pass"], float("inf"))
    with config_context(threads=1):
        for _ in range(REPEATS):
            for name, source in [*searches.items(), ("pass", None)]:
                start = time.process_time()
                if source is None:
                    Moments.of(pairs, matmul_dtype="float32")
                else:
                    find_equal_rows(source)
                seconds[name] = min(seconds[name], time.process_time() - start)
    peer = f"one pass: {seconds['pass']:.2f} s"
    table = [
        Row(f"search of {name}", f"{seconds[name]:.2f} s", peer, seconds[name] / seconds["pass"], most=0.1)
        for name in searches
    ]
    both = seconds["rows that repeat five times"] + seconds["rows that are all different"]
    table.append(Row("search of both modalities", f"{both:.2f} s", peer, both / seconds["pass"], most=0.1))
    for name, source in searches.items():
        tracemalloc.start()
        find_equal_rows(source)
        peak = tracemalloc.get_traced_memory()[1] / len(x)
        tracemalloc.stop()
        table.append(Row(f"memory for {name}", f"{peak:.0f} bytes a row", "64 bytes", peak / 64, most=1.0))
    return table


if __name__ == "__main__":
    for row in rows(*map(int, sys.argv[1:])):
        print(row.line())
