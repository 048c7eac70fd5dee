"""Loader threads: order, parallelism, bounded memory and clean-up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from isthmus.encode.loading import prefetch


def test_prefetch_loads_in_parallel_and_yields_in_order() -> None:
    barrier = threading.Barrier(3, timeout=300)  # three jobs must run at once

    def load(number: int) -> int:
        barrier.wait()
        return number * number

    assert list(prefetch(load, range(9), workers=3)) == [n * n for n in range(9)]


def test_prefetch_with_slow_consumer_bounds_results_in_memory() -> None:
    n_submitted = 0

    def jobs() -> Iterator[int]:
        nonlocal n_submitted
        while True:
            n_submitted += 1
            yield n_submitted

    with closing(prefetch(lambda n: n, jobs(), workers=2)) as loading:
        for number in range(1, 50):
            assert next(loading) == number
            assert n_submitted - number == 4


def test_prefetch_with_failing_job_raises_at_its_position() -> None:
    def load(number: int) -> float:
        return 1 / (number - 3)

    values = []
    with pytest.raises(ZeroDivisionError):
        for value in prefetch(load, range(10), workers=2):
            values.append(value)
    assert values == [1 / -3, 1 / -2, 1 / -1]


def test_prefetch_closed_early_ends_its_threads() -> None:
    with closing(prefetch(lambda n: n, range(100), workers=3)) as loading:
        next(loading)
        assert any(t.name.startswith("loader") for t in threading.enumerate())
    assert not any(t.name.startswith("loader") for t in threading.enumerate())
