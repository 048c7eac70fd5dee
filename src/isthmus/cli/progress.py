"""Progress on standard error: a bar for each stage on a terminal, one line for each stage elsewhere, and a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from isthmus.utils.errors import InputError
from isthmus.utils.progress import ProgressCallback, listening
from isthmus.utils.version import __version__

#: --quiet hides everything, and --verbose shows every step.
_is_quiet, _is_verbose = False, False
#: Text of the bar while files are opened.
OPENING = "opening the files"
#: Characters of the bar, and of the per cent and the times with their spaces.
BAR_WIDTH, TIMES_WIDTH = 20, 26
#: Steps of a stage that the log shows.
MAX_STEPS = 200


def set_detail(*, is_quiet: bool, is_verbose: bool) -> None:
    """Show progress and warnings, neither, or a log of every step.

    Raises
    ------
    InputError
        If both are asked for.
    """
    global _is_quiet, _is_verbose
    if is_quiet and is_verbose:
        raise InputError("got --quiet and --verbose, expected one of them")
    _is_quiet, _is_verbose = is_quiet, is_verbose


def is_quiet() -> bool:
    """Return whether progress and warnings are hidden."""
    return _is_quiet


#: The display of this moment, None if nothing is shown.
_display: ContextVar[_Lines | _Log | _Bar | None] = ContextVar("display", default=None)


def describe(description: str, /) -> None:
    """End the stage, and show on the bar what is done until the next one is reported.

    Parameters
    ----------
    description : str
        What is done, such as 'measuring 3,000 pairs'.
    """
    display = _display.get()
    if display is not None:
        display.describe(description)


@contextmanager
def stages(description: str, *, quiet: bool = False) -> Iterator[ProgressCallback | None]:
    """Show the stages of the work in the block, and yield a callback for work that tells its progress itself.

    Parameters
    ----------
    description : str
        What the verb does, shown until the first stage is told.
    quiet : bool, default False
        Whether nothing is shown, as with --json.

    Yields
    ------
    callable or None
        Called with the finished units, all units (None if unknown) and a detail. None if nothing is shown.
    """
    if quiet or _is_quiet:
        yield None
        return
    display = _Log() if _is_verbose else _Bar(description) if sys.stderr.isatty() else _Lines()
    token = _display.set(display)
    try:
        with listening(display):
            yield lambda done, total, detail: display(done, total, description, detail)
        display.finish()
    finally:
        _display.reset(token)
        display.close()


class WorkNoted:
    """A callback of progress that notes whether there was work. Work that an earlier call finished calls it never.

    Parameters
    ----------
    update : callable or None
        Callback that receives the calls.
    """

    def __init__(self, update: Callable[..., None] | None) -> None:
        self.update, self.was_called = update, False

    def __call__(self, *progress: Any) -> None:
        """Pass the progress on."""
        self.was_called = True
        if self.update is not None:
            self.update(*progress)


def shortened(text: str, width: int, /) -> str:
    """Return a text of at most this many characters.

    >>> shortened("training: InfoNCE", 11), shortened("training", 11)
    ('training: …', 'training')
    """
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


class _Lines:
    """One line for each stage, with its duration, when it has ended."""

    def __init__(self) -> None:
        self.stage: str | None = None
        self.start = time.monotonic()

    def __call__(self, _done: int, _total: int | None, stage: str, _detail: str = "") -> None:
        if stage != self.stage:
            self.finish()
            self.stage, self.start = stage, time.monotonic()

    def describe(self, _description: str) -> None:
        """Write the line of the stage that has ended."""
        self.finish()

    def finish(self) -> None:
        """Write the line of the stage that has ended."""
        if self.stage is not None:
            print(f"isthmus: {self.stage}: {time.monotonic() - self.start:.1f} s", file=sys.stderr)
        self.stage = None

    def close(self) -> None:
        """Do nothing: a stage that failed has no line."""


class _Log:
    """A line for each step with the seconds since the start, and the resources that were used at the end."""

    def __init__(self) -> None:
        import platform

        from isthmus.compute.resources import n_threads

        self.start, self.processor_start = time.monotonic(), time.process_time()
        self.steps: dict[str, set[str]] = {}
        threads, library = n_threads(), sys.modules["numpy"].__version__
        number = "1 thread" if threads == 1 else f"{threads} threads"
        self._write(f"isthmus {__version__}, Python {platform.python_version()}, NumPy {library}, {number}")

    def __call__(self, done: int, total: int | None, stage: str, detail: str = "") -> None:
        steps = self.steps.setdefault(stage, set())
        if detail in steps or len(steps) > MAX_STEPS:
            return
        steps.add(detail)
        count = f" {done:,}/{total:,}" if total else ""
        self._write(f"{stage}{count}{': ' if detail else ''}{detail}")

    def describe(self, _description: str) -> None:
        """Do nothing: the log shows each step."""

    def finish(self) -> None:
        """Write the processor time and the memory."""
        used = f"{time.process_time() - self.processor_start:.1f} s of processor time"
        try:
            import resource
        except ImportError:  # not on Windows
            memory = ""
        else:
            unit = 1 if sys.platform == "darwin" else 1024
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
            memory = f", {peak / 1e6:,.0f} MB of memory at most"
        self._write(f"finished: {used}{memory}")

    def close(self) -> None:
        """Do nothing: lines stay."""

    def _write(self, text: str) -> None:
        print(f"isthmus: {time.monotonic() - self.start:6.2f} s  {text}", file=sys.stderr)


class _Bar:
    """A bar of rich with the stage, per cent, elapsed and remaining time."""

    def __init__(self, description: str) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns: tuple[Any, ...] = (
            TextColumn("{task.description}", markup=False), BarColumn(BAR_WIDTH), TaskProgressColumn(),
            TimeElapsedColumn(), TimeRemainingColumn(),
        )  # fmt: skip
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.progress.start()
        self.stage = description
        self.total: int | None = None
        self.task = self.progress.add_task(description, total=None)

    def __call__(self, done: int, total: int | None, stage: str, detail: str = "") -> None:
        # A stage that counts on from the last one, like each experiment of many, keeps the times of all of them.
        if stage != self.stage and not (done and total == self.total):
            self.progress.reset(self.task, description=stage, total=total)
        self.stage, self.total = stage, total
        width = self.progress.console.width - BAR_WIDTH - TIMES_WIDTH
        text = shortened(f"{stage}: {detail}" if detail else stage, width)
        self.progress.update(self.task, completed=done, total=total, description=text)

    def describe(self, description: str) -> None:
        """Show what is done, without per cent."""
        self(0, None, description)

    def finish(self) -> None:
        """Do nothing: the bar disappears when it is closed."""

    def close(self) -> None:
        """Remove the bar."""
        self.progress.stop()
