"""Interval of the mean over splits of a change, from the items that splits share and from the spread over splits.

The change has the variance C + D in each of S splits, and every two splits have the covariance C. Then the variance of
the mean is C + D / S. Items show both. An item moves the change in every split that holds it out. So C is the sum of
the products of the contributions of the items to two splits. The contributions differ, because an item meets other rows
and other fits in each split. What varies over splits beyond D belongs to the fits and to random draws, and is divided
by S too. Fits also share items, and each item is a stored row for the others. `FITTING_FACTOR` adds both, as simulated.

If few items change, the variance is known badly, and is too small where too few of them were drawn. `interval_of_mean`
sees this in the skewness and the kurtosis of the contributions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.evaluation.pair_groups import N_PAIR_GROUPS
from isthmus.statistics.intervals import Z95, normal_interval, skewed_interval

#: Random groups of items by which trials store their contributions. Products of 64 sums give the shared variance well
#: enough: the half width of an interval changes by 2 %.
N_GROUPS = 64
#: Parts of the standard error in which sums of contributions are stored.
PARTS = 1000
#: Deviation from the mean of equal sums that is rounding, in units of the largest sum.
ROUNDING = 1e-14
#: Variance of the mean over splits, in units of that which the items explain.
FITTING_FACTOR = 1.15
#: Covariance of two splits from the fits of score corrections, in units of the variance over splits that they add.
#: If an effect belongs to pairs of items, one in each half, a quarter of its variance is shared, and the rest varies.
CORRECTION_COVARIANCE = 1 / 3
#: Degrees of freedom of the expectation that fits of score corrections add as much variance to a split as the items to
#: the mean over splits. It is simulated.
EXPECTED_FITS = 4
#: Degrees of freedom of the variance over splits that items and known effects of fitting items explain.
EXPECTED_SPLITS = 8
#: Largest 1 / k for which k rare changes still show the error of their sum.
MAX_SHARE_OF_ONE_CHANGE = 0.25
#: Changes that are added to rare ones, two up and two down, because a few changes show their variance badly.
PSEUDO_CHANGES = 4

#: Variance that a fit adds to a change, and the effects of groups of fitting items in parts of the standard error.
FitSums = tuple[float, Sequence[int]]


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
        Sum of the values of each unit over the number of items, minus the mean of these sums. They are multiplied by
        sqrt(n_units / (n_units - 1)), so that the sum of their squares is the variance.
    variances : np.ndarray of shape (k,)
        Variances of the means, where a unit is one observation.

    Examples
    --------
    >>> contributions, variances = unit_contributions(np.array([[1.0, 0.0, 2.0, 1.0]]), np.array([0, 0, 1, 1]))
    >>> contributions.round(3).tolist(), variances.round(3).tolist()
    ([[-0.354, 0.354]], [0.25])
    """
    sums = _sums_over(values, unit, int(unit.max()) + 1) / values.shape[1]
    deviations = sums - sums.mean(axis=1, keepdims=True)
    # The sums of equal values differ from their mean by rounding, which is no variance.
    deviations[np.abs(deviations) <= ROUNDING * np.abs(sums).max(axis=1, keepdims=True)] = 0.0
    factor = deviations.shape[1] / max(deviations.shape[1] - 1, 1)
    return deviations * np.sqrt(factor), factor * np.einsum("ij,ij->i", deviations, deviations)


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


def in_parts(sums: np.ndarray, variance: float, /) -> list[int]:
    """Return sums in thousandths of the standard error of a variance above 0.

    Parameters
    ----------
    sums : np.ndarray of shape (n,)
        Sums.
    variance : float
        Variance.

    Returns
    -------
    list of int
        Rounded sums.

    Examples
    --------
    >>> in_parts(np.array([-0.25, 0.5]), 0.25)
    [-500, 1000]
    """
    rounded: list[int] = np.rint(sums * (PARTS / np.sqrt(variance))).astype(int).tolist()
    return rounded


def _sums_over(values: np.ndarray, number: np.ndarray, size: int) -> np.ndarray:
    """Return the sums of values (k, n) over the columns of each number, (k, size)."""
    offsets = np.arange(len(values))[:, None] * size
    sums = np.bincount((number + offsets).ravel(), weights=values.ravel(), minlength=len(values) * size)
    return sums.reshape(len(values), size)


