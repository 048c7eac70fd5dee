"""Intervals of the components of the cosine deficit of two sets without pairs.

Each component is a smooth function of the means and covariances of two independent samples. Its variance is the sum of
two infinitesimal jackknife variances, one for each set. Its bias is about a / n_x + b / n_y. Balanced half samples of
one set, with the other one whole, estimate each term. A component is a squared distance, whose error grows with it.
"""

from __future__ import annotations

import functools
import operator

import numpy as np

from isthmus.compute.arrays import unit_rows
from isthmus.compute.resources import n_threads
from isthmus.compute.threads import run_parallel
from isthmus.data.cross_dim_pairs import CrossDimPairs
from isthmus.data.unpaired_sets import UnpairedSets, sample_rows
from isthmus.diagnosis.cosine_decomposition import decomposition_values
from isthmus.diagnosis.decomposition_intervals import (
    GROUPS,
    MANY_DIMS,
    MAX_ITEMS,
    MIN_ITEMS_PER_DIM,
    MIN_ITEMS_PER_GROUP,
    MIN_PARALLEL_DIM,
    balanced_halves,
    influence,
)
from isthmus.statistics.intervals import Z95, square_interval, tail_factor
from isthmus.statistics.moments import Moments
from isthmus.statistics.unpaired_moments import UnpairedMoments

#: Components that need no pairs, which are the first columns of `influence`.
UNPAIRED_COMPONENTS = ("spectrum", "centre", "orientation")


def few_rows_note(sets: UnpairedSets, /) -> str:
    """Return why the components have no intervals, or ''.

    Parameters
    ----------
    sets : UnpairedSets
        The sets.

    Returns
    -------
    str
        A complete sentence that names the set with too few rows.

    Examples
    --------
    >>> few_rows_note(UnpairedSets(image=np.eye(300, 4) + 1, text=np.eye(30, 4) + 1))[:62]
    'The components have no intervals: 30 rows of text in 4 dimensi'
    """
    required = max(MIN_ITEMS_PER_DIM * sets.dim, MIN_ITEMS_PER_GROUP * GROUPS)
    few = [f"{n:,} rows of {name}" for name, n in zip(sets.names, sets.sizes, strict=True) if n < required]
    if not few:
        return ""
    return (
        f"The components have no intervals: {' and '.join(few)} in {sets.dim:,} dimensions are too few to estimate "
        f"their bias (about {required:,} are needed). Orientation is biased upward."
    )


def set_intervals(sets: UnpairedSets, moments: UnpairedMoments, /, *, rng: int = 0) -> dict[str, tuple[float, ...]]:
    """Return the components without bias, and their 95 % intervals.

    Parameters
    ----------
    sets : UnpairedSets
        The sets, with enough rows for `few_rows_note`. Larger sets are sampled.
    moments : UnpairedMoments
        Moments of all rows.
    rng : int, default 0
        Seed of the groups.

    Returns
    -------
    dict of str to tuple of float
        Value, lower and upper bound of 'spectrum', 'centre' and 'orientation', clipped at zero. It is empty if a bound
        is not finite.

    Examples
    --------
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 300, 8)) + [[[2.0]], [[3.0]]]
    >>> sets = UnpairedSets(image=X, text=Y[:100])
    >>> value, low, high = set_intervals(sets, UnpairedMoments.of_sets(sets))["centre"]
    >>> low <= value <= high
    True
    """
    n_components = len(UNPAIRED_COMPONENTS)
    bias, variance = np.zeros(n_components), np.zeros(n_components)
    for number, (source, size) in enumerate(zip((sets.x, sets.y), sets.sizes, strict=True)):
        rows = sample_rows(source, max(MAX_ITEMS, MIN_ITEMS_PER_DIM * sets.dim), number).astype(np.float64)
        rows = unit_rows(rows) if moments.normalize else rows
        other_mean = np.broadcast_to(moments.mean_x if number else moments.mean_y, rows.shape)
        scores = influence(moments, *((other_mean, rows) if number else (rows, other_mean)))[:, :n_components]
        # The directions are fitted to the same rows, hence the usual correction by degrees of freedom.
        correction = np.where(np.array(UNPAIRED_COMPONENTS) == "centre", 1.0, len(rows) / (len(rows) - sets.dim))
        tails = np.array([tail_factor(column) for column in scores.T]) ** 2
        variance += correction * tails * scores.var(axis=0, ddof=1) / size
        differences = _half_differences(rows, moments, number, rng=rng)
        scale = len(rows) / size
        bias += scale * differences.mean(axis=0)
        variance += scale**2 * differences.var(axis=0, ddof=1) * (1 + 1 / len(differences))
    debiased = _values(moments) - bias
    half_width = Z95 * np.sqrt(variance)
    # The error of a squared distance grows with it: a normal interval ends too low.
    squares = [square_interval(value, error) for value, error in zip(debiased, variance, strict=True)]
    high = np.maximum(debiased + half_width, [end for _, end in squares])
    bounds = [np.maximum(ends, 0.0) for ends in (debiased, debiased - half_width, high)]
    if not np.isfinite(bounds).all():
        return {}
    columns = np.transpose(bounds).tolist()
    return {name: tuple(column) for name, column in zip(UNPAIRED_COMPONENTS, columns, strict=True)}


def _half_differences(rows: np.ndarray, moments: UnpairedMoments, number: int, *, rng: int) -> np.ndarray:
    """Return the mean of two half samples of one set minus the value of all its rows, for several splits."""
    order = np.random.default_rng(rng).permutation(len(rows))
    groups = [
        Moments.of(CrossDimPairs(x=rows[part], y=rows[part]), normalize=moments.normalize, matmul_dtype="float64")
        for part in np.array_split(order, GROUPS)
    ]
    groups = [sums.numpy() for sums in groups]
    dim = rows.shape[1]
    halves = [
        [groups[index] for index in half]
        for pair in balanced_halves(GROUPS, GROUPS - 1 if dim <= MANY_DIMS else 3)
        for half in pair
    ]
    jobs = [functools.partial(_values_with, half, moments, number) for half in (groups, *halves)]
    whole, *half_values = run_parallel(jobs, n_threads() if dim >= MIN_PARALLEL_DIM else 1)
    return np.mean(np.reshape(half_values, (-1, 2, len(whole))), axis=1) - whole


def _values_with(groups: list[Moments], moments: UnpairedMoments, number: int) -> np.ndarray:
    """Return the components with one set replaced by several groups of its rows."""
    sums = functools.reduce(operator.add, groups)
    return _values(UnpairedMoments.of_moments(*((moments.first, sums) if number else (sums, moments.second))))


def _values(moments: Moments) -> np.ndarray:
    values = decomposition_values(moments)
    return np.array([getattr(values, name) for name in UNPAIRED_COMPONENTS])
