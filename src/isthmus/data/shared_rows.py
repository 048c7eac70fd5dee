"""Samples and unit rows that the steps of one run share, so that each is drawn and read once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from isthmus.compute.arrays import Array, InvalidRowsError, RowNormalizer, compute_dtype
from isthmus.data.invalid_rows import invalid_rows_error
from isthmus.data.sources import Source

#: Values of both modalities together up to which unit rows are kept: 10,000 pairs of width 1,600.
MAX_VALUES = 2**25

T = TypeVar("T")

_LOCK = threading.Lock()


class _Results:
    """Results of some pairs by key. One thread computes them, and others wait."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.values: dict[Hashable, Any] = {}


#: The results of the current run, as long as the pairs exist that they were computed from.
_shared: ContextVar[WeakKeyDictionary[Any, _Results] | None] = ContextVar("rows that a run shares", default=None)


@contextmanager
def sharing_rows() -> Iterator[None]:
    """Keep the samples and the unit rows of pairs until the end of the block, also those of blocks inside it.

    Yields
    ------
    None
        Nothing. Equal samples of the same pairs are one object in this block, and their rows cannot be written.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("plain")
    >>> with sharing_rows():
    ...     pairs.sample(50) is pairs.sample(50)
    True
    >>> pairs.sample(50) is pairs.sample(50)
    False
    """
    if _shared.get() is not None:
        yield
        return
    token = _shared.set(WeakKeyDictionary())
    try:
        yield
    finally:
        _shared.reset(token)


def computed_once(pairs: Any, key: Hashable, compute: Callable[[], T], /) -> T:
    """Return `compute()`, computed once for these pairs and this key in a block of `sharing_rows`.

    Parameters
    ----------
    pairs : Pairs
        The pairs that the result is computed from.
    key : hashable
        Name of the result with its options.
    compute : callable
        Returns the result, which must not refer to `pairs`.

    Returns
    -------
    object
        The result.
    """
    shared = _shared.get()
    if shared is None:
        return compute()
    with _LOCK:
        results = shared.setdefault(pairs, _Results())
    with results.lock:
        if key not in results.values:
            results.values[key] = compute()
        value: T = results.values[key]
        return value


def sampled_items(units: np.ndarray, n_items: int, /, *, rng: Any = 0) -> np.ndarray:
    """Return the items of a random sample of units, which are items or groups of items.

    Parameters
    ----------
    units : array of shape (n,)
        Number of the unit of each item, from 0.
    n_items : int
        Largest number of units.
    rng : int or numpy.random.Generator
        Seed or generator. Default: 0.

    Returns
    -------
    numpy.ndarray
        Numbers of the items, ascending. All items if they have no more units.

    Examples
    --------
    >>> sampled_items(np.array([0, 1, 2]), 3).tolist(), len(sampled_items(np.arange(9), 3))
    ([0, 1, 2], 3)
    """
    count = int(units.max(initial=-1)) + 1
    if count <= n_items:
        return np.arange(len(units))
    is_drawn = np.zeros(count, dtype=bool)
    is_drawn[np.random.default_rng(rng).choice(count, size=n_items, replace=False)] = True
    return np.flatnonzero(is_drawn[units])


def unit_rows(pairs: Any, x: Source, y: Source, *, normalize: bool) -> tuple[Array, Array]:
    """Return all rows of x and y of `pairs` in memory, divided by their norms if `normalize`.

    Parameters
    ----------
    pairs : Pairs
        The pairs that the rows belong to. Rows that a run shares are kept for them.
    x, y : Source
        Their rows.
    normalize : bool
        Whether rows are divided by their norms.

    Returns
    -------
    x, y : array
        Rows, float32, or float64 if the data are.

    Raises
    ------
    InputError
        If a row has NaN or infinite values, or is all zero.
    """

    def read() -> tuple[Array, Array]:
        modalities = []
        for source in (x, y):
            normalizer = RowNormalizer(compute_dtype(source.dtype), normalize=normalize)
            try:
                modalities.append(normalizer(source.read(0, source.shape[0])))
            except InvalidRowsError:
                raise invalid_rows_error(x, y) from None
        return modalities[0], modalities[1]

    if _shared.get() is None or sum(source.shape[0] * source.shape[1] for source in (x, y)) > MAX_VALUES:
        return read()
    first, second = computed_once(pairs, ("unit rows", normalize), lambda: tuple(map(_read_only, read())))
    return first, second


def _read_only(rows: Array) -> Array:
    """Return the same rows as an array that cannot be written, if they are a NumPy array."""
    if not isinstance(rows, np.ndarray):
        return rows
    view = rows.view()
    view.flags.writeable = False
    return view
