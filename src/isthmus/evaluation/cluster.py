"""The same verbs on a Dask cluster: workers read their part of the files, and only sums of it travel.

Everything is one mechanism: a list of parts, a function of each, and `+` in a tree. A part that is lost with its worker
is computed again by another. Workers open the files themselves, under the same paths.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from isthmus.compute.resources import block_rows, config_context, current
from isthmus.data.pairs import OpenSpec, Pairs
from isthmus.utils.errors import InputError, IsthmusWarning
from isthmus.utils.files import atomic_path

if TYPE_CHECKING:
    from isthmus.align import Aligner
    from isthmus.metrics._neighbours import Part
    from isthmus.statistics.moments import Moments

Progress = Callable[[int, int, str], None]

#: Parts for each thread of the cluster: a worker that is late, or is lost, holds up an eighth of its share.
PARTS = 8
#: Results that one step of the tree adds up.
FAN = 8


class Cluster:
    """Workers that compute parts of a pass: those of the scheduler at `address`, or `workers` processes here.

    Use it in a `with` block, which also makes it the one in use, or give it to `isthmus.config_context(cluster=...)`.
    Pairs that were opened from paths are computed there; arrays in memory stay in this process. `progress` is called as
    progress(parts done, all parts, 'moments').
    Errors: `InputError` when Dask is not installed or nothing answers at `address`.
    """

    def __init__(self, address: str | None = None, *, workers: int | None = None, progress: Progress | None = None):
        try:
            from distributed import Client, LocalCluster
        except ImportError:
            raise InputError("a cluster needs Dask: pip install 'isthmus[dask]'") from None
        if (address is None) == (workers is None) or (workers is not None and workers < 1):
            raise InputError(
                f"cluster {address}, workers {workers}: give the address of a Dask scheduler (tcp://host:8786), or a "
                "number of local workers of at least 1"
            )
        self.progress = progress
        self._local = None
        self._using: Any = None
        if address is None:
            # Errors of the work come back as exceptions; what workers log when they are told to end is noise.
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
        self._using = config_context(cluster=self)
        self._using.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._using is not None:
            self._using.__exit__(None, None, None)
        self.close()

    def close(self) -> None:
        """Leave the cluster; local workers end."""
        self.client.close()
        if self._local is not None:
            self._local.close()

    def moments(self, pairs: Pairs, /, *, normalize: bool = True, matmul_dtype: str | None = None) -> Moments:
        """`Moments.of` these pairs: every part a whole number of blocks, so that the sums are those of one process."""
        from isthmus.statistics.moments_pass import gemm_dtype, plan_moments

        matmul_dtype = gemm_dtype(pairs, matmul_dtype)
        rows = plan_moments(pairs, matmul_dtype).rows
        options = {"rows": rows, "matmul_dtype": matmul_dtype, "normalize": normalize}
        return self._tree(_moments, _open_spec(pairs), self._bounds(pairs.n_items, rows), options, "moments")

    def neighbours(self, open_spec: OpenSpec, n: int, /, *, normalize: bool, k: int) -> tuple[Part, Part]:
        """The parts of `metrics._neighbours.Neighbours` from x to y and from y to x, blocks of queries apart."""
        from isthmus.metrics._neighbours import query_blocks

        options = {"normalize": normalize, "k": k}
        return self._tree(_neighbours, open_spec, self._bounds(n, query_blocks(n)[0].stop), options, "neighbours")

    def apply(self, aligner: Aligner, path: str, out: str | os.PathLike[str], /, *, side: int) -> tuple[int, int]:
        """Write the aligned rows of the file at `path` as .npy to `out`, which all workers must be able to write.

        The file appears whole or not at all; no row crosses the network.
        """
        from isthmus.data.sources import open_source

        if Path(out).suffix != ".npy":
            raise InputError(f"{out}: a cluster writes .npy files; give a name that ends in it, or use one process")
        source = open_source(path)
        first = _aligned(aligner, source.read(0, 1), side)
        shape = (source.shape[0], first.shape[1])
        with atomic_path(out) as part:
            np.lib.format.open_memmap(part, mode="w+", dtype=first.dtype, shape=shape).flush()
            options = {"path": path, "part": str(part.absolute()), "side": side}
            self._tree(_apply, aligner, self._bounds(shape[0], block_rows(source.shape[1])), options, "rows")
        return shape

    def map(self, function: Callable[..., Any], items: Sequence[Any], name: str, /, **options: Any) -> list[Any]:
        """function(item, **options) for each item, in order; for work whose answers are small."""
        futures = [self.client.submit(function, item, pure=False, **options) for item in items]
        self._watch(futures, name)
        return [self._result(future) for future in futures]

    def _bounds(self, n: int, rows: int) -> list[tuple[int, int]]:
        """(start, stop) of parts that begin at multiples of `rows`."""
        threads = sum(self.client.nthreads().values()) or 1
        blocks = -(-n // rows)
        step = rows * max(-(-blocks // (PARTS * threads)), 1)
        return [(start, min(start + step, n)) for start in range(0, n, step)]

    def _tree(self, work: Callable[..., Any], what: Any, parts: Sequence[Any], options: Any, name: str) -> Any:
        """The sum of work(what, *part, **options) over the parts, added up in a tree whose shape is always the same."""
        resources = {"threads": current().threads or 1, "device": list(current().devices)}
        # A task of its own: an index of many rows is sent to each worker once, and made again when it is lost.
        given = self.client.submit(_same, what, pure=False)
        level = [self.client.submit(_part, work, given, p, options, resources, pure=False) for p in parts]
        self._watch(level, name)
        while len(level) > 1:
            level = [self.client.submit(_add, level[i : i + FAN], pure=False) for i in range(0, len(level), FAN)]
        return self._result(level[0])

    def _watch(self, futures: Sequence[Any], name: str) -> None:
        if self.progress is None:
            return
        done, total, lock, progress = 0, len(futures), threading.Lock(), self.progress

        def one(_: Any) -> None:
            nonlocal done
            with lock:
                done += 1
                progress(done, total, name)

        for future in futures:
            future.add_done_callback(one)

    def _result(self, future: Any) -> Any:
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except KilledWorker as error:
            raise InputError(
                f"a part of the work ended its worker {error.allowed_failures + 1} times; give the workers more memory"
            ) from None


def _open_spec(pairs: Pairs) -> OpenSpec:
    if pairs.open_spec is None:
        raise InputError("a cluster reads files that its workers can open too: open the pairs from paths")
    return pairs.open_spec


def _same(value: Any) -> Any:
    return value


def _part(work: Callable[..., Any], what: Any, part: tuple[int, int], options: Any, resources: Any) -> Any:
    with config_context(threads=resources["threads"], device=resources["device"]):
        return work(what, *part, **options)


def _add(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], tuple):
        return tuple(reduce(add, same) for same in zip(*parts, strict=True))
    return reduce(add, parts)


#: The last pairs that this worker opened: their files are mapped and checked once, not for every part.
_OPENED: list[tuple[str, Pairs]] = []


def opened(open_spec: OpenSpec) -> Pairs:
    """The pairs of `open_spec`, kept until another one is asked for."""
    for key, pairs in _OPENED:
        if key == open_spec.key:
            return pairs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IsthmusWarning)  # the process that asks has told the user
        pairs = open_spec.open()
    _OPENED[:] = [(open_spec.key, pairs)]
    return pairs


def _moments(open_spec: OpenSpec, start: int, stop: int, **options: Any) -> Moments:
    from isthmus.statistics.moments import Moments

    return Moments.of_items(opened(open_spec), start, stop, **options)


def _neighbours(open_spec: OpenSpec, start: int, stop: int, *, normalize: bool, k: int) -> tuple[Part, Part]:
    from isthmus.metrics._neighbours import knn_both_sides
    from isthmus.metrics._paired_rows import PairedRows

    pairs = opened(open_spec)
    rows = pairs.__dict__.setdefault("_rows_of_neighbours", PairedRows.of(pairs, normalize=normalize))
    return tuple(knn_both_sides(a, a, b, k, start, stop) for a, b in ((rows.x, rows.y), (rows.y, rows.x)))  # type: ignore[return-value]


def _apply(aligner: Aligner, start: int, stop: int, *, path: str, part: str, side: int) -> int:
    from isthmus.data.sources import open_source

    source, out = open_source(path), np.lib.format.open_memmap(part, mode="r+")
    size = block_rows(source.shape[1])
    for begin in range(start, stop, size):
        end = min(begin + size, stop)
        out[begin:end] = _aligned(aligner, source.read(begin, end), side)
    out.flush()
    return stop - start


def _aligned(aligner: Aligner, rows: Any, side: int) -> np.ndarray:
    return np.asarray((aligner.transform_x, aligner.transform_y)[side](np.asarray(rows)))
