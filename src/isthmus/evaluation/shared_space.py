"""The subspace in which matching rows covary, its dimension, and how well two modalities align in it."""

from __future__ import annotations

import math

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.data.grouping import pairs_of_items
from isthmus.data.pairs import Pairs
from isthmus.linalg.shared_directions import covarying_directions
from isthmus.statistics.moments import Moments, moments_of
from isthmus.utils.errors import InputError

#: Part of the mean square of rows below which their spread consists of rounding errors.
ROUNDING = 1e-12


def shared_basis(moments: Moments, rank: int, /) -> np.ndarray:
    """Return the directions in which matching rows covary most.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs, of the same dimension d in both modalities.
    rank : int
        Number of directions.

    Returns
    -------
    np.ndarray of shape (d, rank)
        Orthonormal eigenvectors of (S_xy + S_xy') / 2 with the largest eigenvalues, where S_xy is the
        cross-covariance. Along them matching rows agree as the inner product measures it.

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Moments
    >>> x = np.random.default_rng(0).normal(size=(500, 4)) * [2, 1, 1, 1]
    >>> basis = shared_basis(Moments.of(x, x, normalize=False), 1)
    >>> int(np.argmax(np.abs(basis)))
    0
    """
    return np.ascontiguousarray(covarying_directions(to_numpy(moments.cov_xy))[1][:, :rank])


#: Covariance of unit rows along a direction that is rounding.
MIN_COVARIANCE = 1e-14


def shared_alignment(moments: Moments, basis: np.ndarray, /) -> float:
    """Return the covariance of matching rows inside a subspace, relative to the spread of both modalities.

    Parameters
    ----------
    moments : Moments
        Moments of the pairs.
    basis : np.ndarray of shape (d, k)
        Orthonormal basis W of the shared space.

    Returns
    -------
    float
        Shared-space alignment in [-1, 1]. It is 1 if the centred matching rows are equal and lie in the subspace. It is
        0 if all rows of a modality are the same.

    Notes
    -----
    The alignment is tr(W' S_xy W) / sqrt(tr S_x tr S_y). The means do not enter, so moving them does not change it.

    Examples
    --------
    >>> import numpy as np
    >>> from isthmus import Moments
    >>> x = np.random.default_rng(0).normal(size=(500, 4)) * [2, 1, 1, 1]
    >>> round(shared_alignment(Moments.of(x, x, normalize=False), np.eye(4)), 6)
    1.0
    """
    covariance = float(np.einsum("dk,de,ek->", basis, to_numpy(moments.cov_xy), basis))
    spread_x, spread_y = (float(np.trace(to_numpy(cov))) for cov in (moments.cov_x, moments.cov_y))
    energies = (float(np.trace(to_numpy(sums))) / moments.n for sums in (moments.xx, moments.yy))
    if any(spread <= ROUNDING * energy for spread, energy in zip((spread_x, spread_y), energies, strict=True)):
        return 0.0
    return covariance / math.sqrt(spread_x * spread_y)


def count_shared_dimensions(pairs: Pairs, /, *, rng: int = 0) -> int:
    """Count the covarying directions of one half of the items that replicate in the other half.

    A direction replicates if the covariance of matching rows along it exceeds two standard errors in the other half.

    Parameters
    ----------
    pairs : Pairs
        Pairs of the same dimension in both modalities.
    rng : int, default 0
        Seed of the split.

    Returns
    -------
    int
        Number of directions, at least 1.

    Raises
    ------
    InputError
        If no direction replicates.

    Examples
    --------
    >>> import isthmus
    >>> count_shared_dimensions(isthmus.demo.load("collapsed", split="test")) > 0
    True
    """
    first, second = pairs_of_items(pairs).split_half(rng=rng)
    rank = max(min(pairs.dim, *(count - 1 for count in first.n_distinct)), 1)  # centred rows have one direction fewer
    basis = shared_basis(moments_of(first), rank)
    x, y = (to_numpy(rows).astype(np.float64) @ basis for rows in second.unit())
    x = x[second.owner]  # means weigh each pair, in both modalities
    products = (x - x.mean(axis=0)) * (y - y.mean(axis=0))
    # The pairs of one image or of one caption are not independent. Therefore they are averaged first.
    components = second.components[second.owner] if second.n_components > 1 else np.arange(second.n_pairs)
    counts = np.bincount(components)
    sums = np.zeros((len(counts), basis.shape[1]))
    np.add.at(sums, components, products)
    item_means = sums[counts > 0] / counts[counts > 0, None]
    errors = item_means.std(axis=0, ddof=1) / math.sqrt(len(item_means))
    n_shared = int(np.count_nonzero(item_means.mean(axis=0) > np.maximum(2 * errors, MIN_COVARIANCE)))
    if n_shared == 0:
        raise InputError(
            "matching rows covary in no direction that replicates on other pairs; check the pairing, or give more pairs"
        )
    return n_shared
