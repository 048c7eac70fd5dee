"""Loader threads: the next batches are read, decoded and prepared while the model works on this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Loaded = TypeVar("Loaded")


def prefetched(load: Callable[[Job], Loaded], jobs: Iterable[Job], *, workers: int) -> Generator[Loaded]:
    """`load(job)` for each job, in order, computed ahead in `workers` threads; at most twice as many wait in memory.

    >>> list(prefetched(lambda n: n * n, range(5), workers=2))
    [0, 1, 4, 9, 16]
    """
    waiting: deque[Future[Loaded]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
    try:
        for job in jobs:
            waiting.append(pool.submit(load, job))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
