"""Checks of the types and values of arguments, with one message for each kind of argument."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

from isthmus.utils.errors import InputError

#: Characters of a value that a message shows.
MAX_SHOWN = 40


def shown(value: Any, /) -> str:
    """Return a value as a message shows it, or its type if it is long.

    Parameters
    ----------
    value : object
        Value of an argument.

    Returns
    -------
    str
        Its representation in one line, or 'a list'.

    Examples
    --------
    >>> shown(0.5), shown("a"), shown(list(range(100)))
    ('0.5', "'a'", 'a list')
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= MAX_SHOWN and " object at 0x" not in text else type_of(value)


def type_of(value: Any, /) -> str:
    """Return the name of the type of a value with its article.

    Parameters
    ----------
    value : object
        Value of an argument.

    Returns
    -------
    str
        The name.

    Examples
    --------
    >>> type_of(3), type_of([])
    ('an int', 'a list')
    """
    kind = type(value).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def check_count(value: Any, name: str, /, low: int = 1) -> int:
    """Return a whole number of `low` or more.

    Parameters
    ----------
    value : int or float
        The number. A float must be whole, as 1e4 is.
    name : str
        Name of the argument, for the message.
    low : int, default 1
        Smallest number that is accepted.

    Returns
    -------
    int
        The number.

    Raises
    ------
    InputError
        If it is no whole number, or smaller.

    Examples
    --------
    >>> check_count(1e4, "sample")
    10000
    """
    if _is_bool(value) or not isinstance(value, numbers.Real) or not float(value).is_integer() or value < low:
        raise InputError(f"{name}={shown(value)}, expected a whole number of {low} or more")
    number: Any = value
    return int(number)


def check_seed(value: Any, /) -> None:
    """Raise `InputError` for an `rng` that is no whole number of 0 or more.

    Parameters
    ----------
    value : int
        Seed.

    Examples
    --------
    >>> check_seed(0)
    """
    if _is_bool(value) or not isinstance(value, numbers.Integral) or int(value) < 0:
        raise InputError(f"rng={shown(value)}, expected a whole number of 0 or more")


def check_callable(value: Any, name: str, /) -> None:
    """Raise `InputError` for a callback that is neither None nor a function.

    Parameters
    ----------
    value : callable or None
        The callback.
    name : str
        Name of the argument, for the message.

    Examples
    --------
    >>> check_callable(print, "progress")
    """
    if value is not None and not callable(value):
        raise InputError(f"{name}={shown(value)}, expected a function")


def check_number(value: Any, name: str, expected: str, /, low: float = -math.inf, high: float = math.inf) -> float:
    """Return a number between two others, without them.

    Parameters
    ----------
    value : float
        The number.
    name : str
        Name of the argument, for the message.
    expected : str
        What is accepted, such as 'a positive number, such as 0.07'.
    low, high : float
        The number is larger than `low` and smaller than `high`.

    Returns
    -------
    float
        The number.

    Raises
    ------
    InputError
        If it is no number, NaN, or not between both.

    Examples
    --------
    >>> check_number(0.5, "share", "a share between 0 and 1", 0, 1)
    0.5
    """
    if _is_bool(value) or not isinstance(value, numbers.Real) or not low < float(value) < high:
        raise InputError(f"{name}={shown(value)}, expected {expected}")
    return float(value)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def list_of_names(value: Any, name: str, /) -> list[str]:
    """Return names that are given as a list, or as text with commas.

    Parameters
    ----------
    value : str or iterable of str
        The names.
    name : str
        Name of the argument, for the message.

    Returns
    -------
    list of str
        The names, without spaces around them.

    Raises
    ------
    InputError
        If something else is given.

    Examples
    --------
    >>> list_of_names("retrieval, mixed_search", "tasks")
    ['retrieval', 'mixed_search']
    """
    listed = value.split(",") if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [value]
    if isinstance(value, bytes) or not all(isinstance(entry, str) for entry in listed):
        raise InputError(f"{name}={shown(value)}, expected a list of names, or one text with commas")
    return [entry.strip() for entry in listed]


def check_flags(**flags: Any) -> None:
    """Raise `InputError` for flags that are not True or False.

    Parameters
    ----------
    **flags : bool
        Values by the name of the argument.

    Examples
    --------
    >>> check_flags(normalize=True)
    """
    for name, value in flags.items():
        is_flag = type(value).__name__ in ("bool", "bool_") or (isinstance(value, numbers.Real) and value in (0, 1))
        if not is_flag:
            raise InputError(f"{name}={shown(value)}, expected True or False")
