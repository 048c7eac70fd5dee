"""Functions of every score of a tile, as fast as NumPy and BLAS compute them on this processor."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np


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


def add_outer_sum(table: np.ndarray, rows: np.ndarray, columns: np.ndarray, *, scale: float = 1) -> np.ndarray:
    """Add rows[i] + columns[j] to every entry of a table in place, in half the time of two additions of NumPy.

    Parameters
    ----------
    table : (n, m) array of float32 or float64
        The table, C-ordered.
    rows : (n,) array
        What is added to each row.
    columns : (m,) array
        What is added to each column.
    scale : float, default 1
        Factor by which the entries are multiplied before.

    Returns
    -------
    (n, m) array
        `table`.

    Examples
    --------
    >>> add_outer_sum(np.zeros((2, 3)), np.array([10.0, 20.0]), np.arange(3.0)).tolist()
    [[10.0, 11.0, 12.0], [20.0, 21.0, 22.0]]
    """
    product = scipy_products()[table.dtype]
    column_terms = np.stack([columns, np.ones_like(columns)]).astype(table.dtype, copy=False)
    row_terms = np.stack([np.ones_like(rows), rows]).astype(table.dtype, copy=False)
    product(1, column_terms.T, row_terms.T, trans_b=True, beta=scale, c=table.T, overwrite_c=True)
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


@cache
def scipy_products() -> dict[np.dtype, Any]:
    """Return SciPy's matrix products, which add to a table, by dtype.

    SciPy has a BLAS of its own. Call this before the threads of a computation begin: `blas_limited` limits the
    libraries that are loaded when it begins.
    """
    from scipy.linalg.blas import dgemm, sgemm  # imported late: a tenth of a second

    return {np.dtype(np.float32): sgemm, np.dtype(np.float64): dgemm}
