"""Intervals of the components of the cosine deficit of two sets without pairs.

Each component is a smooth function of the means and covariances of two independent samples. Its variance is the sum of
two infinitesimal jackknife variances, one for each set. Its bias is the sum of two terms, one for each set. Balanced
half samples of one set, with the other one whole, estimate each term.
"""

from __future__ import annotations

import functools

import numpy as np

from isthmus.compute.arrays import unit_rows
from isthmus.compute.resources import n_threads
from isthmus.compute.threads import run_parallel
from isthmus.data.cross_dim_pairs import CrossDimPairs
from isthmus.data.unpaired_sets import UnpairedSets, sample_rows
from isthmus.diagnosis.decomposition_intervals import (
    MAX_ITEMS,
    MIN_ITEMS_PER_DIM,
    component_interval,
    degrees_of_freedom,
    influence,
)
from isthmus.diagnosis.half_samples import (
    GROUPS,
    MANY_DIMS,
    MIN_ITEMS_PER_GROUP,
    MIN_PARALLEL_DIM,
    HalfSampleBias,
    add_moments,
    as_array,
    half_samples,
    number_of_groups,
    spread_corrections,
)
from isthmus.linalg.sampled_spectrum import SampledSpectrum
from isthmus.statistics.freedom import tail_factor
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
        f"their bias (about {required:,} are needed). Orientation is biased upward, and spectrum in "
        "either direction."
    )


def _max_rows(sets: UnpairedSets, sample: int | None) -> int:
    """Return the number of rows of a set from which more are sampled."""
    return max(MAX_ITEMS if sample is None else sample, MIN_ITEMS_PER_DIM * sets.dim)


def sampled_rows(sets: UnpairedSets, /, sample: int | None = None) -> int:
    """Return the number of random rows of each larger set that bias and intervals come from, 0 if no set is larger.

    Parameters
    ----------
    sets : UnpairedSets
        The sets.
    sample : int, optional
        Largest number of rows, which is at least 5 per dimension. Default: 10,000.

    Returns
    -------
    int
        Number of rows.

    Examples
    --------
    >>> sampled_rows(UnpairedSets(image=np.eye(300, 4) + 1, text=np.eye(30, 4) + 1))
    0
    """
    max_rows = _max_rows(sets, sample)
    return max_rows if max(sets.sizes) > max_rows else 0


def set_intervals(
    sets: UnpairedSets, moments: UnpairedMoments, /, *, rng: int = 0, sample: int | None = None
) -> dict[str, tuple[float, ...]]:
    """Return the components without bias, and their 95 % intervals.

    Parameters
    ----------
    sets : UnpairedSets
        The sets, with enough rows for `few_rows_note`. Larger sets are sampled.
    moments : UnpairedMoments
        Moments of all rows.
    rng : int, default 0
        Seed of the groups.
    sample : int, optional
        Largest number of random rows of a set, as in `sampled_rows`.

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
    variance = np.zeros(n_components)
    scales: list[float] = []
    differences: list[np.ndarray] = []
    spectra: list[SampledSpectrum] = []
    for number, (source, size, seed) in enumerate(zip((sets.x, sets.y), sets.sizes, sets.seeds, strict=True)):
        rows = sample_rows(source, _max_rows(sets, sample), seed).astype(np.float64)
        rows = unit_rows(rows) if moments.normalize else rows
        other_mean = np.broadcast_to(moments.mean_x if number else moments.mean_y, rows.shape)
        scores = influence(moments, *((other_mean, rows) if number else (rows, other_mean)))[:, :n_components]
        tails = np.array([tail_factor(column) for column in scores.T]) ** 2
        factors = degrees_of_freedom(UNPAIRED_COMPONENTS, len(rows), sets.dim)
        variance += factors * tails * scores.var(axis=0, ddof=1) / size
        scales.append(len(rows) / size)
        set_differences, spectrum = _half_samples(rows, moments, number, scale=scales[-1], rng=rng)
        differences.append(set_differences)
        spectra.append(spectrum)
    x, y = spectra
    corrections = (spread_corrections(x, y.without_sampling()), spread_corrections(x.without_sampling(), y))
    biases = [HalfSampleBias(*columns) for columns in zip(differences, corrections, strict=True)]
    terms = [bias.bias_and_variance(scale) for bias, scale in zip(biases, scales, strict=True)]
    bias, bias_variance = (np.sum(columns, axis=0)[:n_components] for columns in zip(*terms, strict=True))
    debiased = _values(moments) - bias
    bounds = [np.maximum(ends, 0.0) for ends in (debiased, *component_interval(debiased, variance + bias_variance))]
    if not np.isfinite(bounds).all():
        return {}
    columns = np.transpose(bounds).tolist()
    return {name: tuple(column) for name, column in zip(UNPAIRED_COMPONENTS, columns, strict=True)}


def _half_samples(
    rows: np.ndarray, moments: UnpairedMoments, number: int, *, scale: float, rng: int
) -> tuple[np.ndarray, SampledSpectrum]:
    """Return the mean of two half samples of one set minus the value of all its rows, for several splits.

    The second result is the spectrum of the set with its half samples.
    """
    order = np.random.default_rng(rng).permutation(len(rows))
    dim = rows.shape[1]
    groups = [
        Moments.of(CrossDimPairs(x=rows[part], y=rows[part]), normalize=moments.normalize, matmul_dtype="float64")
        for part in np.array_split(order, number_of_groups(len(rows), dim))
    ]
    groups = [sums.numpy() for sums in groups]
    halves = half_samples(groups, dim)
    jobs = [functools.partial(_values_with, half, moments, number) for half in (groups, *halves)]
    all_rows, *half_values = run_parallel(jobs, n_threads() if dim >= MIN_PARALLEL_DIM else 1)
    half_sums = [add_moments(half).cov_x for half in (halves if dim <= MANY_DIMS else halves[:2])]
    spectrum = SampledSpectrum(
        moments.cov_y if number else moments.cov_x, half_sums, reference=add_moments(groups).cov_x, scale=scale
    )
    return np.mean(np.reshape(half_values, (-1, 2, len(all_rows))), axis=1) - all_rows, spectrum


def _values_with(groups: list[Moments], moments: UnpairedMoments, number: int) -> np.ndarray:
    """Return the numbers with one set replaced by several groups of its rows."""
    sums = add_moments(groups)
    pair = UnpairedMoments.of_moments(*((moments.first, sums) if number else (sums, moments.second)))
    return as_array(pair)


def _values(moments: Moments) -> np.ndarray:
    return as_array(moments)[: len(UNPAIRED_COMPONENTS)]
