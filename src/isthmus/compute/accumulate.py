"""The sums of a pass over pairs: those of one block, and lanes that add blocks up side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.compute.arrays import Array, BadRows

#: Rows whose weighted sum is made in their own precision; further sums are float64.
EXACT = 64

Sums = dict[str, Any]
Block = tuple[Any, Any, np.ndarray | None]  # rows of x, rows of y, owner of each row of y


class Lane:
    """Adds up blocks, one after the other, in its own buffers and sums.

    `by_pair` and `by_item` are the sums so far. With a `device` NumPy blocks go there and the sums stay there.
    """

    def __init__(self, dtype: str, *, normalize: bool, device: str | None = None):
        self.by_pair: Sums = {}
        self.by_item: Sums = {}
        self._device = device
        self._bad: Any = None
        if device is None:
            self._clean = [arrays.Blocks(dtype, normalize=normalize) for _ in "xy"]
        else:
            from isthmus.compute.devices import Loader

            self._load = [Loader(device, dtype) for _ in "xy"]
            self._normalize = normalize

    def add(self, block: Block) -> None:
        """Raises `BadRows` when a row has no direction; on a device `finish` does."""
        if self._device is not None:
            x, y = (load(arrays.to_numpy(rows)) for load, rows in zip(self._load, block[:2], strict=True))
            x, y = self._clean_there(x), self._clean_there(y)
        else:
            x, y = (clean(rows) for clean, rows in zip(self._clean, block[:2], strict=True))
        if block[2] is None:
            accumulate(self.by_pair, plain_block(x, y))
        else:
            part, part_by_item = grouped_block(arrays.to_numpy(x), arrays.to_numpy(y), block[2])
            accumulate(self.by_pair, part)
            accumulate(self.by_item, part_by_item)

    def _clean_there(self, rows: Array) -> Array:
        """Unit rows; whether one had no direction is asked at the end, for an answer would wait for the device."""
        rows, bad = arrays.unit_or_bad(rows, normalize=self._normalize)
        self._bad = bad if self._bad is None else self._bad | bad
        return rows

    def finish(self) -> tuple[Sums, Sums]:
        """(by pair, by item), from the device to NumPy."""
        if self._bad is not None and bool(self._bad):
            raise BadRows
        if self._device is None:
            return self.by_pair, self.by_item
        return tuple({k: _host(v) for k, v in sums.items()} for sums in (self.by_pair, self.by_item))  # type: ignore


def add_up(blocks: Iterable[Block], lanes: Sequence[Lane], *, read_ahead: int = 1) -> tuple[Sums, Sums]:
    """Sums over all `blocks`; block i goes to lane i modulo their number, so that the result is always the same.

    The calling thread reads; each lane has a thread of its own. Lanes work while the next blocks are read.
    """
    pools = [ThreadPoolExecutor(max_workers=1) for _ in lanes]
    waiting: list[deque[Future[None]]] = [deque() for _ in lanes]
    try:
        for number, block in enumerate(blocks):
            _touch(block)
            queue = waiting[number % len(lanes)]
            queue.append(pools[number % len(lanes)].submit(lanes[number % len(lanes)].add, block))
            if len(queue) > read_ahead:
                queue.popleft().result()
        for queue in waiting:
            for future in queue:
                future.result()
    finally:
        for pool in pools:
            pool.shutdown(wait=True, cancel_futures=True)
    by_pair: Sums = {}
    by_item: Sums = {}
    for lane in lanes:
        part, part_by_item = lane.finish()
        accumulate(by_pair, part)
        accumulate(by_item, part_by_item)
    return by_pair, by_item


def _touch(block: Block) -> None:
    """Read one number of each page of mapped rows: the disk is waited for here, not by a lane."""
    for rows in block[:2]:
        if isinstance(rows, np.memmap) and rows.flags.c_contiguous:
            np.add.reduce(rows.reshape(-1).view(np.uint8)[::4096], dtype=np.uint8)


def accumulate(sums: Sums, part: Sums) -> None:
    """Add `part` to the float64 `sums`, in place where the library allows it."""
    for name, value in part.items():
        if name in sums:
            sums[name] += value
        else:
            sums[name] = arrays.float64(value) if hasattr(value, "shape") and value.shape else value


def plain_block(x: Array, y: Array) -> Sums:
    """The sums of one block of pairs: products in the precision of the rows."""
    return {"n": int(x.shape[0]), **_vector_sums(x, y), "xx": x.T @ x, "yy": y.T @ y, "xy": x.T @ y}


def _vector_sums(x: Array, y: Array) -> Sums:
    """Sums of x, y, p^2, x p and y p of a block, with p the paired cosine (0 when the sides differ in width).

    NumPy's rows are read once, a few at a time: their sums are products with the rows [1, p], which the precision of
    the rows holds for so few, and those are added up in float64.
    """
    pair = x.shape[1] == y.shape[1]
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
        xp = arrays.namespace(x, y)
        p = arrays.row_dot(x, y) if pair else xp.zeros(x.shape[0], dtype=x.dtype)
        sums = {f"sum_{side}": xp.sum(rows, axis=0, dtype=xp.float64) for side, rows in (("x", x), ("y", y))}
        return {**sums, "pp": xp.sum(p * p, dtype=xp.float64), "xp": x.T @ p, "yp": y.T @ p}
    squares, of_x, of_y = 0.0, np.zeros((2, x.shape[1])), np.zeros((2, y.shape[1]))
    for few in arrays.near(x):
        a, b = x[few], y[few]
        w = np.ones((2, len(a)), dtype=x.dtype)
        w[1] = arrays.row_dot(a, b) if pair else 0
        squares += float(np.sum(w[1] * w[1], dtype=np.float64))
        of_x += _weighted_sums(w, a)
        of_y += _weighted_sums(w, b)
    return {"sum_x": of_x[0], "sum_y": of_y[0], "pp": squares, "xp": of_x[1], "yp": of_y[1]}


def _weighted_sums(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """weights (k, n) @ rows (n, d) with float64 sums over parts of `EXACT` rows, (k, d)."""
    whole = len(rows) - len(rows) % EXACT
    weight_parts = weights[:, :whole].reshape(len(weights), -1, EXACT).swapaxes(0, 1)
    parts = weight_parts @ rows[:whole].reshape(-1, EXACT, rows.shape[1])
    return parts.sum(axis=0, dtype=np.float64) + weights[:, whole:] @ rows[whole:]


def grouped_block(x: np.ndarray, y: np.ndarray, owner: np.ndarray) -> tuple[Sums, Sums]:
    """The sums of a block in which item g (row of x) has the rows of y with owner g, by pair and by item.

    Rows of y are sorted by owner.
    """
    counts = np.bincount(owner, minlength=len(x))
    kept = np.flatnonzero(counts)  # items without a partner form no pair
    x, counts = x[kept].astype(np.float64), counts[kept]
    y = y.astype(np.float64)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    y_item = np.add.reduceat(y, begins, axis=0)
    p = arrays.row_dot(np.repeat(x, counts, axis=0), y) if x.shape[1] == y.shape[1] else np.zeros(len(y))
    p_item = np.add.reduceat(p, begins)
    x_item = x * counts[:, None]
    by_pair = {
        "n": len(y), "sum_x": x_item.sum(axis=0), "sum_y": y.sum(axis=0),
        "xx": x_item.T @ x, "yy": y.T @ y, "xy": x.T @ y_item,
        "pp": float(p @ p), "xp": x.T @ p_item, "yp": y.T @ p,
    }  # fmt: skip
    by_item = {
        "count": len(kept), "mm": float(counts @ counts), "mx": counts @ x_item, "my": counts @ y_item,
        "mp": float(counts @ p_item), "xx": x_item.T @ x_item, "yy": y_item.T @ y_item, "xy": x_item.T @ y_item,
        "pp": float(p_item @ p_item), "xp": x_item.T @ p_item, "yp": y_item.T @ p_item,
    }  # fmt: skip
    return by_pair, by_item


def _host(value: Any) -> Any:
    """A sum on a device as a NumPy array or a number."""
    return arrays.to_numpy(value) if hasattr(value, "shape") else value
