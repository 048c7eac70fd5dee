"""Stages of long work, told to whoever listens: the command line shows them, and the library alone is silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Called with the finished units, all units (None if unknown) and the name of the stage or of the unit.
ProgressCallback = Callable[[int, int | None, str], None]
#: Called with the finished units, all units (None if unknown), the name of the stage, and a detail.
Listener = Callable[[int, int | None, str, str], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def report_progress(done: int, total: int | None, stage: str, detail: str = "", /) -> None:
    """Tell the listener of this context, if there is one, how far a stage is.

    Parameters
    ----------
    done : int
        Finished units.
    total : int or None
        All units, None if unknown.
    stage : str
        Name of the stage.
    detail : str, default ''
        What is done at the moment.

    Examples
    --------
    >>> with listening(lambda done, total, stage, detail: print(stage, done, "of", total)):
    ...     report_progress(1, 2, "measuring")
    measuring 1 of 2
    """
    listener = _listener.get()
    if listener is not None:
        listener(done, total, stage, detail)


@contextmanager
def listening(listener: Listener | None, /) -> Iterator[None]:
    """Send the progress of the block to a listener.

    Parameters
    ----------
    listener : callable or None
        Called as listener(done, total, stage, detail). None: the block is silent.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
