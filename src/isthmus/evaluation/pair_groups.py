"""Random groups of pairs of items, by which two splits show what the pairs that both hold out contribute.

The effect of a stored row on a query belongs to the pair of their items. It is part of what either item contributes to
a score, so that the sum of the products of contributions counts it twice.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Random groups of pairs. The sum of the squares of their sums has an error of sqrt(2 / 256), which is 9 %.
N_PAIR_GROUPS = 256


class PairGroups(NamedTuple):
    """Random numbers and signs of items. A pair has the sum of the numbers and the product of the signs.

    Attributes
    ----------
    number : (n,) int array, below `N_PAIR_GROUPS`
    sign : (n,) array of 1 and -1

    Notes
    -----
    Two values of one pair have one group and one sign, and other pairs of this group have random signs. So the products
    of the sums of two splits have an expected value: the products of the pairs that both hold out [1]_.

    References
    ----------
    .. [1] Charikar, Chen and Farach-Colton 2002, Finding frequent items in data streams.

    Examples
    --------
    >>> groups = PairGroups.random(40, 0)
    >>> first, second = np.triu_indices(40, 1)
    >>> values = np.random.default_rng(0).normal(size=len(first))
    >>> sums = groups.sums(first, second, values)
    >>> sums.shape, bool(0.7 < float(sums @ sums / (values @ values)) < 1.3)
    ((256,), True)
    """

    number: np.ndarray
    sign: np.ndarray

    @classmethod
    def random(cls, n_units: int, rng: int, /) -> PairGroups:
        """Return the groups of independent units, the same for all splits of a comparison.

        Parameters
        ----------
        n_units : int
            Number of independent units, such as items.
        rng : int
            Seed.

        Returns
        -------
        PairGroups
            Numbers and signs.
        """
        generator = np.random.default_rng([rng, N_PAIR_GROUPS])
        return cls(generator.integers(N_PAIR_GROUPS, size=n_units), generator.choice([-1.0, 1.0], size=n_units))

    def take(self, units: np.ndarray, /) -> PairGroups:
        """Return the groups of some units.

        Parameters
        ----------
        units : np.ndarray of shape (n,)
            Numbers of the units.

        Returns
        -------
        PairGroups
            Groups of shape (n,).
        """
        return PairGroups(self.number[units], self.sign[units])

    def sums(self, first: np.ndarray, second: np.ndarray, values: np.ndarray, /) -> np.ndarray:
        """Return the sums of values of pairs over the groups.

        Parameters
        ----------
        first, second : np.ndarray of shape (n,)
            Items of each pair, in either order.
        values : np.ndarray of shape (n,)
            Value of each pair.

        Returns
        -------
        np.ndarray of shape (N_PAIR_GROUPS,)
            Sums with the signs of the pairs.
        """
        group = (self.number[first] + self.number[second]) % N_PAIR_GROUPS
        return np.bincount(group, weights=values * self.sign[first] * self.sign[second], minlength=N_PAIR_GROUPS)

    def sums_with_others(self, items: np.ndarray, values: np.ndarray, /) -> np.ndarray:
        """Return the sums over the groups if all pairs of an item with the others have one value.

        Parameters
        ----------
        items : np.ndarray of shape (n,)
            Items.
        values : np.ndarray of shape (n,)
            Value of the pairs of each item.

        Returns
        -------
        np.ndarray of shape (N_PAIR_GROUPS,)
            Sums with the signs of the pairs.
        """
        of_items = np.bincount(self.number[items], weights=values * self.sign[items], minlength=N_PAIR_GROUPS)
        of_all = np.bincount(self.number, weights=self.sign, minlength=N_PAIR_GROUPS)
        # The numbers of two items add up, so that the sums of all pairs are a circular convolution.
        of_pairs = np.fft.irfft(np.fft.rfft(of_items) * np.fft.rfft(of_all), N_PAIR_GROUPS)
        of_own_pairs = np.bincount(2 * self.number[items] % N_PAIR_GROUPS, weights=values, minlength=N_PAIR_GROUPS)
        return np.asarray(of_pairs - of_own_pairs)
