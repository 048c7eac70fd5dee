"""Intervals and nulls of the cosine decomposition.

Each component is a smooth function of the moments where the spectra are simple. Its standard error comes from the
infinitesimal jackknife (Jaeckel 1972). The fidelity F(P, Q) = |P^1/2 Q^1/2|_* has the derivatives dF/dP = T/2 and
dF/dQ = T^-1/2. T = P^-1/2 (P^1/2 Q P^1/2)^1/2 P^-1/2 is the optimal transport map from N(0, P) to N(0, Q). One row
therefore moves F by (x'Tx + y'T^-1 y)/2 - F.

The components also have a bias, which dominates near zero and where eigenvalues are nearly equal
(`isthmus.diagnosis.half_samples`). A percentile bootstrap does not cover, because the duplicates in a resample reduce
the effective sample size.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from isthmus.compute.arrays import row_dot, to_numpy
from isthmus.compute.resources import n_threads
from isthmus.compute.score_matrix import even_slices
from isthmus.compute.threads import run_parallel
from isthmus.data.grouping import pairs_of_items, units_of_pairs
from isthmus.data.pairs import Pairs
from isthmus.diagnosis.cosine_decomposition import (
    COMPONENTS,
    MIN_COVARIANCE,
    NO_SPREAD,
    CosineDecomposition,
    CovariancePair,
    decompose_cosine,
)
from isthmus.diagnosis.half_samples import (
    GROUPS,
    MIN_ITEMS_PER_GROUP,
    MIN_PARALLEL_DIM,
    NAMES,
    HalfSampleBias,
    half_sample_bias,
)
from isthmus.statistics.freedom import tail_factor
from isthmus.statistics.intervals import Z95, normal_interval, square_interval
from isthmus.statistics.mean_variance import interval_variance
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.result import NAN, Estimate
from isthmus.utils.arguments import check_seed, shown
from isthmus.utils.errors import InputError
from isthmus.utils.format import sample_words
from isthmus.utils.validation import check_sample

#: Rows that are converted to float64 and centred at once.
BLOCK_ROWS = 1024
#: Items per dimension below which there are no intervals, because half samples no longer show the bias.
MIN_ITEMS_PER_DIM = 5
#: Directions in which too few items move the components.
BIASES = "Orientation is biased upward, pairing downward, and spectrum in either direction"
#: Larger data are sampled. Standard errors and biases are then scaled to all items.
MAX_ITEMS = 10_000


def decompose_pairs(
    pairs: Pairs, /, *, normalize: bool = True, rng: int = 0, sample: int | None = None
) -> CosineDecomposition:
    """Decompose the cosine deficit of `pairs`, with 95 % intervals and nulls.

    Parameters
    ----------
    pairs : Pairs
        The pairs, both modalities of one width. Equal rows are one item, with a warning that counts them.
    normalize : bool, default True
        Whether rows are divided by their norms.
    rng : int, default 0
        Seed of the sample, the half samples and the null.
    sample : int, optional
        Items in the random sample that gives bias, intervals and nulls, which are scaled to all items. Default: 10,000.
        It has at least 5 items per dimension. A note and `Estimate.sampled` state it.

    Returns
    -------
    CosineDecomposition
        Values are without the bias of sampling if there are intervals, else the plug-in estimates. Both add up. Notes
        give the reason if there are no intervals.

    Raises
    ------
    InputError
        If the rows are not unit rows, or the widths differ.

    Notes
    -----
    An interval is clipped at zero and contains the value. Components without bias that would be negative are zero, and
    the largest ones are smaller by as much, so that they add up.

    The null of 'spectrum', 'centre' and 'orientation' is the value after the two rows of random items were swapped
    (after centring for 'spectrum' and 'orientation'). This is the value of two samples from one distribution. The null
    of 'pairing' is the value of a shuffled pairing.

    Values and intervals do not depend on the order of the rows, as long as all rows are taken. Nulls are random.

    With fewer than 5 items per dimension only the total has an interval. The simulated coverage of nominal 95 %
    intervals is .92 to .99, and up to 1.00 for components that are nearly zero. There were 200 data sets each with
    d = 8, n = 200 and d = 16, n = 500.

    Examples
    --------
    >>> import isthmus
    >>> budget = decompose_pairs(isthmus.demo.load("plain"))
    >>> bool(budget["centre"].low < budget["centre"].value < budget["centre"].high)
    True
    """
    if not isinstance(pairs, Pairs):
        raise InputError(f"pairs={shown(pairs)}, expected Pairs(image=X, text=Y)")
    check_seed(rng)
    check_sample(sample)
    pairs = pairs_of_items(pairs, normalize=normalize)
    moments = moments_of(pairs, normalize=normalize).numpy()
    plug_in = decompose_cosine(moments)
    deficit = 1 - moments.mean_paired
    low, high = normal_interval(deficit, interval_variance(moments, paired=1.0))
    if pairs.dependence is not None:
        low = high = NAN
    items = moments.by_item.n_items
    required = max(MIN_ITEMS_PER_DIM * pairs.dim, MIN_ITEMS_PER_GROUP * GROUPS)
    subsample = pairs.sample(max(MAX_ITEMS if sample is None else sample, required), rng=rng)
    scale = len(subsample.first_pairs[0]) / len(pairs.first_pairs[0])
    subsample_moments = moments if subsample is pairs else moments_of(subsample, normalize=normalize).numpy()
    sampled = 0 if subsample is pairs else subsample.n_items
    notes = []
    intervals: dict[str, tuple[float, float]] = {}
    debiased: dict[str, float] = {}
    has_intervals = pairs.dependence is None and items >= required
    tasks: list[Callable[[], Any]] = [  # the longest one first
        functools.partial(half_sample_bias, subsample, subsample_moments, moments, rng=rng),
        functools.partial(item_influence, subsample, subsample_moments),
        functools.partial(swap_null, subsample, subsample_moments, rng=rng),
        functools.partial(best_rotation_fraction, subsample, subsample_moments, rng=rng),
    ]
    threads = n_threads() if pairs.dim >= MIN_PARALLEL_DIM else 1
    results = run_parallel(tasks if has_intervals else tasks[2:], threads)
    swapped, best_rotation = results[-2:]
    nulls = {name: scale * value for name, value in swapped.items()}
    if pairs.dependence is not None:
        notes.append(f"The components have {pairs.dependence}.")
    elif items < required:
        notes.append(
            f"The components have no intervals: {items:,} items in {pairs.dim:,} dimensions are too few to estimate "
            f"their bias (about {required:,} are needed). {BIASES}."
        )
    else:
        values = np.array([*(plug_in[name].value for name in COMPONENTS), plug_in.captured_fraction.value])
        debiased, intervals = _intervals(values, results[1], results[0], subsample, scale)
    if sampled:
        notes.append(_sample_note(sampled, pairs.n_items))
    components = {
        name: dataclasses.replace(
            _with_interval(component, debiased, intervals, name, sampled), null=nulls.get(name, component.null)
        )
        for name, component in plug_in.items()
    }
    return dataclasses.replace(
        plug_in,
        components=components,
        total=dataclasses.replace(plug_in.total, low=low, high=high),
        captured_fraction=_with_interval(plug_in.captured_fraction, debiased, intervals, "captured_fraction", sampled),
        best_rotation_fraction=dataclasses.replace(best_rotation, sampled=sampled),
        notes=tuple(notes),
    )


def _sample_note(sampled: int, items: int) -> str:
    """Return which numbers of the components come from a sample, and how many items it has."""
    return (
        "Sampling bias and intervals of the components and of the reached share, and chance of spectrum, centre and "
        "orientation, are those of "
        f"{sample_words(sampled, items)} (--sample), scaled to all items. --json states the standard errors."
    )


def _with_interval(
    estimate: Estimate,
    debiased: dict[str, float],
    intervals: dict[str, tuple[float, float]],
    name: str,
    sampled: int,
) -> Estimate:
    if name not in intervals:
        return estimate
    low, high = intervals[name]
    return dataclasses.replace(
        estimate, value=debiased[name], low=low, high=high, plugin=estimate.value, sampled=sampled
    )


def _intervals(
    values: np.ndarray, scores: np.ndarray, half_samples: HalfSampleBias, sample: Pairs, scale: float
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return `values` without bias and their intervals by name, without those that are not finite.

    `scores` are from `item_influence`.
    """
    n, dim = sample.n_components, sample.dim
    jackknife_variance = np.sum(scores**2, axis=0) / n**2 * n / (n - 1)
    tails = np.array([tail_factor(column) for column in scores.T])
    bias, bias_variance = half_samples.bias_and_variance(scale)
    variance = scale * degrees_of_freedom(NAMES, n, dim) * tails**2 * jackknife_variance + bias_variance
    minimum = np.array([0.0] * len(COMPONENTS) + [-1.0])
    low, high = (np.maximum(end, minimum) for end in component_interval(values - bias, variance))
    intervals = {
        name: (float(a), float(b))
        for name, a, b in zip(NAMES, low, high, strict=True)
        if math.isfinite(a) and math.isfinite(b)
    }
    if any(name not in intervals for name in COMPONENTS):
        return dict(zip(NAMES, values.tolist(), strict=True)), {}
    debiased = np.maximum(values - bias, minimum)
    count = len(COMPONENTS)
    debiased[:count] = _with_sum(debiased[:count], low[:count], values[:count].sum())
    return dict(zip(NAMES, debiased.tolist(), strict=True)), intervals


