"""Test of the orientation of two clouds: whether their principal directions differ by more than chance."""

from __future__ import annotations

import math

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.data.grouping import units_of_pairs
from isthmus.data.pairs import Pairs
from isthmus.linalg.psd import covariance_eigh, factor_fidelity
from isthmus.statistics.moments import Moments

#: Larger data are sampled: this many items, or this many for each dimension.
MAX_ITEMS, MIN_ITEMS_PER_DIM = 10_000, 5
#: Swaps of the modalities, and Student's t for 3 % at 38 degrees of freedom.
SWAPS, SWAPS_CRITICAL_VALUE = 39, 1.9390
#: Orientation below which it is a rounding error.
ROUNDING = 1e-12


def orientation_exceeds_swaps(pairs: Pairs, moments: Moments, basis: np.ndarray, *, rng: int = 0) -> bool:
    """Return whether the orientation component exceeds the values after swaps of the two rows of random items.

    Parameters
    ----------
    pairs : Pairs
        The pairs.
    moments : Moments
        Their moments.
    basis : ndarray of shape (d, r)
        Orthonormal basis that the centred rows are projected on.
    rng : int, default 0
        Seed of the sample and of the swaps.

    Returns
    -------
    bool
        True at the level of 3 %, by Student's t of the logarithms over 39 swaps, which are nearly normal.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> orientation_exceeds_swaps(pairs, isthmus.Moments.of(pairs), np.eye(pairs.dim))
    True
    """
    sample = pairs.sample(max(MAX_ITEMS, MIN_ITEMS_PER_DIM * pairs.dim), rng=rng)
    x, y = (to_numpy(rows) for rows in sample.unit(normalize=moments.normalize))
    x = (x[sample.owner].astype(np.float64) - moments.mean_x) @ basis
    y = (y.astype(np.float64) - moments.mean_y) @ basis
    unit, generator = units_of_pairs(sample), np.random.default_rng(rng)
    orientation = _orientation(x, y)
    if orientation <= ROUNDING:
        return False
    logarithms = np.empty(SWAPS)
    for i in range(SWAPS):
        swap = (generator.random(int(unit.max()) + 1) < 0.5)[unit][:, None]
        logarithms[i] = math.log(max(_orientation(np.where(swap, y, x), np.where(swap, x, y)), ROUNDING))
    spread = float(logarithms.std(ddof=1)) * math.sqrt(1 + 1 / SWAPS)
    return bool(math.log(orientation) > logarithms.mean() + SWAPS_CRITICAL_VALUE * spread)


def _orientation(x: np.ndarray, y: np.ndarray) -> float:
    """Return the orientation component of the covariances of two clouds of rows (n, d)."""
    (lambdas, directions_x), (mus, directions_y) = (
        covariance_eigh(np.atleast_2d(np.cov(rows, rowvar=False, bias=True))) for rows in (x, y)
    )
    fidelity = factor_fidelity(directions_x * np.sqrt(lambdas), directions_y * np.sqrt(mus))
    return max(float(np.sqrt(lambdas * mus).sum()) - fidelity, 0.0)
