"""Watching the gap while training."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from isthmus.train.batch_moments import batch_sums, moments
from isthmus.train.collapse_detector import CollapseDetector
from isthmus.train.logs import make_logger
from isthmus.train.snapshot import GapSnapshot
from isthmus.utils.errors import InputError, IsthmusWarning


def _warn(sentence: str) -> None:
    warnings.warn(sentence, IsthmusWarning, stacklevel=5)


class GapMonitor:
    """Gap, budget, ranks, overlap and assumptions of the recent batches, every `every` steps.

    Call it with the features of every step; it adds up the moments of the last `window` batches before a reading, on
    the device of the features and without a gradient, and touches nothing in between. Under `torch.distributed` the
    sums of all processes are added, so every process must call it equally often and gets the reading of all pairs.

    Parameters
    ----------
    every : steps between two readings
    window : batches that a reading looks at, at most `every`; more pairs than dimensions are needed for the ranks
    names : of the two sides
    log : TensorBoard writer, Weights & Biases run, Lightning logger or function, see `logs.make_logger`
    watch : a `CollapseDetector`; None: the default one
    warn : called with a sentence when a collapse sets in; default: an `IsthmusWarning`
    background : compute readings in a thread while training goes on, so that a GPU does not wait; a reading is then
        returned by a later call, and `wait()` gives the last one

    `readings` keeps all readings, `overhead` is the share of the time since the first call that was spent here.
    Cost: 6 n d^2 operations for each of the `window` batches, and some d x d eigenvalue problems for a reading (0.2 s
    at d = 256, 1 s at d = 512 on one core). Errors: `InputError` for a window that does not fit, and for features that
    are no pairs.

    >>> import torch
    >>> monitor = GapMonitor(every=2, window=2)
    >>> for step in range(4):
    ...     x = torch.nn.functional.normalize(torch.randn(50, 8) + 1)
    ...     reading = monitor(x, x)
    >>> [reading.step for reading in monitor.readings], monitor.readings[0].n
    ([2, 4], 100)
    """

    def __init__(
        self,
        *,
        every: int = 200,
        window: int = 16,
        names: tuple[str, str] = ("image", "text"),
        log: Any = None,
        watch: CollapseDetector | None = None,
        warn: Callable[[str], None] | None = None,
        background: bool = False,
    ) -> None:
        if every < 1 or not 1 <= window <= every:
            raise InputError(f"every={every} and window={window}, expected every >= window >= 1")
        if len(names) != 2 or names[0] == names[1]:
            raise InputError(f"names={names}, expected two different names")
        self.every, self.window, self.names = every, window, names
        self.log = make_logger(log)
        self.watch = CollapseDetector() if watch is None else watch
        self.warn = _warn if warn is None else warn
        self._pool = ThreadPoolExecutor(max_workers=1) if background else None
        self._pending: Future[GapSnapshot] | None = None
        self.step = 0
        self.readings: list[GapSnapshot] = []
        self._sums: Tensor | None = None
        self._products = "float32"
        self._began: float | None = None
        self._spent = 0.0

    def __call__(self, x: Tensor, y: Tensor, /) -> GapSnapshot | None:
        """Take the features (n, d) of one step, row i of both a pair; a `GapSnapshot` on every `every`-th call (or, in the
        background, when it is ready)."""
        start = time.perf_counter()
        self._began = start if self._began is None else self._began
        self.step += 1
        reading = self.wait() if self._pending is not None and self._pending.done() else None
        if (self.step - 1) % self.every >= self.every - self.window:
            self._add(x, y)
            if self.step % self.every == 0:
                reading = self.read() or reading
        self._spent += time.perf_counter() - start
        return reading

    def show(self, x: Tensor, y: Tensor, /, *, step: int | None = None) -> GapSnapshot | None:
        """The reading of these features alone, such as those of held-out pairs, logged as that of `step`."""
        self.step = self.step + 1 if step is None else step
        self._sums = None
        self._add(x, y)
        return self.read()

    def read(self) -> GapSnapshot | None:
        """The reading of the batches since the last one, logged; None, with a warning, when they cannot be read, and
        None in the background, where it is not ready yet."""
        if self._sums is None:
            raise InputError("no batch has been seen since the last reading; call the monitor with features first")
        sums, self._sums = self._sums, None
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(sums)
        found = moments(sums, products=self._products)
        if not np.isfinite([found.pp, float(found.xx.sum()), float(found.yy.sum())]).all():
            self.warn(f"features hold NaN or infinite values in the batches up to step {self.step:,}: nothing is read")
            return None
        shortest = min(float(np.trace(gram)) / found.n for gram in (found.xx, found.yy))
        if shortest < 1 - 1e-3:
            self.warn(f"{1 - shortest:.1%} of the features are all zeros at step {self.step:,}: nothing is read")
            return None
        if self._pool is None:
            return self._keep(GapSnapshot.of(found, step=self.step, names=self.names))
        earlier = self.wait()
        self._pending = self._pool.submit(GapSnapshot.of, found, step=self.step, names=self.names)
        return earlier

    def wait(self) -> GapSnapshot | None:
        """The reading that is being computed in the background, when it is ready; None when there is none."""
        pending, self._pending = self._pending, None
        return None if pending is None else self._keep(pending.result())

    def _keep(self, reading: GapSnapshot) -> GapSnapshot:
        self.readings.append(reading)
        self.log(reading.to_dict(), reading.step)
        for sentence in self.watch(reading):
            self.warn(sentence)
        return reading

    @property
    def last(self) -> GapSnapshot | None:
        """The latest reading."""
        return self.readings[-1] if self.readings else None

    @property
    def overhead(self) -> float:
        """Share of the time from the first call on that was spent in the monitor (the device's own work not waited
        for). Raise `every` where it is too much."""
        if self._began is None:
            return 0.0
        return self._spent / max(time.perf_counter() - self._began, 1e-9)

    def _add(self, x: Tensor, y: Tensor) -> None:
        sums = batch_sums(x, y)
        if self._sums is not None and sums.shape != self._sums.shape:
            raise InputError(f"features of width {x.shape[1]} came after features of another width")
        self._products = "float64" if x.dtype == y.dtype == torch.float64 else "float32"
        self._sums = sums if self._sums is None else self._sums.add_(sums)
