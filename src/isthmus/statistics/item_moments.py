"""Sums by item, for standard errors when an item has several pairs."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.compute.arrays import Array


@dataclass(frozen=True)
class ItemMoments:
    """Sums over items of products of item totals, for standard errors when an item has several pairs.

    For item g with m pairs, X = m x_g, Y is the sum of its y rows, and P the sum of its paired cosines.

    Parameters
    ----------
    n_items : int
        Number of items that have a pair.
    count_sq : float
        Sum of m^2.
    count_x, count_y : (d,) array
        Sums of m X and of m Y.
    count_cos : float
        Sum of m P.
    xx, yy, xy : (d, d) array
        Sums of X X', Y Y' and X Y'.
    cos_sq : float
        Sum of P^2.
    cos_x, cos_y : (d,) array
        Sums of P X and of P Y.

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Moments
    >>> Moments.of(np.eye(2), np.eye(2)[[0, 0, 1]], index=[0, 0, 1]).by_item.count_sq
    5.0
    """

    n_items: int
    count_sq: float
    count_x: Array
    count_y: Array
    count_cos: float
    xx: Array
    yy: Array
    xy: Array
    cos_sq: float
    cos_x: Array
    cos_y: Array
