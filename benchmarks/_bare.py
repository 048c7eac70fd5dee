"""The machine's limit for moments: the three products alone, X'X, Y'Y and X'Y of rows that are resident."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from _table import threads


def bare(n: int, width: int) -> dict[str, Callable[[], None]]:
    """Work on n rows in blocks of the pass, in the ways that may be fastest: all threads of BLAS in each product, and
    blocks side by side with one thread of BLAS each. The limit is the better of both."""
    from isthmus.compute.resources import block_rows
    from isthmus.compute.threads import blas_limited

    size = min(2 * block_rows(width), n)
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal((size, width), dtype=np.float32) for _ in "xy")
    starts = range(0, n, size)

    def block(start: int) -> None:
        a, b = x[: n - start], y[: n - start]
        _ = a.T @ a, b.T @ b, a.T @ b

    def together() -> None:
        for start in starts:
            block(start)

    def side_by_side() -> None:
        with blas_limited(1), ThreadPoolExecutor(threads()) as pool:
            list(pool.map(block, starts))

    ways = {"bare": together}
    return ways | {"bare, side by side": side_by_side} if threads() > 1 else ways


def limit(best: dict[str, float]) -> float:
    """The least seconds of the bare products among `best`."""
    return min(seconds for name, seconds in best.items() if name.startswith("bare"))
