"""Distances between the two clouds by mean and covariance: Frechet, Bures and CORAL distances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.linalg.psd import covariance_fidelity, factor_fidelity, row_fidelity
from isthmus.metrics._conditions import EQUAL_ROWS_IN_BOTH, few_items_note, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._trace_estimates import TraceEstimates
from isthmus.statistics.freedom import widened_variance
from isthmus.statistics.influence import InfluenceSample, UnpairedSample
from isthmus.statistics.intervals import length_interval
from isthmus.statistics.mean_variance import mean_freedom
from isthmus.statistics.result import NAN, Estimate

#: Squared distance of unit rows below which two clouds are equal but for rounding.
MIN_SQUARED_DISTANCE = 1e-13
#: Squared distance of two covariances that is rounding, as a share of the sum of their squared norms.
ROUNDING = 1e-14
#: Data without a distance of which a share could be taken.
EQUAL_CLOUDS = "the two clouds have the same mean and covariance"
#: Random swaps that the null averages. The null of one swap alone deviates by about 10 %.
N_SWAPS = 5
_BIASED = (
    "none: sampling noise alone makes two covariances differ, by a share of order d / n, and the distance has no "
    "derivative where one is singular; compare with the null"
)


def _orthogonal_lines() -> tuple[np.ndarray, np.ndarray]:
    """Return two orthogonal lines through the origin: equal means, different covariances."""
    return np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, -1.0]])


@dataclass(frozen=True)
class SquaredDistances:
    """Squared gap |mean x - mean y|^2 and squared Bures distance of the two clouds."""

    gap: float
    bures: float

    @classmethod
    def from_context(cls, context: MetricContext, /) -> SquaredDistances:
        """Return the distances of the data.

        The Bures distance is tr S_x + tr S_y - 2 F with the fidelity F = |S_x^1/2 S_y^1/2|_*, which is computed from
        the eigenvectors of the context.
        """
        gap = context.moments.mean_x - context.moments.mean_y
        (lx, vectors_x), (ly, vectors_y) = context.x.centred, context.y.centred
        fidelity = factor_fidelity(vectors_x * np.sqrt(lx), vectors_y * np.sqrt(ly))
        return cls(float(gap @ gap), max(float(lx.sum() + ly.sum() - 2 * fidelity), 0.0))


@dataclass(frozen=True)
class SwappedDistances(SquaredDistances):
    """Mean squared distances over random swaps of the modalities of half of the items. NaN without rows."""

    @classmethod
    def from_context(cls, context: MetricContext, /) -> SwappedDistances:
        """Swap random halves of the items, which do not depend on the order of the rows.

        If there are more items than the sample holds, both distances are those of the sample times
        (items sampled / all items).
        """
        sample = context.influence_sample
        if sample is None or sample.items < 2:
            return cls(NAN, NAN)
        rng = np.random.default_rng(0)
        if isinstance(sample, UnpairedSample):
            return cls(*_redealt_distances(sample, rng))
        halves = [rng.permutation(sample.random_order)[::2] for _ in range(N_SWAPS)]
        total = sample.x.T @ sample.x + sample.y.T @ sample.y  # a swap does not change it
        gap, bures = np.mean([_swapped_distances(sample, half, total) for half in halves], axis=0)
        scale = sample.items / context.moments.by_item.n_items
        return cls(float(gap) * scale, float(bures) * scale)


def _redealt_distances(sample: UnpairedSample, rng: np.random.Generator) -> tuple[float, float]:
    """Return mean squared gap and Bures distance if all rows are dealt to the two sets at random.

    Rows are ordered by their products with the mean of all rows, and the larger set gets the first rows of each draw.
    Exchanged sets then have the same draws.
    """
    rows, count = np.concatenate([sample.x, sample.y]), max(len(sample.x), len(sample.y))
    products = np.einsum("ij,j->i", rows, sample.x.sum(axis=0) + sample.y.sum(axis=0))
    rows = rows[np.argsort(products, kind="stable")]
    distances = []
    for _ in range(N_SWAPS):
        order = rng.permutation(len(rows))
        distances.append(_cloud_distances(rows[order[:count]], rows[order[count:]]))
    scale = (1 / sample.sizes[0] + 1 / sample.sizes[1]) / (1 / count + 1 / (len(rows) - count))
    gap, bures = np.mean(distances, axis=0) * scale
    return float(gap), float(bures)


def _swapped_distances(sample: InfluenceSample, swapped_items: np.ndarray, total: np.ndarray) -> tuple[float, float]:
    """Return squared gap and squared Bures distance if these items swap their modalities.

    `total` is the sum of the outer products of all rows of both modalities.
    """
    is_swapped = np.zeros(sample.items, dtype=bool)
    is_swapped[swapped_items] = True
    swap = np.repeat(is_swapped, sample.counts.astype(np.int64))[:, None]
    clouds = (np.where(swap, a, b) for a, b in ((sample.x, sample.y), (sample.y, sample.x)))
    return _cloud_distances(*clouds, total=total)


def _cloud_distances(*clouds: np.ndarray, total: np.ndarray | None = None) -> tuple[float, float]:
    """Return squared gap and squared Bures distance of two clouds.

    `total` is the sum of the outer products of the rows of both, if it is known.
    """
    means = [cloud.mean(axis=0) for cloud in clouds]
    gap = means[0] - means[1]
    if max(len(cloud) for cloud in clouds) < clouds[0].shape[1]:
        fidelity = row_fidelity(*clouds)
        spread = sum(float(cloud.var(axis=0).sum()) for cloud in clouds)
    else:
        first = clouds[0].T @ clouds[0]
        grams = (first, clouds[1].T @ clouds[1] if total is None else total - first)
        covariances = [
            gram / len(cloud) - np.outer(mean, mean) for gram, cloud, mean in zip(grams, clouds, means, strict=True)
        ]
        fidelity = covariance_fidelity(*covariances)
        spread = sum(float(np.trace(covariance)) for covariance in covariances)
    return float(gap @ gap), max(spread - 2 * fidelity, 0.0)


@metric(
    "frechet_distance",
    needs_pairs=False,
    family="distribution",
    unit="distance",
    range=(0, np.inf),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval=_BIASED,
    null_model="modality swap",
    source="Dowson and Landau 1982, The Frechet distance between multivariate normal distributions; Role et al. 2025, "
    "arXiv 2505.03703",
    reference_case=lambda: (*_orthogonal_lines(), math.sqrt(2)),
)
def frechet_distance(context: MetricContext) -> Estimate:
    """Frechet distance of the two clouds as Gaussians, sqrt(|gap|^2 + tr(S_x + S_y - 2 (S_x S_y)^1/2)).

    gap is the difference of the means, and covariances have 1/n. The null is the root mean square distance over five
    random swaps of the modalities of half of the items. After a swap both clouds have the same distribution. Exactly
    half of the items swap. If each item swapped with probability 1/2, their random number would leave about
    |gap| / sqrt(n) between the means. If there are more than 2,000 items, the null is
    taken from a sample and scaled by 1 / sqrt(n).
    """
    squares, null = context.shared(SquaredDistances), context.shared(SwappedDistances)
    value = math.sqrt(squares.gap + squares.bures)
    return Estimate(value, null=math.sqrt(null.gap + null.bures), note=few_items_note(context))


@metric(
    "bures_distance",
    needs_pairs=False,
    undefined_if=("constant modalities",),
    family="distribution",
    unit="distance",
    range=(0, np.inf),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval=_BIASED,
    null_model="modality swap",
    source="Bures 1969, An extension of Kakutani's theorem; Role et al. 2025, arXiv 2505.03703",
    reference_case=lambda: (*_orthogonal_lines(), math.sqrt(2)),
)
def bures_distance(context: MetricContext) -> Estimate:
    """Frechet distance after the means are aligned, sqrt(tr(S_x + S_y - 2 (S_x S_y)^1/2)): the distribution gap.

    The null is that of `frechet_distance` without the means.
    """
    value, null = (math.sqrt(context.shared(work).bures) for work in (SquaredDistances, SwappedDistances))
    return Estimate(value, null=null, note=few_items_note(context))


@metric(
    "frechet_centroid_share",
    needs_pairs=False,
    conditions=(EQUAL_CLOUDS,),
    family="distribution",
    unit="share",
    range=(0, 1),
    direction="neither",
    invariances=("rotation", "row scale", "swap"),
    interval=_BIASED,
    null_model="modality swap",
    source="Dowson and Landau 1982; split derived for this package, after TPC-CMA 2026, arXiv 2604.00279",
    reference_case=lambda: (*_orthogonal_lines(), 0.0),
)
def frechet_centroid_share(context: MetricContext) -> Estimate:
    """Share of the squared Frechet distance that is |mean x - mean y|^2.

    The rest is the distribution gap. The null is the share over the five random swaps of `frechet_distance`.
    """
    squares, swapped = context.shared(SquaredDistances), context.shared(SwappedDistances)
    if squares.gap + squares.bures <= MIN_SQUARED_DISTANCE:
        return undefined(EQUAL_CLOUDS)
    null = swapped.gap / (swapped.gap + swapped.bures) if swapped.gap + swapped.bures > 0 else NAN
    return Estimate(squares.gap / (squares.gap + squares.bures), null=null, note=few_items_note(context))


@metric(
    "coral_distance",
    min_interval_items=20,
    needs_pairs=False,
    undefined_if=("constant modalities",),
    family="distribution",
    unit="distance",
    range=(0, np.inf),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Sun, Feng and Saenko 2016 (CORAL), arXiv 1511.05547",
    reference_case=lambda: (*_orthogonal_lines(), math.sqrt(2)),
)
def coral_distance(context: MetricContext) -> Estimate:
    """Frobenius distance of the two covariances, |S_x - S_y|_F with 1/n.

    The loss of the paper is its square over 4 d^2. The value and its interval are those of the square without its bias,
    which the plug-in includes. The null is the root mean square of the plug-in if each item swaps its modalities with
    probability 1/2.
    """
    traces, sample = context.shared(TraceEstimates), context.influence_sample
    rounding = ROUNDING * (traces.plug_in["xx"] + traces.plug_in["yy"])
    squared = traces.plug_in["xx"] + traces.plug_in["yy"] - 2 * traces.plug_in["x.y"]
    value = math.sqrt(squared) if squared > rounding else 0.0
    if traces.plug_in["x"] + traces.plug_in["y"] == 0:
        return undefined(EQUAL_ROWS_IN_BOTH)
    if sample is None:
        return Estimate(value)
    weights = {"xx": 1.0, "yy": 1.0, "x.y": -2.0}
    unbiased = sum(w * traces.debiased(name) for name, w in weights.items())
    interval = length_interval(unbiased, widened_variance(traces.variance(weights), mean_freedom(context.moments)))
    midpoint = (context.moments.mean_x + context.moments.mean_y) / 2
    null = math.sqrt(_swapped_coral(sample, midpoint))
    debiased = math.sqrt(unbiased) if unbiased > rounding else 0.0
    return Estimate.debiased(debiased, interval if value else (0.0, 0.0), plugin=value, null=null)


def _swapped_coral(sample: InfluenceSample, midpoint: np.ndarray) -> float:
    """Return the mean squared distance of the covariances under random swaps.

    It is the sum over items of |sum (aa' - bb')|_F^2 / n^2. The rows a and b of the item are taken minus the mean of
    all rows, which is the mean of both modalities after swaps.
    """
    if isinstance(sample, UnpairedSample):
        rows = np.concatenate([sample.x, sample.y])
        rows = rows - rows.mean(axis=0)
        lengths = np.einsum("ij,ij->i", rows, rows)
        spread = float(np.mean(lengths**2)) - float(np.sum((rows.T @ rows / len(rows)) ** 2))
        return max(spread, 0.0) * (1 / sample.sizes[0] + 1 / sample.sizes[1])
    a, b = sample.x - midpoint, sample.y - midpoint
    total = sum(float(np.sum(np.einsum("ij,ij->i", u, v) ** 2)) * w for u, v, w in ((a, a, 1), (b, b, 1), (a, b, -2)))
    for i, j in sample.within_item_pairs:
        for u, v, w in ((a[i], a[j], 2), (b[i], b[j], 2), (a[i], b[j], -2), (b[i], a[j], -2)):
            total += w * float(np.sum(np.einsum("ij,ij->i", u, v) ** 2))
    return max(total, 0.0) * sample.scale
