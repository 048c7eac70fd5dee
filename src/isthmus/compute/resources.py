"""Threads, memory, devices and cluster that a computation may use, and the plan of a pass over rows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from isthmus.compute.devices import validate_device
from isthmus.compute.threads import available_threads, in_parallel_task
from isthmus.utils.arguments import check_count, list_of_names, shown
from isthmus.utils.errors import InputError

#: Smallest and largest number of rows in a block of one modality.
MIN_BLOCK_ROWS, MAX_BLOCK_ROWS = 256, 16_384
#: Blocks of `block_rows` that a pass over pairs reads at a time. Larger blocks are added to the sums less often.
PASS_BLOCK_FACTOR = 4
#: Further blocks that the reader holds while it decompresses rows. A block that spans two row groups is joined from two
#: batches, and pyarrow decodes levels and numbers of each before they become rows.
DECODER_BLOCKS = 8
#: Items from which a pass uses several threads.
MIN_PARALLEL_ITEMS = 2048
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Resources:
    """Resources that a computation may use. `Resources.of` validates the values.

    Parameters
    ----------
    threads : int or None
        Threads to use. None means the cores that the process may use: its affinity mask and the quota of its
        container, or OMP_NUM_THREADS.
    max_memory : int or None
        Bytes that a pass over rows may add to the process. None means a few blocks per thread.
    devices : tuple of str
        PyTorch devices, such as ('cuda:0', 'cuda:1'). An empty tuple computes with NumPy.
    cluster : isthmus.compute.cluster.Cluster or None
        Dask cluster whose workers read the files.

    Examples
    --------
    >>> Resources().devices
    ()
    """

    threads: int | None = None
    max_memory: int | None = None
    devices: tuple[str, ...] = ()
    cluster: Any = None

    @classmethod
    def of(
        cls,
        *,
        threads: int | None = None,
        max_memory: int | str | None = None,
        device: str | Sequence[str] | None = None,
        cluster: Any = None,
    ) -> Resources:
        """Return validated resources.

        Parameters
        ----------
        threads : int, optional
            Cores to use.
        max_memory : int or str, optional
            Bytes, or a size such as '400 MB'.
        device : str or sequence of str, optional
            'cpu', 'cuda', or several as 'cuda:0,cuda:1'.
        cluster : Cluster, optional
            A Dask cluster.

        Returns
        -------
        Resources
            The resources.

        Raises
        ------
        InputError
            If threads is below 1, memory is no size, or PyTorch lacks a device.

        Examples
        --------
        >>> Resources.of(threads=2, max_memory="400 MB")
        Resources(threads=2, max_memory=400000000, devices=(), cluster=None)
        """
        threads = None if threads is None else check_count(threads, "threads")
        names = [] if device is None else list_of_names(device, "device")
        names = [validate_device(name) for name in names]
        if cluster is not None and not all(hasattr(cluster, name) for name in ("split", "tree_reduce")):
            raise InputError(f"cluster={shown(cluster)}, expected isthmus.compute.cluster.Cluster")
        return cls(threads, None if max_memory is None else _parse_bytes(max_memory), tuple(names), cluster)


_CURRENT: ContextVar[Resources] = ContextVar("resources")
_DEFAULT = Resources()


def current() -> Resources:
    """Return the resources of the innermost `config_context` block."""
    return _CURRENT.get(_DEFAULT)


@contextmanager
def config_context(
    *,
    threads: int | None = None,
    max_memory: int | str | None = None,
    device: str | Sequence[str] | None = None,
    cluster: Any = None,
) -> Iterator[Resources]:
    """Set the resources that computations inside a `with` block may use.

    Options that are not given keep the value of the enclosing block. An inner block can therefore change a device or a
    cluster, but cannot return to none.

    Parameters
    ----------
    threads : int, optional
        Threads to use. Default: the cores that the process may use, or OMP_NUM_THREADS.
    max_memory : int or str, optional
        Memory that a pass over rows may add to the process, in bytes or as '400 MB'.
    device : str or sequence of str, optional
        PyTorch devices: 'cpu', 'cuda', or several as 'cuda:0,cuda:1'. Default: NumPy.
    cluster : isthmus.compute.cluster.Cluster, optional
        Dask cluster whose workers read the files.

    Yields
    ------
    Resources
        The resources in use inside the block.

    Raises
    ------
    InputError
        If a value cannot be used, or a device does not exist.

    Examples
    --------
    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8))
    >>> with isthmus.config_context(threads=1, max_memory="50 MB"):
    ...     isthmus.Moments.of(X, Y).n
    100
    """
    outer = current()
    options = Resources.of(threads=threads, max_memory=max_memory, device=device, cluster=cluster)
    token = _CURRENT.set(
        Resources(
            options.threads or outer.threads,
            options.max_memory or outer.max_memory,
            options.devices or outer.devices,
            options.cluster or outer.cluster,
        )
    )
    try:
        yield current()
    finally:
        _CURRENT.reset(token)


@dataclass(frozen=True)
class PassPlan:
    """Describe how a pass over pairs is divided.

    Attributes
    ----------
    rows : int
        Items in a block.
    n_workers : int
        Blocks that are processed at the same time.
    blas_threads : int or None
        BLAS threads of each worker. None leaves the setting of BLAS unchanged.
    devices : tuple of str
        PyTorch device of each worker. An empty tuple computes with NumPy.
    """

    rows: int
    n_workers: int
    blas_threads: int | None
    devices: tuple[str, ...] = ()


def plan_pass(
    resources: Resources,
    dim_x: int,
    dim_y: int,
    *,
    items: int,
    itemsize: int,
    rows_per_item: float = 1.0,
    itemsize_on_disk: int = 4,
    decompressed: bool = False,
) -> PassPlan:
    """Plan a pass over pairs: one worker per thread, and fewer workers or smaller blocks if memory is short.

    Parameters
    ----------
    resources : Resources
        Threads, memory and devices that the pass may use.
    dim_x, dim_y : int
        Dimensions of the rows of x and y.
    items : int
        Number of items.
    itemsize : {4, 8}
        Bytes of a number in the block products.
    rows_per_item : float, default 1.0
        Mean number of rows of y per row of x.
    itemsize_on_disk : {4, 8}, default 4
        Bytes of a number as it is read.
    decompressed : bool, default False
        Whether rows are decompressed rather than memory-mapped.

    Returns
    -------
    PassPlan
        Rows of a block, number of workers, BLAS threads and devices.

    Raises
    ------
    InputError
        If `max_memory` is smaller than the smallest possible pass.
    """
    dim = max(dim_x, dim_y)
    on_gpu = any(device.startswith("cuda") for device in resources.devices)
    max_rows = MAX_BLOCK_ROWS if on_gpu else PASS_BLOCK_FACTOR * block_rows(dim)
    rows = max(int(min(max_rows, MAX_BLOCK_ROWS) / rows_per_item), 1)
    one_block = items < MIN_PARALLEL_ITEMS  # too few rows for several threads
    threads = 1 if in_parallel_task() else resources.threads or available_threads()
    n_workers = len(resources.devices) or (1 if one_block else threads)
    if resources.max_memory is not None:
        options: dict[str, Any] = {"itemsize_on_disk": itemsize_on_disk, "decompressed": decompressed}

        def required_bytes() -> int:
            return pass_bytes(rows, n_workers, dim_x, dim_y, itemsize, rows_per_item, **options)

        def exceeds_memory() -> bool:
            return required_bytes() > resources.max_memory  # type: ignore[operator]

        min_rows = max(min(int(MIN_BLOCK_ROWS / rows_per_item), rows), 1)
        while rows > min_rows and exceeds_memory():
            rows = max(rows // 2, min_rows)
        while n_workers > 1 and exceeds_memory() and not resources.devices:
            n_workers -= 1
        if exceeds_memory():
            raise InputError(
                f"max_memory={resources.max_memory / 1e6:.3g} MB is too little for rows of width {dim}: the smallest "
                f"pass needs {required_bytes() / 1e6:.3g} MB"
            )
    blocks = -(-items // rows)
    if blocks:  # equal blocks, and as many for every worker
        rows = -(-items // (-(-blocks // n_workers) * n_workers))
    # One thread each, unless memory is too short for as many workers as threads.
    blas_threads = None if resources.devices else 1 if one_block else max(threads // n_workers, 1)
    return PassPlan(rows, n_workers, blas_threads, resources.devices)


def pass_bytes(
    rows: int,
    n_workers: int,
    dim_x: int,
    dim_y: int,
    itemsize: int,
    rows_per_item: float = 1.0,
    *,
    itemsize_on_disk: int = 4,
    decompressed: bool = False,
) -> int:
    """Return an upper bound on the memory of a pass, in bytes.

    Each worker holds float64 sums, the products of one block, the normalized rows of one block, and the rows of two
    blocks as they were read. If rows are decompressed, the reader holds its buffers too.

    Parameters
    ----------
    rows, n_workers : int
        Items in a block and number of workers.
    dim_x, dim_y, itemsize, rows_per_item, itemsize_on_disk, decompressed
        As in `plan_pass`.

    Returns
    -------
    int
        Bytes.
    """
    products = dim_x * dim_x + dim_y * dim_y + dim_x * dim_y
    block_bytes = rows * (dim_x + dim_y) * (itemsize + 2 * itemsize_on_disk)
    if rows_per_item != 1:  # sums by item too, and copies of the rows in float64
        products *= 2
        block_bytes = int(rows * (3 * dim_x + (2 + 3 * rows_per_item) * max(dim_x, dim_y)) * 8)
    reader = rows * (dim_x + rows_per_item * dim_y) * itemsize_on_disk * DECODER_BLOCKS if decompressed else 0
    return int(n_workers * (products * (8 + itemsize) + block_bytes) + products * 8 + reader)


def block_rows(dim: int) -> int:
    """Return the number of rows in a block of one modality.

    A block takes an eighth of the last cache in float32, so that it stays there while it is used.

    Parameters
    ----------
    dim : int
        Dimension of the rows.

    Returns
    -------
    int
        Between `MIN_BLOCK_ROWS` and `MAX_BLOCK_ROWS`.
    """
    return int(np.clip(cache_bytes() // 8 // (4 * dim), MIN_BLOCK_ROWS, MAX_BLOCK_ROWS))


@cache
def cache_bytes() -> int:
    """Return the size of the last-level cache in bytes, clipped to 8 - 32 MB, or 32 MB if it is unknown."""
    try:
        size = os.sysconf("SC_LEVEL3_CACHE_SIZE")
    except (AttributeError, OSError, ValueError):
        size = 0
    return min(max(size, 2**23), 2**25) if size > 0 else 2**25


def n_threads() -> int:
    """Return the number of threads for a computation: those of the resources in use, else all that are available.

    Returns
    -------
    int
        One inside a task of `isthmus.compute.threads.run_parallel`, because the other tasks use the other cores.
    """
    return 1 if in_parallel_task() else current().threads or available_threads()


def _parse_bytes(size: int | str) -> int:
    """Return the bytes of 400_000_000, '400 MB' or '1.5GB'."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kmgt]?)i?b?\s*", str(size), flags=re.IGNORECASE)
    if not match or not float(match[1]):
        raise InputError(f"max_memory={size!r}, expected bytes or a size such as '400 MB' or '2 GB'")
    return int(float(match[1]) * _UNITS[match[2].lower()])
