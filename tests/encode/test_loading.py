"""The loader threads: in order, together, never far ahead, and gone when the work ends early."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from isthmus.encode.loading import prefetched


def test_batches_are_loaded_together_and_come_in_order() -> None:
    together = threading.Barrier(3, timeout=30)  # nobody passes before three are here

    def load(number: int) -> int:
        together.wait()
        return number * number

    assert list(prefetched(load, range(9), workers=3)) == [n * n for n in range(9)]


def test_only_a_few_wait_in_memory() -> None:
    taken = 0

    def jobs() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with closing(prefetched(lambda n: n, jobs(), workers=2)) as loading:
        for number in range(1, 50):
            assert next(loading) == number
            assert taken - number == 4


def test_an_error_comes_out_where_it_belongs() -> None:
    def load(number: int) -> float:
        return 1 / (number - 3)

    found = []
    with pytest.raises(ZeroDivisionError):
        for value in prefetched(load, range(10), workers=2):
            found.append(value)
    assert found == [1 / -3, 1 / -2, 1 / -1]


def test_the_threads_end_with_the_work() -> None:
    with closing(prefetched(lambda n: n, range(100), workers=3)) as loading:
        next(loading)
        assert any(t.name.startswith("loader") for t in threading.enumerate())
    assert not any(t.name.startswith("loader") for t in threading.enumerate())
