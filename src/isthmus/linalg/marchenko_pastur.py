"""The spectrum that a cloud without any preferred direction shows at finite n."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

#: Points at which the distribution function is evaluated.
GRID = 4_096


@lru_cache(maxsize=32)
def isotropic_spectrum(n: int, dim: int) -> np.ndarray:
    """Expected eigenvalues, descending, sum 1, (dim,), of the second moment of n isotropic unit rows of R^dim.

    Quantiles of the law of Marchenko and Pastur (1967) with ratio dim / n, and zeros beyond n.

    >>> np.round(isotropic_spectrum(1_000_000, 3), 2).tolist()
    [0.33, 0.33, 0.33]
    """
    few, many = min(n, dim), max(n, dim)
    ratio = few / many
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    angle = (np.arange(GRID) + 0.5) * (np.pi / 2) / GRID
    at = low + (high - low) * np.sin(angle) ** 2
    # The density sqrt((high - at) (at - low)) / at in the angle, where it is smooth.
    weight = (np.sin(angle) * np.cos(angle)) ** 2 / at
    distribution = np.cumsum(weight) - weight / 2
    shares = np.interp((np.arange(few) + 0.5) / few, distribution / weight.sum(), at)[::-1]
    spectrum = np.zeros(dim)
    spectrum[:few] = shares / shares.sum()
    return spectrum
