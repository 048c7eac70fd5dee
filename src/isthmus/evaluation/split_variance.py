"""Variance of the mean over splits of a change, from the items that splits share and from the spread over splits.

The change has the variance C + D in each of S splits, and every two splits have the covariance C. Then the variance of
the mean is C + D / S. Items show both. An item moves the change in every split that holds it out. So C is the sum of
the products of the contributions of the items to two splits. The contributions differ, because an item meets other rows
and other fits in each split. What varies over splits beyond D belongs to the fits and to random draws, and is divided
by S too. Fits also share items, and each item is a stored row for the others. `FITTING_FACTOR` adds both, as simulated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Random groups of items by which trials store their contributions. Products of 64 sums give the shared variance well
#: enough: the half width of an interval changes by 2 %.
N_GROUPS = 64
#: Parts of the standard error in which sums of contributions are stored.
PARTS = 1000
#: Variance of the mean over splits, in units of that which the items explain.
FITTING_FACTOR = 1.15
#: Covariance of two splits from the fits of score corrections, in units of the variance over splits that they add.
#: If an effect belongs to pairs of items, one in each half, a quarter of its variance is shared, and the rest varies.
CORRECTION_COVARIANCE = 1 / 3


def random_groups(n_units: int, rng: int, /) -> np.ndarray:
    """Return the random group of each independent unit, (n_units,), the same for all splits of a comparison.

    Parameters
    ----------
    n_units : int
        Number of independent units, such as items.
    rng : int
        Seed.

    Returns
    -------
    np.ndarray of shape (n_units,)
        Numbers below `N_GROUPS`. Each unit has its own group if there are no more.

    Examples
    --------
    >>> sorted(random_groups(3, 0).tolist())
    [0, 1, 2]
    """
    return np.random.default_rng(rng).permutation(n_units) % N_GROUPS


def unit_contributions(values: np.ndarray, unit: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return the contribution of each independent unit to means of values, and the variances of these means.

    Parameters
    ----------
    values : np.ndarray of shape (k, n_items)
        Values of k scores for each item.
    unit : np.ndarray of shape (n_items,)
        Number of the unit of each item, from 0.

    Returns
    -------
    contributions : np.ndarray of shape (k, n_units)
        Sum of the values of each unit over the number of items, minus the mean of these sums.
    variances : np.ndarray of shape (k,)
        Variances of the means, where a unit is one observation.

    Examples
    --------
    >>> contributions, variances = unit_contributions(np.array([[1.0, 0.0, 2.0, 1.0]]), np.array([0, 0, 1, 1]))
    >>> contributions.tolist(), variances.tolist()
    ([[-0.25, 0.25]], [0.25])
    """
    sums = _sums_over(values, unit, int(unit.max()) + 1) / values.shape[1]
    contributions = sums - sums.mean(axis=1, keepdims=True)
    n_units = contributions.shape[1]
    variances = np.einsum("ij,ij->i", contributions, contributions) * (n_units / max(n_units - 1, 1))
    return contributions, variances


def stored_sums(contributions: np.ndarray, group: np.ndarray, variances: np.ndarray, /) -> list[list[int]]:
    """Return the sums of contributions over random groups, in thousandths of the standard error.

    Parameters
    ----------
    contributions : np.ndarray of shape (k, n_units)
        Contribution of each unit to k scores.
    group : np.ndarray of shape (n_units,)
        Random group of each unit.
    variances : np.ndarray of shape (k,)
        Variance of each score.

    Returns
    -------
    list of list of int
        For each score a sum for each of the groups. Empty if the variance is 0.

    Examples
    --------
    >>> stored_sums(np.array([[-0.25, 0.25]]), np.array([0, 1]), np.array([0.125]))[0][:3]
    [-707, 707, 0]
    """
    positive = np.where(variances > 0, variances, 1.0)
    sums = _sums_over(contributions, group, N_GROUPS) * (PARTS / np.sqrt(positive))[:, None]
    rows = np.rint(sums).astype(int).tolist()
    return [row if variance > 0 else [] for row, variance in zip(rows, variances.tolist(), strict=True)]


def _sums_over(values: np.ndarray, number: np.ndarray, size: int) -> np.ndarray:
    """Return the sums of values (k, n) over the columns of each number, (k, size)."""
    offsets = np.arange(len(values))[:, None] * size
    sums = np.bincount((number + offsets).ravel(), weights=values.ravel(), minlength=len(values) * size)
    return sums.reshape(len(values), size)


def variance_of_mean(
    values: np.ndarray,
    variances: np.ndarray,
    sums: Sequence[Sequence[int]],
    /,
    *,
    shared: float,
    corrects_scores: bool = False,
) -> float:
    """Return the variance of the mean over splits of a change.

    Parameters
    ----------
    values, variances : np.ndarray of shape (S,)
        Change of a score in each split, and its variance from the items.
    sums : sequence of sequence of int
        Result of `stored_sums` in each split.
    shared : float
        Share of the items of a split that another split holds out, too. It is the correlation of splits without sums.
    corrects_scores : bool, default False
        The change is that of a score correction. Its fit moves the scores of all queries together, while the fitted
        mean of a row map errs in the opposite direction to that of the other half.

    Returns
    -------
    float
        `FITTING_FACTOR` (C + D / S) + max(v - D, 0) / S, with the variance v of the changes over splits. For score
        corrections 1 / S + `CORRECTION_COVARIANCE` replaces the last 1 / S. A single split has the variance from its
        items.

    Examples
    --------
    >>> round(variance_of_mean(np.zeros(2), np.ones(2), [[], []], shared=0.5), 4)
    0.8625
    """
    n_splits = len(values)
    total = float(variances.mean())
    if n_splits == 1 or total == 0:
        return total
    common = total * _correlation(variances, sums, shared)
    single = total - common
    excess = max(float(values.var(ddof=1)) - single, 0.0)
    weight = 1 / n_splits + (CORRECTION_COVARIANCE if corrects_scores else 0.0)
    return FITTING_FACTOR * (common + single / n_splits) + excess * weight


def _correlation(variances: np.ndarray, sums: Sequence[Sequence[int]], shared: float) -> float:
    """Return the mean covariance of two splits in units of the mean variance, from the items that both hold out."""
    if any(len(row) != N_GROUPS for row, variance in zip(sums, variances, strict=True) if variance > 0):
        return shared
    filled = [row or [0] * N_GROUPS for row in sums]
    table = np.array(filled, dtype=np.float64) * np.sqrt(variances)[:, None]
    products = table @ table.T
    n_splits, trace = len(products), float(np.trace(products))
    return max((float(products.sum()) - trace) / (n_splits - 1) / trace, 0.0)
