"""Threads that a computation may use: what the process is allowed, BLAS without competing threads, and parallel tasks.

BLAS threads wait for each other in a loop that keeps the core. On a machine that runs other programs, such a product
can take ten times as long. Long computations therefore limit BLAS to one thread and run several tasks, which sleep
while they wait.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from isthmus.utils.progress import listening

#: Variables with which a user sets the number of threads. BLAS reads them when it is loaded.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
#: Files of the processor quota of a container: one of cgroup v2, or quota and period of v1.
CGROUP = Path("/sys/fs/cgroup")

S = TypeVar("S")
T = TypeVar("T")

#: True in a task of `map_ahead`, whose siblings occupy the other cores.
_in_task: ContextVar[bool] = ContextVar("in_task", default=False)


def available_threads() -> int:
    """Return the number of threads that the process may use.

    Returns
    -------
    int
        The threads of BLAS if OMP_NUM_THREADS or its like is set. Otherwise the cores of the affinity mask, and not
        more than the processor quota of the container or the threads of BLAS.

    Examples
    --------
    >>> available_threads() >= 1
    True
    """
    threads = _unlimited_blas_threads()
    if any(os.environ.get(name) for name in THREAD_VARIABLES):
        return threads
    return max(min(threads, usable_cores()), 1)


def usable_cores() -> int:
    """Return the cores of the affinity mask, and not more than the processor quota of the container, rounded up."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    return cores if quota is None else max(min(cores, math.ceil(quota)), 1)


def cgroup_quota(root: Path = CGROUP, groups: str | None = None) -> float | None:
    """Return the processor quota of the container in cores, or None if there is no quota.

    Parameters
    ----------
    root : Path
        Directory where the control groups are mounted.
    groups : str, optional
        Content of /proc/self/cgroup. Default: the content of the file.

    Returns
    -------
    float or None
        The smallest quota of the control group and of those that contain it.

    Examples
    --------
    >>> cgroup_quota(Path("no such directory"), "0::/")
    """
    if groups is None:
        try:
            groups = Path("/proc/self/cgroup").read_text()
        except OSError:
            groups = ""
    quotas = []
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / controllers if controllers and (root / controllers).is_dir() else root / "cpu"
        base = base if controllers else root
        group = base / path.lstrip("/")
        for directory in (group, *group.parents):
            quotas += _quotas_in(directory)
            if directory == base:
                break
    return min(quotas, default=None)


