"""The spectrum of a cloud without a preferred direction at finite n."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Points at which the distribution function is evaluated.
GRID = 4_096


@lru_cache(maxsize=32)
def isotropic_spectrum(n: int, dim: int) -> np.ndarray:
    """Return the expected eigenvalues of the second moment of n isotropic unit rows of R^dim.

    Parameters
    ----------
    n : int
        Number of rows.
    dim : int
        Dimension.

    Returns
    -------
    ndarray of shape (dim,)
        Descending eigenvalues with sum 1: quantiles of the law of Marchenko and Pastur with ratio dim / n, and zeros
        beyond n.

    References
    ----------
    .. [1] Marchenko and Pastur (1967), Distribution of eigenvalues for some sets of random matrices.

    Examples
    --------
    >>> np.round(isotropic_spectrum(1_000_000, 3), 2).tolist()
    [0.33, 0.33, 0.33]
    """
    rank, ratio = min(n, dim), min(n, dim) / max(n, dim)
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    angle = (np.arange(GRID) + 0.5) * (np.pi / 2) / GRID
    at = low + (high - low) * np.sin(angle) ** 2
    # The density sqrt((high - at) (at - low)) / at in the angle, where it is smooth.
    weight = (np.sin(angle) * np.cos(angle)) ** 2 / at
    distribution = np.cumsum(weight) - weight / 2
    shares = np.interp((np.arange(rank) + 0.5) / rank, distribution / weight.sum(), at)[::-1]
    spectrum = np.zeros(dim)
    spectrum[:rank] = shares / shares.sum()
    return spectrum
