"""Logarithms and ratios of modified Bessel functions of the first kind, without overflow or underflow.

A power series covers small arguments. The expansion that is uniform in x (NIST Digital Library of Mathematical
Functions, 10.41.3) covers large orders. Small orders reach large ones by the recurrence of the ratios.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.compute.arrays import Array, asarray_like, is_numpy, to_numpy
from isthmus.linalg._bessel_kernels import (
    MAX_ARGUMENT,
    inverse_ratio_kernel,
    log_iv_kernel,
    log_mgf_kernel,
    ratio_kernel,
)
from isthmus.utils.errors import InputError
from isthmus.utils.format import cosine_text

__all__ = ["bessel_ratio", "inverse_bessel_ratio", "log_iv", "log_sphere_mgf"]

#: Largest order for which the stated accuracy is tested.
MAX_ORDER = 4096.0


def log_iv(nu: float | Array, x: float | Array, /) -> Any:
    """Return log I_nu(x) for real orders and non-negative arguments.

    Parameters
    ----------
    nu : float or array
        Orders in [0, 4096], broadcast against `x`.
    x : float or array
        Arguments in [0, 1e6].

    Returns
    -------
    float or array
        A float for two numbers, else an array of the library of the given array. log I_0(0) = 0, and
        log I_nu(0) = -inf for nu > 0.

    Raises
    ------
    InputError
        If a value is negative, NaN or beyond the range.

    Notes
    -----
    Against mpmath the error is below max(2e-15 |log I|, 1e-15 max(nu, x, 1)).

    References
    ----------
    .. [1] NIST Digital Library of Mathematical Functions, 10.25.2 (series) and 10.41.3 (large orders).

    Examples
    --------
    >>> round(log_iv(255, 50.0), 9)
    -338.468811985
    """
    order, argument, restore = _arguments(nu, x)
    return restore(log_iv_kernel(order, argument))


def bessel_ratio(nu: float | Array, x: float | Array, /) -> Any:
    """Return the ratio I_{nu+1}(x) / I_nu(x), in [0, 1).

    With nu = d/2 - 1 it is the mean resultant length of the von Mises-Fisher distribution of concentration x in R^d.

    Parameters
    ----------
    nu : float or array
        Orders in [0, 4096], broadcast against `x`.
    x : float or array
        Arguments in [0, 1e6].

    Returns
    -------
    float or array
        A float for two numbers, else an array of the library of the given array.

    Raises
    ------
    InputError
        If a value is negative, NaN or beyond the range.

    Notes
    -----
    Perron's continued fraction is used. The relative error is below 2e-15.

    References
    ----------
    .. [1] Gautschi and Slavik (1978), On the computation of modified Bessel function ratios.

    Examples
    --------
    >>> round(bessel_ratio(2, 5.0), 6)
    0.590162
    """
    order, argument, restore = _arguments(nu, x)
    return restore(ratio_kernel(order, argument))


def inverse_bessel_ratio(nu: float | Array, r: float | Array, /) -> Any:
    """Return the argument x with `bessel_ratio(nu, x)` = r.

    Parameters
    ----------
    nu : float or array
        Orders in [0, 4096], broadcast against `r`.
    r : float or array
        Ratios in [0, 1).

    Returns
    -------
    float or array
        Arguments in [0, 1e6]: a float for two numbers, else an array of the library of the given array.

    Raises
    ------
    InputError
        If r is outside [0, 1), or x would exceed 1e6.

    Notes
    -----
    Newton's iteration starts from r (d - r^2) / (1 - r^2), d = 2 nu + 2, and stays between the bounds of Amos.

    References
    ----------
    .. [1] Banerjee, Dhillon, Ghosh and Sra (2005), Clustering on the unit hypersphere using von Mises-Fisher
       distributions.
    .. [2] Amos (1974), Computation of modified Bessel functions and their ratios.

    Examples
    --------
    >>> round(inverse_bessel_ratio(2, bessel_ratio(2, 5.0)), 9)
    5.0
    """
    order, ratio, restore = _arguments(nu, r, name="r", limit=1.0)
    largest_ratio = ratio_kernel(order, np.full_like(order, MAX_ARGUMENT))
    if np.any(ratio > largest_ratio):
        worst = int(np.argmax(ratio - largest_ratio))
        raise InputError(
            f"rows in {2 * order.flat[worst] + 2:g} dimensions whose mean has length "
            f"r = {cosine_text(ratio.flat[worst], 3)} are too nearly equal: their concentration is above 1e6; expected "
            "a length that is less close to 1"
        )
    return restore(inverse_ratio_kernel(order, ratio))


def log_sphere_mgf(dim: float | Array, t: float | Array, /) -> Any:
    """Return log E exp(t u.e) for u uniform on the unit sphere of R^dim and any unit vector e.

    Parameters
    ----------
    dim : int or array of int
        Dimensions in 1..4098, broadcast against `t`.
    t : float or array
        Arguments with |t| <= 1e6.

    Returns
    -------
    float or array
        Non-negative values, even in `t` and 0 at 0: a float for two numbers, else an array of the library of the given
        array.

    Raises
    ------
    InputError
        If a dimension is below 1 or no integer, or a value is NaN or beyond the range.

    Notes
    -----
    The value is log[Gamma(nu+1) (2/t)^nu I_nu(t)] with nu = dim/2 - 1, and log cosh t for dim = 1. It behaves like
    t^2 / (2 dim) for small t and like |t| for large t. The relative error is below 2e-15 for every t.

    Examples
    --------
    >>> round(log_sphere_mgf(3, 5.0), 6)
    2.69737
    >>> round(log_sphere_mgf(512, 1e-4) * 1024 / 1e-8, 9)
    1.0
    """
    size, argument, restore = _arguments(dim, t, name="t", first="dim", even=True, lowest=1.0)
    if np.any(size != np.floor(size)):
        raise InputError(f"dim = {size[size != np.floor(size)][0]:g}, expected an integer")
    line = size == 1.0
    order = np.where(line, 0.0, 0.5 * size - 1.0)
    out = log_mgf_kernel(order, argument)
    if line.any():
        # cosh t = 1 + 2 sinh(t/2)^2, which is used where it does not overflow.
        capped = np.minimum(argument, 1.0)
        log_cosh = np.where(
            argument <= 1.0,
            np.log1p(2.0 * np.sinh(0.5 * capped) ** 2),
            argument - np.log(2.0) + np.log1p(np.exp(-2.0 * argument)),
        )
        out = np.where(line, log_cosh, out)
    return restore(out)


def _arguments(
    nu: Any,
    x: Any,
    *,
    name: str = "x",
    first: str = "nu",
    even: bool = False,
    lowest: float = 0.0,
    limit: float = MAX_ARGUMENT,
) -> tuple[np.ndarray, np.ndarray, Any]:
    """Return checked float64 arrays of a common shape, and the function that restores the array type of the input."""
    order, argument = (np.asarray(to_numpy(v), dtype=np.float64) for v in (nu, x))
    if even:
        argument = np.abs(argument)
    highest = MAX_ORDER if first == "nu" else 2.0 * 2049.0
    closed = limit != 1.0
    for argument_name, values, low, high, shut in (
        (first, order, lowest, highest, True),
        (name, argument, 0.0, limit, closed),
    ):
        is_outside = ~((values >= low) & ((values <= high) if shut else (values < high)))
        if np.any(is_outside):
            quantity = "order" if argument_name == "nu" else argument_name
            raise InputError(
                f"{quantity} = {values[is_outside].flat[0]:.12g}, expected a number in "
                f"[{-high if even and argument_name == name else low:g}, {high:g}{']' if shut else ')'}"
            )
    try:
        order, argument = np.broadcast_arrays(order, argument)
    except ValueError:
        raise InputError(
            f"{'orders' if first == 'nu' else first} of shape {order.shape} and {name} of shape {argument.shape}, "
            "expected shapes that broadcast"
        ) from None
    reference = next((v for v in (x, nu) if hasattr(v, "shape") and not is_numpy(v) and not np.isscalar(v)), None)

    def restore(values: np.ndarray) -> Any:
        if reference is not None:
            return asarray_like(values, reference)
        return float(values) if values.ndim == 0 else values

    return (
        np.atleast_1d(order),
        np.atleast_1d(argument),
        (restore if order.ndim else lambda values: restore(values.reshape(()))),
    )
