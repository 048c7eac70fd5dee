"""Threads that a computation uses, and limits of BLAS that overlap."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isthmus.compute import threads
from isthmus.compute.resources import config_context, n_threads
from isthmus.compute.threads import available_threads, blas_limited, blas_threads, cgroup_quota, run_parallel

#: A verb on one core. It prints the threads that may be used, those of BLAS, and those that the verb started.
VERB = """
import os, threading
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np, isthmus
from isthmus.compute import threads
started, start = [], threading.Thread.start
threading.Thread.start = lambda thread: (started.append(thread), start(thread))[1]
rows = np.random.default_rng(0).normal(size=(2, 20_000, 4)).astype(np.float32)
isthmus.measure(*rows, metrics="fast")
print(threads.available_threads(), threads.blas_threads(), len(started))
"""

#: Fits and verbs with decompositions. It prints for each the numbers of threads that BLAS may use in it.
DECOMPOSING = """
import numpy as np, isthmus
from isthmus.compute import threads
from isthmus.evaluation import intervene
used = set()
def recorded(function):
    def call(*arguments, **options):
        used.add(threads.blas_threads())
        return function(*arguments, **options)
    return call
for name in ("eigh", "eigvalsh", "svd", "qr", "cholesky"):
    setattr(np.linalg, name, recorded(getattr(np.linalg, name)))
rng = np.random.default_rng(0)
x = rng.normal(size=(120, 6))
y = x + rng.normal(size=x.shape)
for work in (
    lambda: isthmus.align.SharedSignal().fit(x, y).map_x_,
    lambda: isthmus.align.Auto().fit(x, y).map_x_,
    lambda: intervene(x, y, interventions=("rotate",)),
    lambda: isthmus.compare_models({"a": (x, y), "b": (x, y + 1)}),
):
    used.clear()
    work()
    print(threads.available_threads(), sorted(used))
"""


def test_decompositions_use_one_thread_of_blas() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in threads.THREAD_VARIABLES}
    command = [sys.executable, "-W", "ignore", "-c", DECOMPOSING]
    done = subprocess.run(command, capture_output=True, text=True, env=environment | {"OPENBLAS_NUM_THREADS": "2"})
    assert done.stdout.splitlines() == ["2 [1]"] * 4, done.stderr


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity masks")
def test_measure_with_one_core_of_affinity_uses_one_worker() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in threads.THREAD_VARIABLES}
    done = subprocess.run([sys.executable, "-c", VERB], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["1", "1", "1"], done.stderr  # one worker, which sleeps while rows are read


def test_cgroup_quota_is_the_smallest_of_the_groups(tmp_path: Path) -> None:
    group = tmp_path / "outer" / "inner"
    group.mkdir(parents=True)
    (tmp_path / "outer" / "cpu.max").write_text("250000 100000\n")
    (group / "cpu.max").write_text("max 100000\n")
    assert cgroup_quota(tmp_path, "0::/outer/inner\n") == 2.5
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("150000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cgroup_quota(tmp_path, "3:cpu,cpuacct:/\n0::/outer\n") == 1.5
    assert cgroup_quota(tmp_path, "4:memory:/\n") is None


def test_available_threads_follow_quota_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "blas_threads", lambda: 16)
    monkeypatch.setattr(threads, "usable_cores", lambda: 3)
    for name in threads.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert available_threads() == n_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert available_threads() == 16
    with config_context(threads=5):
        assert n_threads() == 5


def test_blas_limits_that_overlap_restore_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    before = blas_threads()
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with blas_limited(1):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    with blas_limited(1):
        thread.start()
        entered.wait()
    assert blas_threads() == 1  # the other block is still active
    assert available_threads() == before
    leave.set()
    thread.join()
    assert blas_threads() == before


def test_blas_limit_holds_for_a_library_that_is_loaded_within_a_limit() -> None:
    program = """
from threadpoolctl import ThreadpoolController
from isthmus.compute.threads import blas_limited

def counts():
    return {pool["filepath"]: pool["num_threads"] for pool in ThreadpoolController().select(user_api="blas").info()}

import numpy
numpy_only = counts()
with blas_limited(1):
    import scipy.linalg
    before = counts() | numpy_only
    with blas_limited(1):
        assert set(counts().values()) == {1}, counts()
assert counts() == before, (counts(), before)
"""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert outcome.returncode == 0, outcome.stderr


def test_run_parallel_keeps_order_context_and_errors() -> None:
    def task(number: int) -> Any:
        return number, n_threads(), blas_threads()

    with config_context(threads=4):
        results = run_parallel([lambda number=number: task(number) for number in range(5)], 2)
    assert results == [(number, 1, 1) for number in range(5)]

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_parallel([fail, lambda: np.zeros(3)], 2)
