"""Sums by item, for standard errors when pairs share rows."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus.compute.arrays import Array


@dataclass(frozen=True)
class ItemMoments:
    """Sums over items of products of item totals, for standard errors when pairs share rows.

    An item g is a component of `isthmus.Pairs`, such as an image with its captions: m pairs that share rows with no
    other pair. X is the sum of the x rows of these pairs, Y that of their y rows, and P that of their paired cosines.

    Parameters
    ----------
    n_items : int
        Number of items that have a pair. They are independent.
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
    n_x, n_y : int
        Numbers of distinct rows of x and of y in the pairs. 0 if they are not known.

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Moments
    >>> index = [0, *range(30)]  # item 0 has two rows of y
    >>> Moments.of(np.eye(30), np.eye(30)[index], index=index).by_item.count_sq
    33.0
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
    n_x: int = 0
    n_y: int = 0

    @property
    def swap_scatter(self) -> Array:
        """Expected square of n times the difference of the means if random items swap their modalities, (d, d)."""
        return self.xx + self.yy - self.xy - self.xy.T


def covariance_of_sums(products: Array, n: int, first_mean: Array, second_mean: Array, /) -> Array:
    """Return a covariance with divisor n from sums of products. One temporary array is used, as new memory takes long.

    Parameters
    ----------
    products : (d_1, d_2) array
        Sums of the products of two rows over n pairs.
    n : int
        Number of pairs.
    first_mean, second_mean : (d_1,) and (d_2,) arrays
        Means of the rows.

    Returns
    -------
    (d_1, d_2) array
        Covariance.

    Examples
    --------
    >>> import numpy as np
    >>> covariance_of_sums(np.array([[10.0]]), 2, np.array([2.0]), np.array([2.0])).tolist()
    [[1.0]]
    """
    covariance = first_mean[:, None] * second_mean[None, :]
    covariance *= -n
    covariance += products
    covariance /= n
    return covariance
