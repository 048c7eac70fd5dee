"""Ranks of isotropic clouds, and ranks that are clearly below them."""

from __future__ import annotations

import numpy as np

from isthmus.linalg.marchenko_pastur import isotropic_spectrum
from isthmus.linalg.significance import energy_rank

#: A rank is clearly below that of an isotropic cloud if this share of the dimensions, at least one, lies between them
#: and the subspace has an edge, or if it is at most the second share of the isotropic rank.
RANK_MARGIN, GRADUAL_SHARE = 0.02, 0.75


def isotropic_rank(n_items: int, dim: int, /) -> int:
    """Return the number of dimensions that hold 99 % of the variance of an isotropic cloud of n rows.

    Parameters
    ----------
    n_items : int
        Number of independent rows.
    dim : int
        Dimension of the space.

    Returns
    -------
    int
        The rank under the law of Marchenko and Pastur.

    Examples
    --------
    >>> isotropic_rank(1000, 8), isotropic_rank(2000, 128)
    (8, 126)
    """
    return energy_rank(np.sqrt(isotropic_spectrum(n_items, dim)))


def largest_collapsed_rank(n_items: int, dim: int, /, *, has_edge: bool = False) -> int:
    """Return the largest rank that is clearly below that of an isotropic cloud.

    Parameters
    ----------
    n_items : int
        Number of independent rows.
    dim : int
        Dimension of the space.
    has_edge : bool, default False
        Whether the spectrum falls steeply where the subspace ends. Then 2 % of the dimensions, at least one, suffice.
        Otherwise the rank is at most three quarters of that of an isotropic cloud.

    Returns
    -------
    int
        The rank. It is 0 for no more rows than dimensions, which never fill the space.

    Examples
    --------
    >>> largest_collapsed_rank(1000, 8, has_edge=True), largest_collapsed_rank(2000, 128), largest_collapsed_rank(8, 8)
    (7, 94, 0)
    """
    if n_items <= dim:
        return 0
    isotropic = isotropic_rank(n_items, dim)
    return isotropic - max(1, int(RANK_MARGIN * dim)) if has_edge else int(GRADUAL_SHARE * isotropic)
