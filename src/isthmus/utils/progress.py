"""Stages of long work, told to whoever listens: the command line shows them, and the library alone is silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Called with the finished units, all units (None if unknown) and the name of the stage or of the unit.
ProgressCallback = Callable[[int, int | None, str], None]
#: Called with the finished units, all units (None if unknown), the name of the stage, and a detail.
Listener = Callable[[int, int | None, str, str], None]

#: Stage of the figures and the text of a page.
DRAWING = "drawing the page"

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
def as_steps_of(stage: str, state: Callable[[], tuple[int, int | None, str]], /) -> Iterator[None]:
    """Report the stages of the block as steps of one stage.

    Parameters
    ----------
    stage : str
        Name of the one stage. Its own reports stay as they are.
    state : callable
        Returns the finished units of this stage, all units, and the name of the unit that is under way.

    Examples
    --------
    >>> with listening(lambda done, total, stage, detail: print(f"{stage} {done}/{total}: {detail}")):
    ...     with as_steps_of("comparing", lambda: (1, 4, "Centering")):
    ...         report_progress(0, 3, "index", "corpus 1 of 3")
    comparing 1/4: Centering, index corpus 1 of 3
    """
    outer = _listener.get()

    def step(done: int, total: int | None, inner: str, detail: str) -> None:
        if outer is not None and inner == stage:
            outer(done, total, stage, detail)
        elif outer is not None:
            finished, everything, unit = state()
            outer(finished, everything, stage, f"{unit}, {inner} {detail}".rstrip())

    with listening(None if outer is None else step):
        yield


@contextmanager
def as_stages_of(unit: str, /) -> Iterator[None]:
    """Report the stages of the block with the name of the unit that they work on.

    Parameters
    ----------
    unit : str
        Name of the unit, which follows the name of each stage.

    Examples
    --------
    >>> with listening(lambda done, total, stage, detail: print(f"{stage} {done}/{total}")):
    ...     with as_stages_of("image and text"):
    ...         report_progress(1, 2, "measuring")
    measuring image and text 1/2
    """
    outer = _listener.get()

    def named(done: int, total: int | None, stage: str, detail: str) -> None:
        if outer is not None:
            outer(done, total, f"{stage} {unit}", detail)

    with listening(None if outer is None else named):
        yield


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
