"""Loader threads, which read, decode and prepare the next batches while the model computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Loaded = TypeVar("Loaded")


def prefetch(load: Callable[[Job], Loaded], jobs: Iterable[Job], *, workers: int) -> Generator[Loaded]:
    """Yield `load(job)` for each job in order, computed ahead in `workers` threads.

    At most twice as many results are held in memory.

    >>> list(prefetch(lambda n: n * n, range(5), workers=2))
    [0, 1, 4, 9, 16]
    """
    pending: deque[Future[Loaded]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="loader")
    try:
        for job in jobs:
            pending.append(pool.submit(load, job))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