def _with_sum(values: np.ndarray, low: np.ndarray, total: float) -> np.ndarray:
    """Return values that add up to a total: the largest ones are reduced, none below its lower bound.

    >>> _with_sum(np.array([0.5, 0.3, 0.0]), np.array([0.45, 0.1, 0.0]), 0.7).round(2).tolist()
    [0.45, 0.25, 0.0]
    """
    values = values.copy()
    for largest in np.argsort(-values, kind="stable"):
        excess = values.sum() - total
        values[largest] -= min(excess, values[largest] - low[largest])
    return values


def component_interval(debiased: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the intervals of numbers in the order of `NAMES`.

    Spectrum and orientation are squared distances, whose error grows with them: a normal interval ends too low.
    """
    half_width = Z95 * np.sqrt(variance)
    high = debiased + half_width
    for number, name in enumerate(NAMES[: len(debiased)]):
        if name in ("spectrum", "orientation"):
            high[number] = max(high[number], square_interval(debiased[number], variance[number])[1])
    return debiased - half_width, high


def degrees_of_freedom(names: Sequence[str], n: int, dim: int) -> np.ndarray:
    """Return the factors of jackknife variances for directions that are fitted to the same rows. Means need none."""
    return np.where(np.array(names) == "centre", 1.0, n / (n - dim))


def influence(moments: Moments, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the influence of the pairs (x_i, y_i), unit rows (n, d), on the numbers of `NAMES`: (n, 5).

    The influence is the derivative with respect to the weight of a pair. It sums to zero over the pairs of `moments`.
    """
    pair = CovariancePair(moments)
    length_x, length_y = (float(np.linalg.norm(mean)) for mean in (pair.mean_x, pair.mean_y))
    ratio = length_y / length_x if length_x > 0 else 0.0
    U, D, Wt = np.linalg.svd(pair.core, full_matrices=False)
    fidelity = float(D.sum())
    captured = pair.covariance / fidelity if fidelity > MIN_COVARIANCE else NAN
    inverse_root_x, inverse_root_y = (_inverse_root(values) for values in (pair.lambdas, pair.mus))

    def influence_of_block(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = (rows.astype(np.float64) - mean for rows, mean in ((x, pair.mean_x), (y, pair.mean_y)))
        lengths = ratio * (x @ pair.mean_x) + (y @ pair.mean_y / ratio if ratio > 0 else 0.0)
        centres = x @ pair.mean_y + y @ pair.mean_x
        in_x, in_y = x @ pair.directions_x, y @ pair.directions_y
        bound_x = in_x**2 @ (inverse_root_x * np.sqrt(pair.mus))
        bound_y = in_y**2 @ (inverse_root_y * np.sqrt(pair.lambdas))
        d_bound = 0.5 * (bound_x + bound_y) - pair.bound
        # x'Tx = |D^1/2 U' lambda^-1/2 V'x|^2, because P^1/2 Q P^1/2 = U D^2 U' in the eigenbasis of P.
        along_x, along_y = (in_x * inverse_root_x) @ U, (in_y * inverse_root_y) @ Wt.T
        d_fidelity = 0.5 * (along_x**2 @ D + along_y**2 @ D) - fidelity
        d_covariance = row_dot(x, y) - pair.covariance if pair.bound > 0 else np.zeros(len(x))
        d_captured = (
            (d_covariance - captured * d_fidelity) / fidelity if fidelity > MIN_COVARIANCE else np.full(len(x), NAN)
        )
        columns = [-lengths - d_bound, lengths - centres, d_bound - d_fidelity, d_fidelity - d_covariance, d_captured]
        return np.stack(columns, axis=1)

    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, len(x), BLOCK_ROWS)]
    return np.concatenate([influence_of_block(x[block], y[block]) for block in blocks])


