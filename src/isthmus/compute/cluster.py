"""Computation on a Dask cluster: a list of parts, a function of each, and `+` in a tree.

Workers read their part of the files themselves, under the same paths, so that only sums cross the network. If a worker
is lost, another one computes its parts again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any, Self

from isthmus.compute.resources import config_context, current
from isthmus.utils.errors import InputError, MissingDependencyError

#: Called as progress(parts done, all parts, name of the work).
Progress = Callable[[int, int, str], None]

#: Parts per thread of the cluster. They limit the delay of a straggler or a lost worker to 1/8 of its work.
PARTS_PER_THREAD = 8
#: Results that one step of the tree adds up.
REDUCE_FANIN = 8


class Cluster:
    """Workers of a Dask scheduler, or local worker processes, that compute parts of a pass.

    Use it in a `with` block, or pass it to `isthmus.config_context(cluster=...)`. The workers then compute on pairs
    that were opened from paths. Arrays in memory stay in this process.

    Parameters
    ----------
    address : str, optional
        Address of a Dask scheduler, such as 'tcp://host:8786'.
    workers : int, optional
        Number of local processes to start instead.
    progress : callable, optional
        Called as progress(parts done, all parts, name of the work).

    Raises
    ------
    MissingDependencyError
        If Dask is not installed.
    InputError
        If neither or both of `address` and `workers` are given, or no scheduler answers.

    Examples
    --------
    >>> import isthmus
    >>> with Cluster(workers=2):  # doctest: +SKIP
    ...     moments = isthmus.Moments.of(isthmus.open_pairs("image.npy", "text.npy"))
    """

    def __init__(self, address: str | None = None, *, workers: int | None = None, progress: Progress | None = None):
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise MissingDependencyError("a cluster needs Dask: pip install 'isthmus[dask]'") from None
        if (address is None) == (workers is None) or (workers is not None and workers < 1):
            raise InputError(
                f"cluster {address}, workers {workers}: give the address of a Dask scheduler (tcp://host:8786), or a "
                "number of local workers of at least 1"
            )
        self.progress = progress
        self._local = None
        self._context: Any = None
        if address is None:
            # Errors of the work come back as exceptions. The log of workers that are told to stop is noise.
            self._local = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
        try:
            self.client = Client(self._local or address, timeout="10s", set_as_default=False)
        except (OSError, ValueError, ImportError) as error:
            raise InputError(
                f"{address}: no Dask scheduler answers there ({error}); start one: dask scheduler"
            ) from None

    def __enter__(self) -> Self:
        self._context = config_context(cluster=self)
        self._context.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)
        self.close()

    def close(self) -> None:
        """Disconnect from the scheduler and stop local workers."""
        self.client.close()
        if self._local is not None:
            self._local.close()

    def map(self, function: Callable[..., Any], items: Sequence[Any], name: str, /, **options: Any) -> list[Any]:
        """Call a function of each item on the workers, for work with small results.

        Parameters
        ----------
        function : callable
            Called as function(item, **options).
        items : sequence
            Items, one task each.
        name : str
            Name of the work for `progress`.
        **options
            Further arguments.

        Returns
        -------
        list
            Results in the order of the items.
        """
        futures = [self.client.submit(function, item, pure=False, **options) for item in items]
        self._report_progress(futures, name)
        return [self._result(future) for future in futures]

    def split(self, n: int, block: int, /) -> list[tuple[int, int]]:
        """Divide n rows into parts that begin at multiples of the block size.

        Parameters
        ----------
        n : int
            Number of rows.
        block : int
            Rows of a block.

        Returns
        -------
        list of (start, stop)
            About `PARTS_PER_THREAD` parts for each thread of the cluster.
        """
        threads = sum(self.client.nthreads().values()) or 1
        blocks = -(-n // block)
        step = block * max(-(-blocks // (PARTS_PER_THREAD * threads)), 1)
        return [(start, min(start + step, n)) for start in range(0, n, step)]

    def tree_reduce(
        self, function: Callable[..., Any], shared: Any, ranges: Sequence[tuple[int, int]], name: str, /, **options: Any
    ) -> Any:
        """Add up function(shared, start, stop, **options) over parts, in a tree of fixed shape.

        Parameters
        ----------
        function : callable
            Computes one part on a worker. Results add up with `+`, and tuples entry by entry.
        shared : object
            First argument of every call. It is sent to each worker once.
        ranges : sequence of (start, stop)
            Ranges of rows, see `split`.
        name : str
            Name of the work for `progress`.
        **options
            Further arguments.

        Returns
        -------
        object
            The sum.
        """
        resources = {"threads": current().threads or 1, "device": list(current().devices)}
        # A task of its own: a large index is sent to each worker once, and is computed again if it is lost.
        argument = self.client.submit(_identity, shared, pure=False)
        level = [
            self.client.submit(_compute_part, function, argument, rows, options, resources, pure=False)
            for rows in ranges
        ]
        self._report_progress(level, name)
        while len(level) > 1:
            groups = [level[i : i + REDUCE_FANIN] for i in range(0, len(level), REDUCE_FANIN)]
            level = [self.client.submit(_add, group, pure=False) for group in groups]
        return self._result(level[0])

    def _report_progress(self, futures: Sequence[Any], name: str) -> None:
        """Call `progress` when each of the futures is done."""
        if self.progress is None:
            return
        completed, total, lock, progress = 0, len(futures), threading.Lock(), self.progress

        def count(_: Any) -> None:
            nonlocal completed
            with lock:
                completed += 1
                progress(completed, total, name)

        for future in futures:
            future.add_done_callback(count)

    def _result(self, future: Any) -> Any:
        """Return the result of a future, or raise `InputError` if it repeatedly ended its worker."""
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            raise InputError(
                f"a part of the work ended its worker {error.allowed_failures + 1} times; give the workers more memory"
            ) from None


def _identity(value: Any) -> Any:
    """Return the value."""
    return value


def _compute_part(
    function: Callable[..., Any], shared: Any, rows: tuple[int, int], options: Any, resources: Any
) -> Any:
    """Compute one part on a worker, with the threads and devices of the caller."""
    with config_context(threads=resources["threads"], device=resources["device"]):
        return function(shared, *rows, **options)


def _add(results: Sequence[Any]) -> Any:
    """Add up results, and tuples entry by entry."""
    if isinstance(results[0], tuple):
        return tuple(reduce(add, entries) for entries in zip(*results, strict=True))
    return reduce(add, results)
