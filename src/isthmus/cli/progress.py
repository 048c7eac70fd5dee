"""Progress on standard error: a spinner and a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Called with the finished units, all units (None if unknown) and the name of the current stage.
ProgressCallback = Callable[[int, int | None, str], None]

#: The spinners that are running, innermost last.
_active_spinners: list[Any] = []


@contextmanager
def spinner(description: str, *, quiet: bool = False) -> Iterator[None]:
    """Show a spinner beside `description` while the block runs."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(description) as status:
        _active_spinners.append(status)
        try:
            yield
        finally:
            _active_spinners.remove(status)


def update_spinner(done: int, total: int, name: str) -> None:
    """Show the number of finished parts beside the innermost spinner."""
    if _active_spinners:
        _active_spinners[-1].update(f"{name}: {done:,} of {total:,} parts")


@contextmanager
def progress_bar(description: str, *, quiet: bool) -> Iterator[ProgressCallback | None]:
    """Yield a callback that moves a progress bar, or None if no bar is shown."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=None)

        def update(done: int, total: int | None, name: str) -> None:
            progress.update(task, completed=done, total=total, description=f"{description}: {name}")

        yield update
