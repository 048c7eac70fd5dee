"""Moments of two sets of rows without pairs, in the form of the moments of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from isthmus.data.cross_dim_pairs import CrossDimPairs
from isthmus.data.invalid_rows import invalid_rows_error
from isthmus.data.pairs import Pairs
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.statistics.item_moments import ItemMoments
from isthmus.statistics.moments import Moments, moments_of
from isthmus.utils.errors import InputError


@dataclass(frozen=True)
class UnpairedItemMoments(ItemMoments):
    """Centred scatters of two independent sets, as sums over items that have a row of one set each.

    Parameters
    ----------
    pooled_scatter : numpy.ndarray
        Covariance of the union of both sets times n_x^2 (1/n_x + 1/n_y), (d, d).
    """

    pooled_scatter: Any = None

    @property
    def swap_scatter(self) -> Any:
        """Expected square of n times the difference of the means if all rows are dealt to the two sets at random."""
        return self.pooled_scatter


@dataclass(frozen=True)
class UnpairedMoments(Moments):
    """Moments of two sets of n_x and n_y rows, with the mean over all couples of rows in place of pairs.

    Sums of y are scaled to n_x rows, so that means and covariances are those of the sets. Standard errors are those of
    two independent samples: the item moments hold the centred scatter of each set.

    Parameters
    ----------
    first, second : Moments
        Moments of the rows of each set with themselves.

    Examples
    --------
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 4)) + 1
    >>> moments = UnpairedMoments.of_sets(UnpairedSets(x=X, y=Y[:40]))
    >>> bool(np.allclose(moments.cov_xy, 0)), moments.n, moments.swapped().n
    (True, 100, 40)
    """

    first: Any = None
    second: Any = None

    @classmethod
    def of_sets(cls, sets: UnpairedSets, /, *, normalize: bool = True) -> UnpairedMoments:
        """Compute the moments of both sets, one pass over each.

        Parameters
        ----------
        sets : UnpairedSets
            The rows.
        normalize : bool, default True
            Divide rows by their norm first.

        Returns
        -------
        UnpairedMoments
            The moments.

        Raises
        ------
        InputError
            If a row has NaN or infinite values, or is all zero. It names those of both sets.
        """
        try:
            first, second = (
                Moments.of(CrossDimPairs(**{name: source, f"{name} again": source}), normalize=normalize).numpy()
                for name, source in zip(sets.names, (sets.x, sets.y), strict=True)
            )
        except InputError:  # which names the rows of one set
            raise invalid_rows_error(sets.x, sets.y, by_position=False, paired=False) from None
        return cls.of_moments(first, second)

    @classmethod
    def of_moments(cls, first: Moments, second: Moments, /) -> UnpairedMoments:
        """Return the moments of two sets from those of each set.

        Parameters
        ----------
        first, second : Moments
            Moments of the rows of each set with themselves.

        Returns
        -------
        UnpairedMoments
            The moments.
        """
        n, scale = first.n, first.n / second.n
        mean_x, mean_y = first.mean_x, second.mean_x
        second_x, second_y = first.xx / n, second.xx / second.n
        # Unbiased, so that products of the means have no terms of a row with itself.
        scatters = [n * n * moments.cov_x / max(moments.n - 1, 1) for moments in (first, second)]
        union = (first.n * second_x + second.n * second_y) / (first.n + second.n)
        union_mean = (first.sum_x + second.sum_x) / (first.n + second.n)
        pooled = union - np.outer(union_mean, union_mean)
        zeros = np.zeros_like(mean_x)
        by_item = UnpairedItemMoments(
            n_items=min(first.n, second.n), count_sq=0.0, count_x=zeros, count_y=zeros, count_cos=0.0,
            xx=scatters[0], yy=scatters[1], xy=np.zeros_like(first.xx),
            cos_sq=0.0, cos_x=zeros, cos_y=zeros, n_x=first.n, n_y=second.n,
            pooled_scatter=n * n * (1 / first.n + 1 / second.n) * pooled,
        )  # fmt: skip
        return cls(
            n=n, sum_x=first.sum_x, sum_y=scale * second.sum_x, xx=first.xx, yy=scale * second.xx,
            xy=n * np.outer(mean_x, mean_y), cos_sq=n * float(np.sum(second_x * second_y)),
            cos_x=n * second_x @ mean_y, cos_y=n * second_y @ mean_x, item_moments=by_item,
            matmul_dtype=min(first.matmul_dtype, second.matmul_dtype), normalize=first.normalize,
            first=first, second=second,
        )  # fmt: skip

    def swapped(self) -> UnpairedMoments:
        """Return the moments of (y, x).

        Returns
        -------
        UnpairedMoments
            The same sets with x and y exchanged.
        """
        return self.of_moments(self.second, self.first)

    def numpy(self) -> UnpairedMoments:
        """Return these moments, which are NumPy arrays.

        Returns
        -------
        UnpairedMoments
            This object.
        """
        return self

    def __add__(self, other: Moments) -> Moments:
        raise InputError("moments of sets without pairs cannot be added; measure the sets together")


#: Moments of sets that still exist.
_CACHE: WeakKeyDictionary[UnpairedSets, dict[bool, UnpairedMoments]] = WeakKeyDictionary()


def moments_of_rows(data: Pairs | UnpairedSets, /, *, normalize: bool = True) -> Moments:
    """Return the moments of pairs, or of sets without pairs, computed once while the data exist.

    Parameters
    ----------
    data : Pairs or UnpairedSets
        The rows.
    normalize : bool, default True
        Divide rows by their norm first.

    Returns
    -------
    Moments
        `moments_of` pairs, or `UnpairedMoments`.

    Examples
    --------
    >>> moments_of_rows(UnpairedSets(x=np.eye(3), y=np.eye(3)[:2])).n_distinct
    (3, 2)
    """
    if isinstance(data, Pairs):
        return moments_of(data, normalize=normalize)
    computed = _CACHE.setdefault(data, {})
    if normalize not in computed:
        computed[normalize] = UnpairedMoments.of_sets(data, normalize=normalize)
    return computed[normalize]