def _inverse_root(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, 1 / np.sqrt(np.where(values > 0, values, 1.0)), 0.0)


def item_influence(pairs: Pairs, moments: Moments) -> np.ndarray:
    """Return the sum of `influence` over the pairs of each component, times components / pairs: (components, 5)."""
    x, y = _unit_rows(pairs, moments)
    scores = influence(moments, x if pairs.index is None else x[pairs.index], y)
    if pairs.index is None and pairs.y_groups is None:
        return scores
    components = pairs.components[pairs.owner]
    columns = [np.bincount(components, weights=column) for column in scores.T]
    return np.stack(columns, axis=1)[np.bincount(components) > 0] * pairs.n_components / pairs.n_pairs


def swap_null(pairs: Pairs, moments: Moments, *, rng: int = 0) -> dict[str, float]:
    """Return 'spectrum', 'centre' and 'orientation' after the two rows of random items were swapped."""
    x, y = _unit_rows(pairs, moments)
    units = units_of_pairs(pairs)
    is_swapped = np.random.default_rng(rng).random(int(units.max()) + 1) < 0.5
    swap = is_swapped[units][:, None]
    owner, means = pairs.owner, np.zeros((2, x.shape[1]))
    total: Moments | None = None
    for block in even_slices(len(y), BLOCK_ROWS):
        a, b, swapped = x[owner[block]].astype(np.float64), y[block].astype(np.float64), swap[block]
        means += np.where(swapped, a, b).sum(axis=0), np.where(swapped, b, a).sum(axis=0)
        a, b = a - moments.mean_x, b - moments.mean_y
        swapped_rows = np.where(swapped, a, b), np.where(swapped, b, a)
        sums = Moments.of(*swapped_rows, normalize=False, matmul_dtype="float64")
        total = sums if total is None else total + sums
    assert total is not None
    mean_first, mean_second = means / len(y)
    centre = np.linalg.norm(mean_first) * np.linalg.norm(mean_second) - mean_first @ mean_second
    pair = CovariancePair(total)
    lengths = [math.sqrt(max(1 - float(values.sum()), 0.0)) for values in (pair.lambdas, pair.mus)]
    return {
        "spectrum": max(1 - lengths[0] * lengths[1] - pair.bound, 0.0),
        "centre": max(float(centre), 0.0),
        "orientation": pair.bound - pair.fidelity,
    }