def interval_of_mean(
    values: np.ndarray,
    variances: np.ndarray,
    sums: Sequence[Sequence[int]],
    pair_sums: Sequence[Sequence[int]] = (),
    /,
    *,
    n_units: int,
    shared: float,
    corrects_scores: bool = False,
    fits: Sequence[FitSums] = (),
) -> tuple[float, float]:
    """Return the 95 % interval of the mean over splits of a change.

    Parameters
    ----------
    values, variances : np.ndarray of shape (S,)
        Change of a score in each split, and its variance from the items.
    sums : sequence of sequence of int
        Result of `stored_sums` in each split.
    pair_sums : sequence of sequence of int, optional
        Sums over random groups of pairs in each split, in the same unit. The products of contributions count pairs
        twice, so that the products of these sums are subtracted.
    n_units : int
        Number of independent units in all splits.
    shared : float
        Share of the items of a split that another split holds out, too. It is the correlation of splits without sums.
    corrects_scores : bool, default False
        The change is that of a score correction.
    fits : sequence of tuple, optional
        Variance that the fit adds to the change in each split, and the effects of groups of fitting items, see
        `isthmus.evaluation.fit_effects`.

    Returns
    -------
    tuple of float
        Ends of the interval. Without sums it is symmetric.

    Notes
    -----
    The covariance of a mean and its estimated variance is the third cumulant of the contributions. So the variance
    rises with the mean at the rate of the third cumulant over the second one. If k changes are rare and equal, the
    fourth cumulant is 1 / k of the square of the second. Then `PSEUDO_CHANGES`, half of them up, multiply the variance
    by 1 + 4 / k and divide the skewness by that [1]_. They hardly matter if the contributions are nearly normal.

    References
    ----------
    .. [1] Agresti and Min 2005, Simple improved confidence intervals for comparing matched proportions.

    Examples
    --------
    >>> one_of_64 = [[1000, *[0] * 63]]
    >>> low, high = interval_of_mean(np.array([0.1]), np.array([0.01]), one_of_64, n_units=64, shared=0.5)
    >>> round(low, 2), round(high, 2)
    (-0.29, 0.57)
    """
    mean = float(values.mean())
    of_items, of_fits = variance_of_mean(
        values, variances, sums, pair_sums, shared=shared, corrects_scores=corrects_scores, fits=fits
    )
    contributions = _mean_contributions(variances, sums)
    largest = float(np.abs(contributions).max(initial=0.0))
    if largest == 0:
        return normal_interval(mean, of_items + of_fits)
    contributions /= largest  # powers of tiny contributions are no numbers
    growth = 1 + PSEUDO_CHANGES * share_of_one_change(variances, sums, n_units=n_units)
    slope = of_items / largest * float((contributions**3).sum()) / float((contributions**2).sum()) ** 2
    return skewed_interval(mean, growth * (of_items + of_fits), slope / growth)


def share_of_one_change(variances: np.ndarray, sums: Sequence[Sequence[int]], /, *, n_units: int) -> float:
    """Return 1 / k if k rare and equal changes of items make a change, and about 0 if it comes from many items.

    Parameters
    ----------
    variances : np.ndarray of shape (S,)
        Variance of the change in each split, from the items.
    sums : sequence of sequence of int
        Result of `stored_sums` in each split.
    n_units : int
        Number of independent units in all splits.

    Returns
    -------
    float
        Fourth cumulant of the contributions over the square of the second one, and at least 0.

    Examples
    --------
    >>> round(share_of_one_change(np.array([0.01]), [[500] * 4 + [0] * 60], n_units=64), 3)
    0.203
    """
    contributions = _mean_contributions(variances, sums)
    largest = float(np.abs(contributions).max(initial=0.0))
    if largest == 0:
        return 0.0
    contributions /= largest
    total = float((contributions**2).sum())
    return max(float((contributions**4).sum()) / total**2 - 3 / min(n_units, N_GROUPS), 0.0)


