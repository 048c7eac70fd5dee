"""End the process soon after Ctrl-C, also while a long product or decomposition keeps the main thread."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

#: Exit code of a program that Ctrl-C ends.
INTERRUPTED = 130
#: Seconds that the main thread has to end by itself after Ctrl-C.
GRACE = 0.5

#: Temporary files and folders that exist at the moment.
_temporary: set[Path] = set()


@contextmanager
def removed_on_exit(path: Path, /) -> Iterator[None]:
    """Remove a temporary file or folder if Ctrl-C ends the process while the block runs.

    Parameters
    ----------
    path : Path
        The file or folder.

    Yields
    ------
    None
        Nothing.
    """
    _temporary.add(path)
    try:
        yield
    finally:
        _temporary.discard(path)


def exit_now() -> NoReturn:
    """Remove the temporary files and end the process, without waiting for any thread."""
    import shutil  # not at the top, because it takes longer to import than `isthmus --version` takes

    for path in list(_temporary):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(INTERRUPTED)


def exit_at_interrupt() -> None:
    """Let Ctrl-C end the process at once, from now until the process ends.

    It is for the program, not for the library. It covers the loading of modules and the end of the interpreter, where a
    `KeyboardInterrupt` would be printed with its traceback, or be turned into an error of an import. Outside of the
    main thread, or where Ctrl-C is ignored, nothing changes.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit_at_once)


def _exit_at_once(_number: int, _frame: FrameType | None) -> None:
    exit_now()


@contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """End the process after Ctrl-C even if the main thread does not react within half a second.

    Python raises `KeyboardInterrupt` in the main thread between two of its instructions, and a decomposition is one
    instruction that may take seconds. Another thread therefore waits for the signal. The block must run in the main
    thread. Otherwise, or where Ctrl-C is ignored, nothing changes.

    Yields
    ------
    None
        Nothing.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block after Ctrl-C, because an import may turn the interrupt into another error.
    """
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    if not is_main or handler not in (signal.default_int_handler, _exit_at_once):
        yield
        return
    was_interrupted = threading.Event()
    hook = sys.unraisablehook

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        was_interrupted.set()
        sys.unraisablehook = lambda _: None  # an interrupt in a destructor is printed there with its traceback
        raise KeyboardInterrupt

    with _watched():
        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
            sys.unraisablehook = hook
            if was_interrupted.is_set():
                raise KeyboardInterrupt


@contextmanager
def _watched() -> Iterator[None]:
    """End the process from another thread if the main thread is still in the block some time after Ctrl-C."""
    if os.name == "nt":  # the number of a signal can be written to sockets only
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    has_ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(reader, has_ended), name="interrupts", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        has_ended.set()
        signal.set_wakeup_fd(previous)
        os.close(writer)


def _watch(reader: int, has_ended: threading.Event) -> None:
    """Wait for the number of a signal, and then for the end of the block. An empty read is the end of the block."""
    with os.fdopen(reader, "rb", buffering=0) as signals:
        while number := signals.read(1):
            if number[0] == signal.SIGINT and not has_ended.wait(GRACE):
                exit_now()
