"""Nothing of size n x n: peak memory of the block passes on 20,000 items."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from isthmus.compute import score_sweep
from isthmus.metrics import _pairwise_sums
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import PairwiseSums

WORK: dict[str, Callable[[PairedRows], object]] = {
    "neighbours": lambda rows: Neighbours.of(rows.x, rows.y),
    "pairwise sums": PairwiseSums.of,
}
#: The same work as source text for another process.
SOURCES = {"neighbours": "Neighbours.of(x, y)", "pairwise sums": "PairwiseSums.of(PairedRows(x, y))"}

CODE = """
import numpy as np
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import PairwiseSums
x, y = np.random.default_rng(0).normal(size=(2, {n}, 8)).astype(np.float32)
{work}
print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))  # of this program alone
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", WORK)
def test_row_passes_of_20_000_items_have_a_small_peak_memory(what: str) -> None:
    code = CODE.format(n=20_000, work=SOURCES[what])
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(out) < 1_000_000  # kilobytes; one table of scores alone would be 1.6 GB


@pytest.mark.parametrize("what", WORK)
def test_row_passes_need_less_memory_than_a_score_matrix(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(score_sweep, "TILE_ROWS", 504)
    n = 3_000
    rows = PairedRows(*np.random.default_rng(0).normal(size=(2, n, 8)).astype(np.float32))
    monkeypatch.setattr(_pairwise_sums, "PILOT_ITEMS", 200)
    tracemalloc.start()
    WORK[what](rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * n * 4 / 2
