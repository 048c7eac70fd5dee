"""Progress on standard error: a bar for each stage on a terminal, one line for each stage elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from isthmus.utils.progress import ProgressCallback, listening

#: --quiet hides everything.
_is_quiet = False


def set_quiet(is_quiet: bool) -> None:
    """Show progress and warnings, or neither."""
    global _is_quiet  # noqa: PLW0603 (one flag of one process, set by the command line)
    _is_quiet = is_quiet


def is_quiet() -> bool:
    """Return whether progress and warnings are hidden."""
    return _is_quiet


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
    display = _Bar(description) if sys.stderr.isatty() else _Lines()
    try:
        with listening(display):
            yield lambda done, total, detail: display(done, total, description, detail)
        display.finish()
    finally:
        display.close()


class _Lines:
    """One line for each stage, with its duration, when it has ended."""

    def __init__(self) -> None:
        self.stage: str | None = None
        self.start = time.monotonic()

    def __call__(self, _done: int, _total: int | None, stage: str, _detail: str = "") -> None:
        if stage != self.stage:
            self.finish()
            self.stage, self.start = stage, time.monotonic()

    def finish(self) -> None:
        """Write the line of the stage that has ended."""
        if self.stage is not None:
            print(f"isthmus: {self.stage}: {time.monotonic() - self.start:.1f} s", file=sys.stderr)
        self.stage = None

    def close(self) -> None:
        """Do nothing: a stage that failed has no line."""


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
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(),
        )  # fmt: skip
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.progress.start()
        self.stage = description
        self.task = self.progress.add_task(description, total=None)

    def __call__(self, done: int, total: int | None, stage: str, detail: str = "") -> None:
        if stage != self.stage:
            self.stage = stage
            self.progress.reset(self.task, description=stage, total=total)
        text = f"{stage}: {detail}" if detail else stage
        self.progress.update(self.task, completed=done, total=total, description=text)

    def finish(self) -> None:
        """Do nothing: the bar disappears when it is closed."""

    def close(self) -> None:
        """Remove the bar."""
        self.progress.stop()
