"""Accumulate the sums of a pass over pairs, block by block, in parallel workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.arrays import Array, InvalidRowsError
from isthmus.compute.devices import HostToDeviceCopier
from isthmus.compute.rows import cache_sized_slices, run_sums

#: Rows whose weighted sum is accumulated in the precision of the rows. Sums of such chunks are float64.
CHUNK_ROWS = 64

Sums = dict[str, Any]
#: Rows of x, rows of y, owner of each row of y, component of each row of x.
Block = tuple[Any, Any, np.ndarray | None, np.ndarray | None]


class Accumulator:
    """Accumulate the sums of blocks of pairs, with buffers of its own.

    Parameters
    ----------
    dtype : {'float32', 'float64'}
        Precision in which blocks are multiplied. Sums are float64.
    normalize : bool
        Divide rows by their norm first.
    device : str, optional
        PyTorch device to which NumPy blocks are copied. The sums stay there until `result`.

    Attributes
    ----------
    by_pair, by_item : dict
        Sums of the blocks that were added.
    """

    def __init__(self, dtype: str, *, normalize: bool, device: str | None = None):
        self.by_pair: Sums = {}
        self.by_item: Sums = {}
        self._device = device
        self._any_invalid: Any = None
        self._normalize = normalize
        if device is None:
            self._normalizers = [arrays.RowNormalizer(dtype, normalize=normalize) for _ in "xy"]
        else:
            self._copiers = [HostToDeviceCopier(device, dtype) for _ in "xy"]

    def add(self, block: Block) -> None:
        """Add the sums of one block.

        Parameters
        ----------
        block : tuple
            Rows of x (n, d_x), rows of y (m, d_y), and the sorted owners (m,): the row of x of each row of y. The
            owners are None if row i of y belongs to row i of x. Then the sorted numbers of the component of each row
            of x (n,), or None if each row of x is a component.

        Raises
        ------
        InvalidRowsError
            If a row has no direction. With a device, `result` raises it.
        """
        if self._device is not None:
            x, y = (
                self._normalize_on_device(copy(arrays.to_numpy(rows)))
                for copy, rows in zip(self._copiers, block[:2], strict=True)
            )
        else:
            x, y = (normalize(rows) for normalize, rows in zip(self._normalizers, block[:2], strict=True))
        if block[2] is None:
            add_sums(self.by_pair, block_sums(x, y))
        else:
            by_pair, by_item = grouped_block_sums(arrays.to_numpy(x), arrays.to_numpy(y), block[2], block[3])
            add_sums(self.by_pair, by_pair)
            add_sums(self.by_item, by_item)

    def _normalize_on_device(self, rows: Array) -> Array:
        """Return unit rows.

        The check for invalid rows is deferred to `result`, because reading the flag here would synchronise with the
        device.
        """
        rows, invalid = arrays.normalize_and_flag(rows, normalize=self._normalize)
        self._any_invalid = invalid if self._any_invalid is None else self._any_invalid | invalid
        return rows

    def result(self) -> tuple[Sums, Sums]:
        """Return the sums by pair and by item, as NumPy arrays if they were on a device.

        Returns
        -------
        tuple of dict
            Sums by pair, and sums by item (empty if no block had an owner).

        Raises
        ------
        InvalidRowsError
            If a row that was added on a device has no direction.
        """
        if self._any_invalid is not None and bool(self._any_invalid):
            raise InvalidRowsError
        if self._device is None:
            return self.by_pair, self.by_item
        by_pair, by_item = (
            {name: _to_host(value) for name, value in sums.items()} for sums in (self.by_pair, self.by_item)
        )
        return by_pair, by_item


def accumulate_blocks(
    blocks: Iterable[Block], accumulators: Sequence[Accumulator], *, read_ahead: int = 1
) -> tuple[Sums, Sums]:
    """Return the sums over all blocks, by pair and by item.

    Block i is assigned to accumulator i % n, which makes the result deterministic. The calling thread reads the
    blocks. Each accumulator has one worker thread, which works while the next blocks are read.

    Parameters
    ----------
    blocks : iterable of Block
        Blocks of pairs, see `Accumulator.add`.
    accumulators : sequence of Accumulator
        One for each worker thread.
    read_ahead : int, default 1
        Blocks that wait for each worker.

    Returns
    -------
    tuple of dict
        Sums by pair and sums by item.

    Raises
    ------
    InvalidRowsError
        If a row has no direction.
    """
    remaining = iter(blocks)
    first_blocks = list(islice(remaining, 2))
    if len(first_blocks) < 2:  # nothing to read ahead
        for block in first_blocks:
            accumulators[0].add(block)
        return accumulators[0].result()
    pools = [ThreadPoolExecutor(max_workers=1) for _ in accumulators]
    queues: list[deque[Future[None]]] = [deque() for _ in accumulators]
    try:
        for number, block in enumerate(chain(first_blocks, remaining)):
            _prefetch_pages(block)
            worker = number % len(accumulators)
            queues[worker].append(pools[worker].submit(accumulators[worker].add, block))
            if len(queues[worker]) > read_ahead:
                queues[worker].popleft().result()
        for queue in queues:
            for future in queue:
                future.result()
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)
    by_pair: Sums = {}
    by_item: Sums = {}
    for accumulator in accumulators:
        worker_by_pair, worker_by_item = accumulator.result()
        add_sums(by_pair, worker_by_pair)
        add_sums(by_item, worker_by_item)
    return by_pair, by_item


def _prefetch_pages(block: Block) -> None:
    """Read one byte of each page of mapped rows, so that the reader waits for the disk and not a worker."""
    for rows in block[:2]:
        if isinstance(rows, np.memmap) and rows.flags.c_contiguous:
            np.add.reduce(rows.reshape(-1).view(np.uint8)[::4096], dtype=np.uint8)


def add_sums(total: Sums, sums: Sums) -> None:
    """Add `sums` to the float64 sums in `total`, in place where the array library allows it.

    Parameters
    ----------
    total : dict
        Sums so far. A name that it lacks is added.
    sums : dict
        Sums of one block or worker.
    """
    for name, value in sums.items():
        if name in total:
            total[name] += value
        else:
            total[name] = arrays.to_float64(value) if hasattr(value, "shape") and value.shape else value


def block_sums(x: Array, y: Array) -> Sums:
    """Return the sums of one block of one-to-one pairs.

    Parameters
    ----------
    x, y : (n, d_x) and (n, d_y) arrays
        Row i of y belongs to row i of x. Blocks are multiplied in their own precision.

    Returns
    -------
    dict
        The sums that `isthmus.Moments` holds, by name.
    """
    return {"n": int(x.shape[0]), **_vector_sums(x, y), "xx": x.T @ x, "yy": y.T @ y, "xy": x.T @ y}


def _vector_sums(x: Array, y: Array) -> Sums:
    """Return the sums of x, y, p^2, p x and p y of a block, with p the paired cosine (0 if d_x differs from d_y).

    NumPy rows are read once, in slices that fit the cache. Their sums are products with the rows [1, p], which are
    accurate in the precision of the rows for so few rows and are added up in float64.
    """
    has_cosine = x.shape[1] == y.shape[1]
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
        xp = arrays.namespace(x, y)
        p = arrays.row_dot(x, y) if has_cosine else xp.zeros(x.shape[0], dtype=x.dtype)
        sums = {f"sum_{name}": xp.sum(rows, axis=0, dtype=xp.float64) for name, rows in (("x", x), ("y", y))}
        return {**sums, "cos_sq": xp.sum(p * p, dtype=xp.float64), "cos_x": x.T @ p, "cos_y": y.T @ p}
    cos_sq, sums_x, sums_y = 0.0, np.zeros((2, x.shape[1])), np.zeros((2, y.shape[1]))
    for rows in cache_sized_slices(x):
        a, b = x[rows], y[rows]
        weights = np.ones((2, len(a)), dtype=x.dtype)
        weights[1] = arrays.row_dot(a, b) if has_cosine else 0
        cos_sq += float(np.sum(weights[1] * weights[1], dtype=np.float64))
        sums_x += _weighted_sums(weights, a)
        sums_y += _weighted_sums(weights, b)
    return {"sum_x": sums_x[0], "sum_y": sums_y[0], "cos_sq": cos_sq, "cos_x": sums_x[1], "cos_y": sums_y[1]}


def _weighted_sums(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return weights (k, n) @ rows (n, d), with float64 sums over chunks of `CHUNK_ROWS` rows, (k, d)."""
    full = len(rows) - len(rows) % CHUNK_ROWS
    chunk_weights = weights[:, :full].reshape(len(weights), -1, CHUNK_ROWS).swapaxes(0, 1)
    chunks = chunk_weights @ rows[:full].reshape(-1, CHUNK_ROWS, rows.shape[1])
    return chunks.sum(axis=0, dtype=np.float64) + weights[:, full:] @ rows[full:]