def best_rotation_fraction(pairs: Pairs, moments: Moments, *, rng: int = 0) -> Estimate:
    """Return the fraction of the largest covariance that the best rotation captures. The null is a shuffled pairing.

    The rows of the modality with the larger variance are shuffled, so that swapped modalities have the same null. The
    pairs of one component stay together.
    """
    x, y = _unit_rows(pairs, moments)
    x = x if pairs.index is None else x[pairs.index]
    bound = CovariancePair(moments).bound
    if bound <= MIN_COVARIANCE:
        return Estimate(NAN, unit="share", undefined=NO_SPREAD)
    order = _shuffled_units(units_of_pairs(pairs), rng)
    clouds = [(float(np.trace(moments.cov_x)), x, moments.mean_x), (float(np.trace(moments.cov_y)), y, moments.mean_y)]
    (_, shuffled, mean_shuffled), (_, fixed, mean_fixed) = sorted(clouds, key=lambda cloud: cloud[0], reverse=True)
    shuffled_cov = np.zeros((shuffled.shape[1], fixed.shape[1]))
    for start in range(0, len(x), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        shuffled_cov += (shuffled[order[block]] - mean_shuffled).T @ (fixed[block] - mean_fixed) / len(x)
    value, null = (float(np.linalg.svd(m, compute_uv=False).sum()) for m in (moments.cov_xy, shuffled_cov))
    return Estimate(value / bound, null=null / bound, unit="share")


def _shuffled_units(units: np.ndarray, rng: int) -> np.ndarray:
    """Return a pair of a random unit for each pair, (n_pairs,). The pairs of a unit get those of one other unit."""
    by_unit, counts = np.argsort(units, kind="stable"), np.bincount(units)
    begins = np.cumsum(counts) - counts
    rank = np.empty_like(by_unit)
    rank[by_unit] = np.arange(len(units)) - np.repeat(begins, counts)
    partner_unit = np.random.default_rng(rng).permutation(len(counts))[units]
    order: np.ndarray = by_unit[begins[partner_unit] + rank % counts[partner_unit]]
    return order


def _unit_rows(pairs: Pairs, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    x, y = (to_numpy(rows) for rows in pairs.unit(normalize=moments.normalize))
    return x, y
