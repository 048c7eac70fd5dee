"""Monitor of the modality gap during training."""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from isthmus.train._base import non_unit_lengths
from isthmus.train.batch_moments import batch_sums, moments_from_sums, moments_of_items
from isthmus.train.collapse_detector import CollapseDetector
from isthmus.train.history import GapHistory
from isthmus.train.logs import make_logger
from isthmus.train.snapshot import GapSnapshot
from isthmus.utils.errors import InputError, IsthmusWarning

#: Features whose mean squared norm is below this contain rows of zeros, since all other rows are normalised.
MIN_MEAN_SQUARED_NORM = 1 - 1e-3
#: Pairs for each dimension that the first snapshot needs.
FIRST_PAIRS_PER_DIMENSION = 2


def _warn(message: str) -> None:
    """Raise an IsthmusWarning that points at the call of the monitor."""
    warnings.warn(message, IsthmusWarning, stacklevel=5)


class GapMonitor:
    """Measure the gap, its decomposition, the ranks and the assumptions on recent batches every `every` steps.

    Call `monitor(x, y)` in every step, with features x and y of shape (n, d), whose rows i are one pair. It adds up the
    moments of the last `window` batches before a snapshot, on the device of the features and without a gradient. All
    other batches are ignored. The first snapshot comes earlier: as soon as there are two pairs for each dimension. If
    `torch.distributed` is initialised, the sums of all processes are added. Every process must then call the monitor
    equally often, and gets the snapshot of all pairs.

    Parameters
    ----------
    every : int, default 200
        Number of steps between two snapshots. The first one comes earlier if it is ready by step `every - window`.
    window : int, default 16
        Number of batches in a snapshot, at most `every`. The ranks need more pairs than dimensions.
    names : tuple of two str, default ("image", "text")
        Names of the modalities of the first and second argument.
    log : object or None, default None
        TensorBoard writer, Weights & Biases run, Lightning logger or function (`make_logger`).
    detector : CollapseDetector or None, default None
        Detector of dimension collapse, `CollapseDetector()` by default.
    warn : callable or None, default None
        Function of one message. It is called if a collapse sets in, or if the pairs of the first snapshot are
        degenerate. Also if features are invalid, or if those of the first call are not of length 1. By default an
        `IsthmusWarning` is raised.
    show : bool, default True
        Print each snapshot as one line to standard error, on the first process alone.
    background : bool, default False
        Compute snapshots in a thread, so that a GPU does not wait. A later call returns the snapshot, and `flush`
        waits for the last one.

    Attributes
    ----------
    snapshots : list of GapSnapshot
        All snapshots in the order of their steps.
    step : int
        Number of calls.

    Raises
    ------
    InputError
        If `window` does not fit `every`, the names are equal, or features are not two tensors of one shape.

    Notes
    -----
    Each of the `window` batches of n pairs costs 6 n d^2 operations. A snapshot costs a few d x d eigenvalue problems:
    0.2 s at d = 256 and 1 s at d = 512 on one core.

    Examples
    --------
    >>> import torch
    >>> monitor = GapMonitor(every=2, window=2, show=False)
    >>> for step in range(4):
    ...     x, y = torch.nn.functional.normalize(torch.randn(2, 50, 8) + 1, dim=2)
    ...     snapshot = monitor(x, y)
    >>> [snapshot.step for snapshot in monitor.snapshots], monitor.snapshots[0].n
    ([2, 4], 100)
    """

    def __init__(
        self,
        *,
        every: int = 200,
        window: int = 16,
        names: tuple[str, str] = ("image", "text"),
        log: Any = None,
        detector: CollapseDetector | None = None,
        warn: Callable[[str], None] | None = None,
        show: bool = True,
        background: bool = False,
    ) -> None:
        if every < 1 or not 1 <= window <= every:
            raise InputError(f"every={every} and window={window}, expected every >= window >= 1")
        if len(names) != 2 or names[0] == names[1]:
            raise InputError(f"names={names}, expected two different names")
        self.every, self.window, self.names = every, window, names
        self.log = make_logger(log)
        self.detector = CollapseDetector() if detector is None else detector
        self.warn = _warn if warn is None else warn
        self.show = show
        self.step = 0
        self.snapshots: list[GapSnapshot] = []
        self._pool = ThreadPoolExecutor(max_workers=1) if background else None
        self._pending: Future[GapSnapshot] | None = None
        self._sums: Tensor | None = None
        self._matmul_dtype = "float32"
        #: Step of the first snapshot, 0 if it is a regular one, None before the first features.
        self._first_step: int | None = None
        self._start: float | None = None
        self._seconds = 0.0
        #: True after the lengths of the first features were checked. The check waits for the device.
        self._is_checked = False

    def __call__(self, x: Tensor, y: Tensor, /) -> GapSnapshot | None:
        """Add the features of one step and return a snapshot on every `every`-th call, and an earlier first one.

        Parameters
        ----------
        x, y : Tensor of shape (n, d)
            Features of the two modalities. Row i of both is one pair.

        Returns
        -------
        GapSnapshot or None
            Snapshot of the recent batches, None between two snapshots. With `background`, a snapshot is returned by
            the first call after it is ready.

        Raises
        ------
        InputError
            If the features are no pairs, or their width changes within a window.
        """
        start = time.perf_counter()
        self._start = start if self._start is None else self._start
        self.step += 1
        snapshot = self._collect() if self._pending is not None and self._pending.done() else None
        if self._first_step is None:
            self._first_step = self._step_of_first_snapshot(x)
        is_in_window = (self.step - 1) % self.every >= self.every - self.window
        if is_in_window or self.step <= self._first_step:
            self._add(x, y)
            if self.step == self._first_step or self.step % self.every == 0:
                snapshot = self._compute() or snapshot
        self._seconds += time.perf_counter() - start
        return snapshot

    def evaluate(self, x: Tensor, y: Tensor, /, *, step: int | None = None) -> GapSnapshot | None:
        """Return and log the snapshot of these features alone, such as those of held-out pairs.

        Parameters
        ----------
        x, y : Tensor of shape (n, d)
            Features of the two modalities. Row i of both is one pair. Equal rows of a modality, such as an image that
            is repeated beside each of its captions, are one item, unless several processes add up their sums.
        step : int or None, default None
            Step under which the snapshot is logged, by default the next one.

        Returns
        -------
        GapSnapshot or None
            The snapshot, or None with a warning if the features are invalid. With `background`, the snapshot that
            was pending before.
        """
        self.step = self.step + 1 if step is None else step
        self._first_step, self._sums = 0, None
        self._add(x, y)
        return self._compute(None if dist.is_available() and dist.is_initialized() else (x, y))

    def flush(self) -> GapSnapshot | None:
        """Compute the snapshot of an incomplete window and wait for a snapshot that is computed in the background.

        Returns
        -------
        GapSnapshot or None
            The latest of these snapshots, None if there is none.
        """
        snapshot = self._collect()
        if self._sums is not None:
            snapshot = self._compute() or self._collect() or snapshot
        return snapshot

    @property
    def last(self) -> GapSnapshot | None:
        """Latest snapshot."""
        return self.snapshots[-1] if self.snapshots else None

    @property
    def history(self) -> GapHistory:
        """All snapshots as a table: `history.to_frame()`, `history.save(path)`."""
        return GapHistory(tuple(self.snapshots))

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the components of the cosine deficit over the steps.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw on. Default: new axes.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.

        Raises
        ------
        InputError
            If there is no snapshot yet.
        """
        return self.history.plot(ax=ax)

    @property
    def overhead(self) -> float:
        """Fraction of the time since the first call that was spent in the monitor.

        Work that the device does asynchronously is not counted. Raise `every` to reduce the fraction.
        """
        if self._start is None:
            return 0.0
        return self._seconds / max(time.perf_counter() - self._start, 1e-9)

    def _step_of_first_snapshot(self, x: Tensor) -> int:
        """Return the step at which there are enough pairs, or 0 if the regular window begins before it."""
        if not isinstance(x, Tensor) or x.ndim != 2 or not len(x):
            return 0  # the sums of the batch refuse these features
        count = torch.full((1,), len(x), device=x.device)
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(count)  # all processes take the first snapshot at the same step
        first_step = math.ceil(FIRST_PAIRS_PER_DIMENSION * x.shape[1] / int(count))
        return first_step if first_step <= self.every - self.window else 0

    def _compute(self, rows: tuple[Tensor, Tensor] | None = None) -> GapSnapshot | None:
        """Compute, or submit to the thread, the snapshot of the batches that were added, or of the items of these rows.

        The monitor adds up rows of training, which change with each step. Rows that repeat are found in `rows` alone.
        """
        sums, self._sums = self._sums, None
        assert sums is not None
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(sums)
        moments = moments_from_sums(sums, matmul_dtype=self._matmul_dtype)
        if not np.isfinite([moments.cos_sq, float(moments.xx.sum()), float(moments.yy.sum())]).all():
            self.warn(f"features hold NaN or infinite values in the batches up to step {self.step:,}: no snapshot")
            return None
        mean_squared_norm = min(float(np.trace(gram)) / moments.n for gram in (moments.xx, moments.yy))
        if mean_squared_norm < MIN_MEAN_SQUARED_NORM:
            zeros = f"{100 * (1 - mean_squared_norm):.1f} % of the features are all zeros"
            self.warn(f"{zeros} at step {self.step:,}: no snapshot")
            return None
        moments = moments if rows is None else moments_of_items(*rows) or moments
        if self._pool is None:
            return self._record(GapSnapshot.of(moments, step=self.step, names=self.names))
        earlier = self._collect()
        self._pending = self._pool.submit(GapSnapshot.of, moments, step=self.step, names=self.names)
        return earlier

    def _collect(self) -> GapSnapshot | None:
        """Wait for the pending snapshot and record it."""
        pending, self._pending = self._pending, None
        return None if pending is None else self._record(pending.result())

    def _record(self, snapshot: GapSnapshot) -> GapSnapshot:
        """Store, log and show a snapshot and warn of a collapse."""
        self.snapshots.append(snapshot)
        self.log(snapshot.to_dict(), snapshot.step)
        if self.show and not (dist.is_available() and dist.is_initialized() and dist.get_rank()):
            print(snapshot, file=sys.stderr)
        # Untrained encoders may spread over random directions, so that no fall is counted from the first snapshot.
        is_early = snapshot.step == self._first_step
        for message in self.detector.first_messages(snapshot) if is_early else self.detector(snapshot):
            self.warn(message)
        return snapshot

    def _add(self, x: Tensor, y: Tensor) -> None:
        """Add the sums of one batch."""
        sums = batch_sums(x, y)
        if not self._is_checked:
            self._is_checked = True
            lengths = non_unit_lengths(x, y)
            if lengths:
                self.warn(
                    f"got features of mean length {lengths[0]:.4g} and {lengths[1]:.4g}: the monitor divides rows by "
                    "their norms, and the losses of isthmus.train do not; use torch.nn.functional.normalize"
                )
        if self._sums is not None and sums.shape != self._sums.shape:
            raise InputError(
                f"got features of width {x.shape[1]} after features of another width; use one monitor for each width"
            )
        self._matmul_dtype = "float64" if x.dtype == y.dtype == torch.float64 else "float32"
        self._sums = sums if self._sums is None else self._sums.add_(sums)