def grouped_block_sums(
    x: np.ndarray, y: np.ndarray, owner: np.ndarray, component: np.ndarray | None = None
) -> tuple[Sums, Sums]:
    """Return the sums of a block in which rows may have several matches, by pair and by component.

    Parameters
    ----------
    x, y : (n, d_x) and (m, d_y) arrays
        Rows of the block.
    owner : (m,) int array, sorted
        Row of x to which each row of y belongs.
    component : (n,) int array, sorted, optional
        Component of each row of x. Default: each row of x is one.

    Returns
    -------
    tuple of dict
        Sums by pair as in `block_sums`, and those that `isthmus.statistics.moments.ItemMoments` holds.
    """
    counts = np.bincount(owner, minlength=len(x))
    paired = np.flatnonzero(counts)  # an item without a row of y forms no pair
    x, counts = x[paired].astype(np.float64), counts[paired]
    y = y.astype(np.float64)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    is_repeated = len(x) < len(y)
    y_item = run_sums(y, begins)
    x_of_pair = np.repeat(x, counts, axis=0) if is_repeated else x
    p = arrays.row_dot(x_of_pair, y) if x.shape[1] == y.shape[1] else np.zeros(len(y))
    p_item = run_sums(p, begins)
    x_item = x * counts[:, None] if is_repeated else x
    by_pair = {
        "n": len(y), "sum_x": x_item.sum(axis=0), "sum_y": y.sum(axis=0),
        "xx": x_item.T @ x, "yy": y.T @ y, "xy": x.T @ y_item,
        "cos_sq": float(p @ p), "cos_x": x.T @ p_item, "cos_y": y.T @ p,
    }  # fmt: skip
    if component is not None:
        component = component[paired]
        firsts = np.flatnonzero(np.concatenate([[True], component[1:] != component[:-1]]))
        x_item, y_item, p_item, counts = (run_sums(a, firsts) for a in (x_item, y_item, p_item, counts))
    by_item = {
        "n_items": len(counts), "count_sq": float(counts @ counts), "count_cos": float(counts @ p_item),
        "count_x": counts @ x_item, "count_y": counts @ y_item,
        "xx": x_item.T @ x_item, "yy": y_item.T @ y_item, "xy": x_item.T @ y_item,
        "cos_sq": float(p_item @ p_item), "cos_x": x_item.T @ p_item, "cos_y": y_item.T @ p_item,
    }  # fmt: skip
    return by_pair, by_item


def _to_host(value: Any) -> Any:
    """Return a sum on a device as a NumPy array."""
    return arrays.to_numpy(value) if hasattr(value, "shape") else value
