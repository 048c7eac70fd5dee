"""What a computation may use: threads, memory, devices, a cluster; and how a pass over rows is cut to fit."""

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

from isthmus.utils.errors import InputError

#: Rows of a block, whatever the width.
LEAST_ROWS, MOST_ROWS = 256, 16_384
#: Blocks that the moments take at a time: their products are added up that much more seldom.
PASS_BLOCKS = 4
#: Blocks that the reader holds besides those of the lanes while it unpacks rows: a block that spans two row groups is
#: put together from two batches, and pyarrow decodes levels and numbers of each before they are rows.
UNPACKED_BLOCKS = 8
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Resources:
    """What a computation may use. Made by `Resources.of`, which checks the values.

    Attributes
    ----------
    threads : cores that are kept busy; None: as many threads as BLAS has (the cores, or OMP_NUM_THREADS)
    max_memory : bytes that a pass over rows may add to the process; None: a few blocks for each thread
    devices : PyTorch devices, such as ('cuda:0', 'cuda:1'); () computes with NumPy
    cluster : a `distributed.Cluster` or None
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
        """Resources from what a user writes: `max_memory` in bytes or as '400 MB', `device` 'cuda' or 'cuda:0,cuda:1'.

        Errors: `InputError` for threads below 1, memory that is no size, and devices that PyTorch does not have.

        >>> Resources.of(threads=2, max_memory="400 MB")
        Resources(threads=2, max_memory=400000000, devices=(), cluster=None)
        """
        if threads is not None and threads < 1:
            raise InputError(f"threads={threads}, expected 1 or more")
        names = [name.strip() for name in device.split(",")] if isinstance(device, str) else list(device or ())
        if names:
            from isthmus.compute.devices import checked

            names = [checked(name) for name in names]
        return cls(threads, None if max_memory is None else _bytes(max_memory), tuple(names), cluster)


_CURRENT: ContextVar[Resources] = ContextVar("resources")


def current() -> Resources:
    """The resources of the innermost `using` block."""
    return _CURRENT.get(Resources())


@contextmanager
def using(
    *,
    threads: int | None = None,
    max_memory: int | str | None = None,
    device: str | Sequence[str] | None = None,
    cluster: Any = None,
) -> Iterator[Resources]:
    """Everything that is computed inside the block may use this; what is not given stays as it is outside.

    `threads`: cores to keep busy. `max_memory`: what a pass over rows may add to the process, bytes or '400 MB'.
    `device`: 'cpu', 'cuda', or several as 'cuda:0,cuda:1', through PyTorch. `cluster`: see
    `isthmus.evaluation.cluster`.
    Errors: `InputError` for values that cannot be used, and for devices that are not there.

    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8))
    >>> with isthmus.using(threads=1, max_memory="50 MB"):
    ...     isthmus.Moments.of(X, Y).n
    100
    """
    outer, given = current(), Resources.of(threads=threads, max_memory=max_memory, device=device, cluster=cluster)
    token = _CURRENT.set(
        Resources(
            given.threads or outer.threads,
            given.max_memory or outer.max_memory,
            given.devices or outer.devices,
            given.cluster or outer.cluster,
        )
    )
    try:
        yield current()
    finally:
        _CURRENT.reset(token)


@dataclass(frozen=True)
class Plan:
    """How a pass is cut: rows in a block, lanes that work at the same time, BLAS threads in each lane (None: as many
    as it has), the device of each lane (none: NumPy)."""

    rows: int
    lanes: int
    blas: int | None
    devices: tuple[str, ...] = ()


def plan(
    resources: Resources,
    dim_x: int,
    dim_y: int,
    *,
    items: int,
    itemsize: int,
    partners: float = 1.0,
    read: int = 4,
    unpacked: bool = False,
) -> Plan:
    """The pass over pairs of these widths: one lane for each thread, fewer or smaller blocks where memory is short.

    `itemsize` is that of the products, 4 or 8; `partners` the mean number of rows of y for a row of x;
    `read` the bytes of a number as it is read, `unpacked` whether rows are unpacked rather than mapped.
    Errors: `InputError` when `max_memory` does not hold the smallest pass.
    """
    dim = max(dim_x, dim_y)
    most = MOST_ROWS if any(d.startswith("cuda") for d in resources.devices) else PASS_BLOCKS * block_rows(dim)
    rows = max(int(min(most, MOST_ROWS) / partners), 1)
    few = items <= rows  # one block: BLAS has all threads
    threads = resources.threads or (1 if few or resources.devices else blas_threads())
    lanes = len(resources.devices) or (1 if few else threads)
    if resources.max_memory is not None:

        def needed() -> int:
            return pass_bytes(rows, lanes, dim_x, dim_y, itemsize, partners, read=read, unpacked=unpacked)

        def too_much() -> bool:
            return needed() > resources.max_memory  # type: ignore[operator]

        least = max(min(int(LEAST_ROWS / partners), rows), 1)
        while rows > least and too_much():
            rows = max(rows // 2, least)
        while lanes > 1 and too_much() and not resources.devices:
            lanes -= 1
        if too_much():
            raise InputError(
                f"max_memory={resources.max_memory / 1e6:.0f} MB is too little for rows of width {dim}: the smallest "
                f"pass needs {needed() / 1e6:.0f} MB"
            )
    blocks = -(-items // rows)
    rows = -(-items // (-(-blocks // lanes) * lanes)) if blocks else rows  # every lane has as many of one size
    blas = threads // lanes if lanes > 1 or resources.threads else None
    return Plan(rows, lanes, blas, resources.devices)


def pass_bytes(
    rows: int,
    lanes: int,
    dim_x: int,
    dim_y: int,
    itemsize: int,
    partners: float = 1.0,
    *,
    read: int = 4,
    unpacked: bool = False,
) -> int:
    """Bytes that a pass holds at most: for each lane the float64 sums, the products of one block, clean rows of one
    block, and the rows of two as they were read; and what the one reader holds to unpack the next."""
    products = dim_x * dim_x + dim_y * dim_y + dim_x * dim_y
    per_pair = rows * (dim_x + dim_y) * (itemsize + 2 * read)
    if partners != 1:  # sums by item too, and copies of the rows in float64
        products *= 2
        per_pair = int(rows * (3 * dim_x + (2 + 3 * partners) * max(dim_x, dim_y)) * 8)
    reader = rows * (dim_x + partners * dim_y) * read * UNPACKED_BLOCKS if unpacked else 0
    return int(lanes * (products * (8 + itemsize) + per_pair) + products * 8 + reader)


def block_rows(dim: int) -> int:
    """Rows in a block of one side: an eighth of the last cache in float32, so that it stays there while it is used."""
    return int(np.clip(cache_bytes() // 8 // (4 * dim), LEAST_ROWS, MOST_ROWS))


@cache
def cache_bytes() -> int:
    """Size of the last cache, held between 8 and 32 MB; 32 MB where the system does not say."""
    try:
        size = os.sysconf("SC_LEVEL3_CACHE_SIZE")
    except (AttributeError, OSError, ValueError):
        size = 0
    return min(max(size, 2**23), 2**25) if size > 0 else 2**25


def blas_threads() -> int:
    """Threads that BLAS would use now: the cores, or what OMP_NUM_THREADS and its like say."""
    return max((pool["num_threads"] for pool in _blas().info()), default=1)


@contextmanager
def blas_limited(threads: int | None) -> Iterator[None]:
    """NumPy's BLAS with this many threads in the whole process while the block runs; None leaves it as it is."""
    if threads is None:
        yield
        return
    with _blas().limit(limits=threads):
        yield


@cache
def _blas() -> Any:
    """The BLAS libraries that are loaded at the first call, NumPy's among them: looking for them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _bytes(size: int | str) -> int:
    """Bytes of 400_000_000, '400 MB', '1.5GB'."""
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kmgt]?)i?b?\s*", str(size), flags=re.IGNORECASE)
    if not found or not float(found[1]):
        raise InputError(f"max_memory={size!r}, expected bytes or a size such as '400 MB' or '2 GB'")
    return int(float(found[1]) * _UNITS[found[2].lower()])
