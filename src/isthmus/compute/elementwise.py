"""Functions of every score of a tile, as fast as NumPy computes them on this processor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

#: Entries of the buffer of NumPy while rows of at least this length are computed.
BUFFER = 512


def scaled_exp(values: np.ndarray, factor: float, out: np.ndarray) -> np.ndarray:
    """Return exp(factor * values), computed in `out`.

    Parameters
    ----------
    values : array of float32 or float64
        The values.
    factor : float
        The factor.
    out : array
        Where the result is stored. It may be `values`.

    Returns
    -------
    array
        `out`.

    Examples
    --------
    >>> values = np.array([0.0, 1.0])
    >>> scaled_exp(values, -1, out=values).round(3).tolist()
    [1.0, 0.368]
    """
    return exp_scaled(np.multiply(values, exponent_scale(factor), out=out), out)


def exponent_scale(factor: float) -> float:
    """Return the number by which values are multiplied before `exp_scaled` gives exp(factor * values).

    >>> exponent_scale(-1) < 0
    True
    """
    return factor / math.log(2) if has_fast_exp2() else factor


def exp_scaled(exponents: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Return the exponential of scaled exponents, see `exponent_scale`.

    >>> exponents = np.array([0.0, 1.0]) * exponent_scale(-1)
    >>> exp_scaled(exponents, out=exponents).round(3).tolist()
    [1.0, 0.368]
    """
    return (np.exp2 if has_fast_exp2() else np.exp)(exponents, out=out)


@cache
def has_fast_exp2() -> bool:
    """Return True if NumPy has vector instructions for powers of 2, which then cost half of an exponential."""
    introspect: Any = getattr(np.lib, "introspect", None)  # since NumPy 2.0
    if introspect is None:
        return False
    targets = introspect.opt_func_info(func_name="^exp2$").get("exp2", {}).values()
    return bool(targets) and not any(str(target["current"]).startswith("baseline") for target in targets)


@contextmanager
def small_buffer(table: np.ndarray) -> Iterator[None]:
    """Let NumPy take the operands of long rows from where they are.

    It copies an operand that is the same for a row, or for all rows, into its buffer row by row if a row is shorter
    than the buffer. This takes as long as the computation.

    >>> with small_buffer(np.zeros((2, BUFFER))):
    ...     np.getbufsize()
    512
    """
    if table.shape[1] < BUFFER:
        yield
        return
    size = np.setbufsize(BUFFER)
    try:
        yield
    finally:
        np.setbufsize(size)


def add_outer_sum(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Add rows[i] + columns[j] to every entry of a table in place.

    Parameters
    ----------
    table : (n, m) array of float32 or float64
        The table.
    rows : (n,) array
        What is added to each row.
    columns : (m,) array
        What is added to each column.

    Returns
    -------
    (n, m) array
        `table`.

    Examples
    --------
    >>> add_outer_sum(np.zeros((2, 3)), np.array([10.0, 20.0]), np.arange(3.0)).tolist()
    [[10.0, 11.0, 12.0], [20.0, 21.0, 22.0]]
    """
    with small_buffer(table):
        table += rows[:, None]
        table += columns
    return table


def ordered_bits(patterns: np.ndarray) -> np.ndarray:
    """Return the bits of floating-point numbers as integers of the same order. Applied twice, it changes nothing.

    Parameters
    ----------
    patterns : array of int32 or int64
        Bits of float32 or float64.

    Returns
    -------
    array
        Integers of the same type.

    Examples
    --------
    >>> ordered_bits(np.array([-2.0, -1.0, 0.0, 3.0]).view(np.int64)).argsort().tolist()
    [0, 1, 2, 3]
    """
    ordered: np.ndarray = patterns ^ ((patterns >> (8 * patterns.itemsize - 1)) & np.iinfo(patterns.dtype).max)
    return ordered