def _quotas_in(directory: Path) -> list[float]:
    """Return the quota that the files of one control group set, or nothing."""
    try:
        if (directory / "cpu.max").exists():
            quota, period = (directory / "cpu.max").read_text().split()[:2]
        else:
            quota, period = ((directory / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return [] if quota == "max" or int(quota) <= 0 else [int(quota) / int(period)]
    except (OSError, ValueError, ZeroDivisionError):
        return []


class _BlasLimit:
    """The limit of the BLAS threads of the process, which several threads may set at the same time.

    The limiter of threadpoolctl restores what it found. Two overlapping limits could restore each other's. The first
    block therefore stores the number of threads, the smallest limit holds, and the last block restores the number.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._libraries: Any = None
        self._limiters: list[Any] = []
        self.unlimited: int | None = None
        self._threads = 0

    def enter(self, threads: int) -> None:
        """Limit BLAS to this many threads, or fewer if another block does."""
        with self._lock:
            libraries = _blas()
            if self._depth == 0:
                self.unlimited = self._threads = blas_threads()
            if self._depth == 0 or threads < self._threads or libraries is not self._libraries:
                self._threads = min(threads, self._threads) if self._depth else threads
                self._limiters.append(libraries.limit(limits=self._threads))
                self._libraries = libraries
            self._depth += 1

    def exit(self) -> None:
        """Restore the number of threads after the last block."""
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                while self._limiters:  # the last one found the limits of those before it
                    self._limiters.pop().restore_original_limits()
                self.unlimited = None


_limit = _BlasLimit()


def blas_threads() -> int:
    """Return the number of threads that BLAS uses at the moment."""
    return max((pool["num_threads"] for pool in _blas().info()), default=1)


def _unlimited_blas_threads() -> int:
    """Return the number of threads that BLAS uses outside all `blas_limited` blocks."""
    unlimited = _limit.unlimited
    return blas_threads() if unlimited is None else unlimited


@contextmanager
def blas_limited(threads: int | None) -> Iterator[None]:
    """Limit NumPy's BLAS to this many threads in the whole process while the block runs. None changes nothing."""
    if threads is None:
        yield
        return
    _limit.enter(threads)
    try:
        yield
    finally:
        _limit.exit()


def in_parallel_task() -> bool:
    """Return whether the caller is a task of `map_ahead`, whose siblings use the other cores."""
    return _in_task.get()


def run_parallel(tasks: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Call functions in several threads, with one BLAS thread each, and return their results in order.

    Parameters
    ----------
    tasks : sequence of callable
        Functions without arguments.
    threads : int
        Number of threads. One thread calls the functions one after another.

    Returns
    -------
    list
        Results in the order of the tasks.

    Examples
    --------
    >>> run_parallel([lambda: 1, lambda: 2], threads=2)
    [1, 2]
    """
    return list(map_ahead(lambda task: task(), tasks, threads, ahead=len(tasks)))


def map_ahead(
    function: Callable[[S], T], arguments: Iterable[S], threads: int, *, ahead: int | None = None
) -> Iterator[T]:
    """Yield function(argument) for each argument, in order, with several threads that work ahead.

    BLAS has one thread in each. The calling thread takes the arguments, which may therefore be blocks of a file that
    one thread reads. The function sees the context variables of the caller, but it reports no progress.

    Parameters
    ----------
    function : callable
        Function of one argument.
    arguments : iterable
        The arguments.
    threads : int
        Number of threads. One thread calls the function in the calling thread.
    ahead : int, optional
        Arguments that are taken before the first result is yielded. Default: two for each thread.

    Yields
    ------
    object
        Results in the order of the arguments.

    Examples
    --------
    >>> list(map_ahead(abs, [-1, 2, -3], threads=2))
    [1, 2, 3]
    """
    if threads == 1:
        with blas_limited(1):
            yield from map(function, arguments)
        return

    def marked(argument: S) -> T:
        _in_task.set(True)
        with listening(None):
            return function(argument)

    with blas_limited(1), thread_pool(threads) as pool:
        waiting: deque[Future[T]] = deque()
        try:
            for argument in arguments:
                waiting.append(pool.submit(copy_context().run, marked, argument))
                if len(waiting) > (2 * threads if ahead is None else ahead):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def thread_pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads, which is awaited at the end of the block. An interrupt waits for no task.

    Parameters
    ----------
    threads : int
        Number of threads.

    Yields
    ------
    ThreadPoolExecutor
        The pool. After any error, tasks that have not begun are cancelled.

    Examples
    --------
    >>> with thread_pool(2) as pool:
    ...     list(pool.map(abs, [-1, 2]))
    [1, 2]
    """
    pool, waits = ThreadPoolExecutor(threads), True
    try:
        yield pool
    except (KeyboardInterrupt, GeneratorExit):
        waits = False
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)


def _blas() -> Any:
    """Return a controller of the BLAS libraries that are loaded. SciPy brings one of its own with `scipy.linalg`."""
    return _with_scipy_blas() if "scipy.linalg" in sys.modules else _first_blas()


@cache
def _first_blas() -> Any:
    """Return a controller of the BLAS libraries that are loaded at the first call. The search takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@cache
def _with_scipy_blas() -> Any:
    """Return a controller of the BLAS libraries that are loaded at the first call after `scipy.linalg`."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
