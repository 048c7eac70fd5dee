"""The bias of the components of the cosine deficit, from balanced half samples.

The components of a half sample have twice the bias of those of all items (McCarthy 1969), if the bias falls as 1/n. The
sum of sqrt(lambda mu) over the sorted spectra has a bias. It falls more slowly where eigenvalues are nearly equal,
because sampling spreads and sorts them. `spread_corrections` states how much of it half samples miss.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import n_threads
from isthmus.compute.threads import run_parallel
from isthmus.data.pairs import Pairs
from isthmus.diagnosis.cosine_decomposition import COMPONENTS, decomposition_values
from isthmus.linalg.sampled_spectrum import SampledSpectrum
from isthmus.statistics.moments import Moments, moments_of

#: Groups of items that the half samples consist of, a power of two, with few dimensions and in all other cases.
MANY_GROUPS, GROUPS = 16, 8
#: Items in each group below which there are fewer groups, or no intervals.
MIN_ITEMS_PER_GROUP = 5
#: Dimensions above which three splits are enough, because a bias is then a mean of many terms.
MANY_DIMS = 64
#: Dimension from which nulls, influences and half samples are computed side by side.
MIN_PARALLEL_DIM = 128
#: Numbers that have an interval.
NAMES = (*COMPONENTS, "captured_fraction")
#: Change of the numbers with the sum of sqrt(lambda mu).
ALONG_BOUND = np.array([{"spectrum": -1.0, "orientation": 1.0}.get(name, 0.0) for name in NAMES])


class HalfSampleBias(NamedTuple):
    """Differences (splits, 5) of half samples and all items, and spread corrections (k,)."""

    differences: np.ndarray
    corrections: np.ndarray

    def bias_and_variance(self, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the bias of the numbers, and the variance of this bias.

        The observed and the estimated spectra give two numbers. The bias is their mean, and their variance is a part
        of its variance.
        """
        change = ALONG_BOUND * float(self.corrections.mean()) / 2
        bias = scale * self.differences.mean(axis=0) + change
        variance = scale**2 * self.differences.var(axis=0, ddof=1) * (1 + 1 / len(self.differences)) + 2 * change**2
        return bias, variance


def half_sample_bias(pairs: Pairs, moments: Moments, all_moments: Moments, *, rng: int = 0) -> HalfSampleBias:
    """Return the bias of the numbers of `NAMES` from several splits of the components of pairs into halves.

    `moments` are those of `pairs`, which may be a sample of the pairs of `all_moments`.
    """
    order = _order_of_components(pairs, normalize=moments.normalize, rng=rng)
    group_of_component = np.empty(len(order), dtype=np.int64)
    n_groups = number_of_groups(len(order), pairs.dim)
    for number, components in enumerate(np.array_split(order, n_groups)):
        group_of_component[components] = number
    group = group_of_component[pairs.components]
    groups = [
        moments_of(pairs.take(np.flatnonzero(group == number)), normalize=moments.normalize, matmul_dtype="float64")
        for number in range(n_groups)
    ]
    groups = [sums.numpy() for sums in groups]
    threads = n_threads() if pairs.dim >= MIN_PARALLEL_DIM else 1
    halves = half_samples(groups, pairs.dim)
    jobs = [functools.partial(_values_of, half) for half in halves]
    differences = np.mean(np.reshape(run_parallel(jobs, threads), (-1, 2, len(NAMES))), axis=1) - as_array(moments)
    scale = len(pairs.first_pairs[0]) / all_moments.by_item.n_items
    sums = [add_moments(half) for half in (halves if pairs.dim <= MANY_DIMS else halves[:2])]
    tasks = [
        functools.partial(
            SampledSpectrum,
            *(getattr(all_moments, name), [getattr(half, name) for half in sums]),
            reference=getattr(moments, name),
            scale=scale,
        )
        for name in ("cov_x", "cov_y")
    ]
    return HalfSampleBias(differences, spread_corrections(*run_parallel(tasks, threads)))


def _order_of_components(pairs: Pairs, *, normalize: bool, rng: int) -> np.ndarray:
    """Return the components of pairs in a random order that depends on their rows, and not on the order of the rows."""
    generator = np.random.default_rng(rng)
    direction = generator.normal(size=pairs.dim)
    x, y = (np.asarray(to_numpy(rows) @ direction, dtype=np.float64) for rows in pairs.unit(normalize=normalize))
    of_components = np.bincount(
        pairs.components[pairs.owner], weights=x[pairs.owner] + y, minlength=int(pairs.components.max()) + 1
    )
    return np.argsort(of_components, kind="stable")[generator.permutation(len(of_components))]


def number_of_groups(n_items: int, dim: int) -> int:
    """Return the number of groups that half samples consist of."""
    return MANY_GROUPS if dim <= MANY_DIMS and n_items >= MIN_ITEMS_PER_GROUP * MANY_GROUPS else GROUPS


def half_samples(groups: Sequence[Moments], dim: int) -> list[list[Moments]]:
    """Return the groups of the two halves of each split, one after another."""
    splits = balanced_halves(len(groups), len(groups) - 1 if dim <= MANY_DIMS else 3)
    return [[groups[number] for number in half] for halves in splits for half in halves]


def add_moments(groups: Sequence[Moments]) -> Moments:
    """Return the moments of the items of several groups."""
    return functools.reduce(operator.add, groups)


def balanced_halves(n_groups: int, splits: int, /) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return splits of groups into halves, any two of which share half of their groups.

    Parameters
    ----------
    n_groups : int
        Number of groups, a power of two.
    splits : int
        Number of splits, fewer than `n_groups`.

    Returns
    -------
    list of tuple of ndarray
        Numbers of the groups of both halves, from the rows of a Hadamard matrix.

    Examples
    --------
    >>> [half.tolist() for half in balanced_halves(4, 1)[0]]
    [[0, 2], [1, 3]]
    """
    signs = np.array([[1]])
    while len(signs) < n_groups:
        signs = np.block([[signs, signs], [signs, -signs]])
    return [(np.flatnonzero(row == 1), np.flatnonzero(row == -1)) for row in signs[1 : 1 + splits]]


def spread_corrections(x: SampledSpectrum, y: SampledSpectrum) -> np.ndarray:
    """Return by how much the bias of sum sqrt(lambda mu) is larger for the estimated spectra, one number each split."""
    observed = _bound(x.from_observed, y.from_observed) - _bound(x.observed, y.observed)
    estimated = _bound(x.from_estimated, y.from_estimated) - _bound(x.estimated, y.estimated)
    return np.mean(np.reshape(estimated - observed, (-1, 2)), axis=1)


def _bound(lambdas: np.ndarray, mus: np.ndarray) -> np.ndarray:
    return np.sqrt(lambdas * mus).sum(axis=-1)


def _values_of(groups: Sequence[Moments]) -> np.ndarray:
    """Return the numbers of the items of several groups."""
    return as_array(add_moments(groups))


def as_array(moments: Moments) -> np.ndarray:
    """Return the numbers of `NAMES`."""
    values = decomposition_values(moments)
    return np.array([getattr(values, name) for name in NAMES])
