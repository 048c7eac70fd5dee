"""Checks of arguments and small functions that several bounds share."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from isthmus.compute.arrays import Array
from isthmus.linalg.bessel import bessel_ratio
from isthmus.utils.arguments import shown
from isthmus.utils.errors import InputError


def inverse_temperature(temperature: float) -> float:
    """Return 1 / temperature, or raise `InputError`."""
    if not (isinstance(temperature, int | float | np.floating) and 1e-6 <= temperature < math.inf):
        raise InputError(f"temperature {temperature!r}, expected a number of at least 1e-6")
    return 1.0 / temperature


def cosine_of(angle: float) -> float:
    """Return the cosine of an angle in degrees, 0 to 180, or raise `InputError`."""
    check_within("angle", angle, 0.0, 180.0)
    return math.cos(math.radians(angle))


def check_within(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    """Raise `InputError` if `value` is no number in [low, high], or no whole one if `whole`."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or (whole and value != math.floor(value)):
        given, kind = f"{value:g}" if is_number else shown(value), "a whole number" if whole else "a number"
        raise InputError(f"{name} = {given}, expected {kind} in [{low:g}, {high:g}]")


def sphere_ratio(dim: int, k: float) -> float:
    """Return the mean resultant length at concentration k in R^dim, tanh(k) in one dimension."""
    return math.tanh(k) if dim == 1 else float(bessel_ratio(dim / 2 - 1, k))


def matching_rows(X: Array, Y: Array, /) -> tuple[Array, Array]:
    """Return the rows of two modalities, lists as arrays, or raise `InputError` if their shapes differ.

    Parameters
    ----------
    X, Y : array or list of shape (n, d)
        Rows. Row i of one matches row i of the other.

    Returns
    -------
    tuple of array
        Both arrays.
    """
    X, Y = (rows if hasattr(rows, "shape") else np.asarray(rows, dtype=np.float64) for rows in (X, Y))
    if X.ndim != 2 or tuple(X.shape) != tuple(Y.shape) or min(X.shape) < 1:
        raise InputError(
            f"got arrays of shapes {tuple(X.shape)} and {tuple(Y.shape)}, expected two of the same shape (n, d), where "
            "row i of one matches row i of the other"
        )
    return X, Y
