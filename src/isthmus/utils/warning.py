"""Warnings that belong to the thread that gives them, so that several threads may fit and collect theirs.

`warnings.catch_warnings` changes the filters of the whole process. Code that may run in a thread therefore warns with
`warn`, which a block of `collecting_warnings` or `without_warnings` in the same context catches.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

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


def is_dropped(category: type[Warning], /) -> bool:
    """Return whether the innermost open block that takes warnings of a category drops them.

    What only such a warning needs can then be left out.

    Parameters
    ----------
    category : type
        Class of the warnings.

    Returns
    -------
    bool
        True in a block of `without_warnings` of this category, unless a block inside it collects warnings.

    Examples
    --------
    >>> with without_warnings():
    ...     is_dropped(IsthmusWarning)
    True
    >>> is_dropped(IsthmusWarning)
    False
    """
    receivers = (
        r for r in reversed(_receivers.get()) if not isinstance(r, _Dropping) or issubclass(category, r.category)
    )
    return isinstance(next(receivers, None), _Dropping)


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
    with _receiving(_Dropping(category)):
        yield


@dataclass(frozen=True)
class _Dropping:
    """Takes the warnings of a category and drops them."""

    category: type[Warning]

    def __call__(self, message: str, category: type[Warning]) -> bool:
        return issubclass(category, self.category)


@contextmanager
def _receiving(receiver: _Receiver) -> Iterator[None]:
    token = _receivers.set((*_receivers.get(), receiver))
    try:
        yield
    finally:
        _receivers.reset(token)
