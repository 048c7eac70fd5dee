"""Part of a variance that comes from pairs of items, which a jackknife counts twice.

A measure moves by the effects of single items, and by effects of pairs of items that are not the sum of two single
ones. If no item has an effect alone, as near a minimum of the measure, the pairs are the whole variance. The expected
variance of the jackknife is that of single items plus twice that of pairs [1]_.

References
----------
.. [1] Efron and Stein (1981), The jackknife estimate of variance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isthmus.statistics.influence import InfluenceSample

#: Items whose pairs estimate the variance of pair effects.
PAIR_ITEMS = 500
#: Items of a block of pairs.
BLOCK_ITEMS = 64


def items_of_pairs(sample: InfluenceSample) -> np.ndarray:
    """Return at most `PAIR_ITEMS` random items of a sample, in ascending order.

    Examples
    --------
    >>> items_of_pairs(InfluenceSample(np.eye(3), np.eye(3), None, scale=1.0)).tolist()
    [0, 1, 2]
    """
    return np.sort(sample.random_order[:PAIR_ITEMS])


def pair_effect_variance(
    sample: InfluenceSample, items: np.ndarray, effects: Callable[[slice], np.ndarray], /
) -> float:
    """Return the variance from effects of pairs of items.

    Parameters
    ----------
    sample : InfluenceSample
        The sample.
    items : (m,) int array
        Items whose pairs are taken, see `items_of_pairs`.
    effects : callable
        Returns the second derivatives (k, m) of the measure by the weights of two items. The first are a slice of k of
        the items, and the second all of them.

    Returns
    -------
    float
        Half the sum of the squared second derivatives over n^4, without those of an item with itself.

    Examples
    --------
    >>> sample = InfluenceSample(np.eye(3), np.eye(3), None, scale=1 / 9)
    >>> table = np.array([[5.0, 1.0, 2.0], [1.0, 5.0, 3.0], [2.0, 3.0, 5.0]])
    >>> round(81 * pair_effect_variance(sample, np.arange(3), lambda block: table[block]), 6)
    14.0
    """
    total = 0.0
    for start in range(0, len(items), BLOCK_ITEMS):
        block = effects(slice(start, start + BLOCK_ITEMS))
        total += float(np.sum(block**2)) - float(np.sum(np.diagonal(block, start) ** 2))
    return total / 2 * (sample.scale * sample.items / max(len(items), 1)) ** 2


def without_double_counting(jackknife: float, pair_variance: float, /) -> float:
    """Return a variance of the jackknife with the effects of pairs counted once.

    Parameters
    ----------
    jackknife, pair_variance : float
        Variance of the jackknife, and the variance of the effects of pairs that it contains twice.

    Returns
    -------
    float
        The difference, but at least the variance of pair effects.

    Examples
    --------
    >>> without_double_counting(5.0, 1.0), without_double_counting(1.5, 1.0)
    (4.0, 1.0)
    """
    return max(jackknife - pair_variance, pair_variance)