def _mean_contributions(variances: np.ndarray, sums: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the contributions of the random groups to the mean over splits, or one zero if they were not stored."""
    table = _contributions(variances, sums)
    return np.zeros(1) if table is None else table.mean(axis=0)


def variance_of_mean(
    values: np.ndarray,
    variances: np.ndarray,
    sums: Sequence[Sequence[int]],
    pair_sums: Sequence[Sequence[int]] = (),
    /,
    *,
    shared: float,
    corrects_scores: bool = False,
    fits: Sequence[FitSums] = (),
) -> tuple[float, float]:
    """Return the variance of the mean over splits of a change, from the items and from the fits.

    Parameters
    ----------
    values, variances : np.ndarray of shape (S,)
        Change of a score in each split, and its variance from the items.
    sums : sequence of sequence of int
        Result of `stored_sums` in each split.
    pair_sums : sequence of sequence of int, optional
        Sums over random groups of pairs in each split, in the same unit. The products of contributions count pairs
        twice, so that the products of these sums are subtracted.
    shared : float
        Share of the items of a split that another split holds out, too. It is the correlation of splits without sums.
    corrects_scores : bool, default False
        The change is that of a score correction. Its fit moves the scores of all queries together, while the fitted
        mean of a row map errs in the opposite direction to that of the other half.
    fits : sequence of tuple, optional
        Variance that the fit adds to the change in each split, and the effects of groups of fitting items. Then the
        products of splits contain what the same items do in fits, and `of_fits` is the variance over splits.

    Returns
    -------
    of_items : float
        `FITTING_FACTOR` (C + D / S). A single split has the variance from its items.
    of_fits : float
        max(v - D, 0) / S, with the variance v of the changes over splits. For score corrections v - D is averaged with
        C + D / S by the degrees of freedom S - 1 and `EXPECTED_FITS`, and 1 / S + `CORRECTION_COVARIANCE` replaces
        1 / S.

    Examples
    --------
    >>> of_items, of_fits = variance_of_mean(np.zeros(2), np.ones(2), [[], []], shared=0.5)
    >>> round(of_items, 4), of_fits
    (0.8625, 0.0)
    """
    n_splits = len(values)
    total = float(variances.mean())
    if n_splits == 1:
        return total, 0.0
    if len(fits) == n_splits:
        table = _contributions(variances, sums)
        if table is not None:
            return _variance_with_fits(values, variances, table, pair_sums, fits)
    common = _common_variance(variances, sums, pair_sums, shared)
    single = total - common
    of_items = common + single / n_splits
    excess, weight = float(values.var(ddof=1)) - single, 1 / n_splits
    if corrects_scores:
        df = n_splits - 1
        excess = (df * excess + EXPECTED_FITS * of_items) / (df + EXPECTED_FITS)
        weight += CORRECTION_COVARIANCE
    return FITTING_FACTOR * of_items, max(excess, 0.0) * weight


def _contributions(variances: np.ndarray, sums: Sequence[Sequence[int]]) -> np.ndarray | None:
    """Return the contributions of the random groups to each split (S, N_GROUPS), or None if they were not stored."""
    if any(len(row) != N_GROUPS for row, variance in zip(sums, variances, strict=True) if variance > 0):
        return None
    filled = [row or [0] * N_GROUPS for row in sums]
    return np.array(filled, dtype=np.float64) / PARTS * np.sqrt(variances)[:, None]


def _of_shared_pairs(variances: np.ndarray, pair_sums: Sequence[Sequence[int]]) -> float:
    """Return the mean product of what pairs of items that two splits hold out contribute to both."""
    if not any(pair_sums):
        return 0.0
    table = np.array([row or [0] * N_PAIR_GROUPS for row in pair_sums], dtype=np.float64)
    return _of_two_splits(table / PARTS * np.sqrt(variances)[:, None])


def _common_variance(
    variances: np.ndarray, sums: Sequence[Sequence[int]], pair_sums: Sequence[Sequence[int]], shared: float
) -> float:
    """Return the mean covariance of two splits, from the items that both hold out."""
    table, total = _contributions(variances, sums), float(variances.mean())
    if table is None:
        return shared * total
    return min(max(_of_two_splits(table) - _of_shared_pairs(variances, pair_sums), 0.0), total)


def _variance_with_fits(
    values: np.ndarray,
    variances: np.ndarray,
    table: np.ndarray,
    pair_sums: Sequence[Sequence[int]],
    fits: Sequence[FitSums],
) -> tuple[float, float]:
    """Return the variance of the mean that two splits share and the rest, with the effects of fitting items known."""
    n_splits, df = len(values), len(values) - 1
    of_fits = np.array([sums for _, sums in fits], dtype=np.float64) / PARTS * np.sqrt(variances)[:, None]
    n_groups = of_fits.shape[1]
    by_group = _by_group(table)
    of_items = table.reshape(n_splits, -1, n_groups).sum(axis=1)
    difference = _by_group(of_items + of_fits) - _by_group(of_items)
    factor = n_groups / (n_groups - 1)
    total = float(variances.mean()) + max(float(np.mean([variance for variance, _ in fits])), 0.0)
    of_held_out = float(by_group.sum()) - _of_shared_pairs(variances, pair_sums)
    common = min(max(of_held_out + factor * float(difference.sum()), 0.0), total)
    of_splits, expected = float(values.var(ddof=1)), total - common
    over_splits = (df * of_splits + EXPECTED_SPLITS * expected) / (df + EXPECTED_SPLITS) / n_splits
    variance_sum = common + over_splits
    if variance_sum <= 0:
        return common, over_splits
    # A variance with an error of its own needs a quantile of t. This is its expansion in 1 / degrees of freedom, which
    # are no fewer than those of the splits. Ratios are squared, as the squares of tiny variances are 0.
    squared_error = 2 * (over_splits / variance_sum) ** 2 / (df + EXPECTED_SPLITS)
    for weight, products in ((factor, difference), (1.0, by_group)):
        squared_error += weight * float(np.sum(((products - products.mean()) / variance_sum) ** 2))
    return common + (Z95**2 + 1) / 2 * min(squared_error / 2, 1 / df) * variance_sum, over_splits


def _by_group(table: np.ndarray) -> np.ndarray:
    """Return the part of each group (groups,) in the mean product of the contributions (S, groups) to two splits."""
    n_splits, of_sums = len(table), table.sum(axis=0)
    by_group: np.ndarray = (of_sums**2 - np.einsum("ij,ij->j", table, table)) / (n_splits * (n_splits - 1))
    return by_group


def _of_two_splits(table: np.ndarray) -> float:
    """Return the mean product of the contributions (S, groups) to two splits."""
    return float(_by_group(table).sum())
