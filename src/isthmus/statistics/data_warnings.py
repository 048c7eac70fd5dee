"""Warnings about degenerate data, and about rows that do not match, in the words of `measure`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakSet

from isthmus.data.pairs import Pairs
from isthmus.statistics.pairing import judge_pairing
from isthmus.utils.errors import IsthmusWarning
from isthmus.utils.warning import warn

#: Pairs whose remarks were stated, in a warning or in a verdict.
_STATED: WeakSet[Pairs] = WeakSet()
#: True in a block of `without_data_warnings`, and in the threads that it starts.
_is_silent: ContextVar[bool] = ContextVar("data are not judged", default=False)


def warn_of_data(
    pairs: Pairs,
    /,
    *,
    rotated: bool = True,
    kinds: Collection[str] | None = None,
    named: bool = False,
    stacklevel: int = 3,
) -> None:
    """Warn once of each way in which pairs are degenerate or do not match.

    Parameters
    ----------
    pairs : Pairs
        The pairs. Nothing happens if their remarks were stated before.
    rotated : bool, default True
        Whether matching rows of two different spaces count. A map that is fitted to pairs may align them.
    kinds : collection of str, optional
        Kinds of degenerate data that count. Default: all.
    named : bool, default False
        Whether the warnings begin with the names of the modalities, where there are more than two.
    stacklevel : int, default 3
        Stack level of the warnings. 3 is the caller of the function that calls this one.

    Warns
    -----
    IsthmusWarning
        One for each remark of `judge_pairing`.

    Examples
    --------
    >>> import numpy as np, warnings
    >>> rows = np.random.default_rng(0).normal(size=(20, 4))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_of_data(Pairs(image=np.ones((20, 4)), text=rows))
    >>> str(caught[0].message)
    'All rows of image are the same.'
    """
    if not has_unstated_remarks(pairs):
        return
    pairing = judge_pairing(pairs)
    if pairing.kind == "rotated" and not rotated:
        return
    _STATED.add(pairs)
    for remark in pairing.remarks(kinds):
        message = f"{' and '.join(pairs.names)}: {remark[0].lower()}{remark[1:]}" if named else remark
        warn(message, IsthmusWarning, stacklevel=stacklevel)


def has_unstated_remarks(pairs: Pairs, /) -> bool:
    """Return whether `warn_of_data` would judge these pairs."""
    return not _is_silent.get() and pairs not in _STATED


def state_remarks(pairs: Pairs, /) -> None:
    """Record that a result states the remarks about these pairs, so that no warning repeats them."""
    _STATED.add(pairs)


@contextmanager
def without_data_warnings() -> Iterator[None]:
    """Do not judge data inside of the block, such as the halves of pairs that were judged as a whole."""
    token = _is_silent.set(True)
    try:
        yield
    finally:
        _is_silent.reset(token)
