"""Observe the fitted aligners of a comparison while it runs, so that a caller need not fit them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from isthmus.align import Aligner
from isthmus.data.pairs import Pairs

#: Called with the number of the split, the test items among those that are compared, their pairs, and the aligner.
FitObserver = Callable[[int, np.ndarray, Pairs, Aligner], None]

_observer: ContextVar[FitObserver | None] = ContextVar("observer of the fits of a comparison", default=None)


@contextmanager
def observing_fits(observer: FitObserver) -> Iterator[None]:
    """Call `observer` for each aligner that `compare` fits in this block. Workers of a cluster are not observed.

    Parameters
    ----------
    observer : callable
        Function of the number of the split, the test items, their pairs, and the fitted aligner.

    Yields
    ------
    None
        Nothing.

    Examples
    --------
    >>> import isthmus
    >>> pairs, names = isthmus.demo.load("plain", split="test"), []
    >>> with observing_fits(lambda split, items, test, fitted: names.append(type(fitted).__name__)):
    ...     table = isthmus.compare(pairs, aligners=["Centering"], tasks=["retrieval"], splits=1)
    >>> names
    ['Identity', 'Centering']
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def observe_fit(split: int, test_items: np.ndarray, test: Pairs, fitted: Aligner, /) -> None:
    """Pass a fitted aligner to the observer, if there is one."""
    observer = _observer.get()
    if observer is not None:
        observer(split, test_items, test, fitted)
