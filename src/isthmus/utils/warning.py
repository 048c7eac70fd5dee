"""Warnings that belong to the thread that gives them, so that several threads may fit and collect theirs.

`warnings.catch_warnings` changes the filters of the whole process. Code that may run in a thread therefore warns with
`warn`, which a block of `collecting_warnings` or `without_warnings` in the same context catches.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from isthmus.utils.errors import IsthmusWarning

#: Called with a message and its category. Returns whether it takes the warning.
_Receiver = Callable[[str, type[Warning]], bool]

#: Receivers of the open blocks of this context, the innermost last.
_receivers: ContextVar[tuple[_Receiver, ...]] = ContextVar("receivers of warnings", default=())


def warn(message: str, category: type[Warning] = IsthmusWarning, /, *, stacklevel: int = 2) -> None:
    """Give a warning to the innermost open block of this context that takes it, else to Python.

    Parameters
    ----------
    message : str
        The sentence.
    category : type, default IsthmusWarning
        Class of the warning.
    stacklevel : int, default 2
        Stack level as in `warnings.warn`. 2 is the caller of the function that warns.

    Examples
    --------
    >>> with collecting_warnings() as collected:
    ...     warn("few pairs")
    >>> [message for message, category in collected]
    ['few pairs']
    """
    for receiver in reversed(_receivers.get()):
        if receiver(message, category):
            return
    warnings.warn(message, category, stacklevel=stacklevel + 1)


@contextmanager
def collecting_warnings() -> Iterator[list[tuple[str, type[Warning]]]]:
    """Collect the warnings that `warn` gives in the block, in this thread and in the threads that it starts.

    Yields
    ------
    list of tuple
        Message and category of each warning, in order.
    """
    collected: list[tuple[str, type[Warning]]] = []

    def receive(message: str, category: type[Warning]) -> bool:
        collected.append((message, category))
        return True

    with _receiving(receive):
        yield collected


@contextmanager
def without_warnings(category: type[Warning] = IsthmusWarning, /) -> Iterator[None]:
    """Drop the warnings of a category that `warn` gives in the block.

    Parameters
    ----------
    category : type, default IsthmusWarning
        Class of the warnings.

    Yields
    ------
    None
        Nothing.

    Examples
    --------
    >>> with without_warnings():
    ...     warn("few pairs")
    """
    with _receiving(lambda _, given: issubclass(given, category)):
        yield


@contextmanager
def _receiving(receiver: _Receiver) -> Iterator[None]:
    token = _receivers.set((*_receivers.get(), receiver))
    try:
        yield
    finally:
        _receivers.reset(token)
