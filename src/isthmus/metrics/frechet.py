"""How far the two clouds are apart as distributions: Frechet, Bures and CORAL distances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.metrics._conditions import EQUAL, few_items, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._trace_estimates import TraceEstimates
from isthmus.statistics.intervals import length_interval
from isthmus.statistics.result import NAN, Estimate

_BIASED = (
    "none: sampling noise alone moves two covariances apart, by a share of order d / n, and the distance has no "
    "derivative where one is singular; compare with the null"
)


def _turned() -> tuple[np.ndarray, np.ndarray]:
    """Two lines through the origin at a right angle: no gap of the means, all of it in the covariances."""
    return np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, -1.0]])


@dataclass(frozen=True)
class SquaredDistances:
    """Squared gap |mean x - mean y|^2 and squared Bures distance of two clouds."""

    gap: float
    bures: float

    @classmethod
    def from_context(cls, context: MetricContext, /) -> SquaredDistances:
        """Return those of the data.

        The Bures distance is tr S_x + tr S_y - 2 F with the fidelity F = |S_x^1/2 S_y^1/2|_*, from the eigenvectors.
        """
        gap = context.moments.mean_x - context.moments.mean_y
        (x, _), (y, _) = context.x.centred, context.y.centred
        fidelity = np.linalg.svd(np.sqrt(x)[:, None] * context.cross_cosines * np.sqrt(y), compute_uv=False).sum()
        return cls(float(gap @ gap), max(float(x.sum() + y.sum() - 2 * fidelity), 0.0))


@dataclass(frozen=True)
class SwappedDistances(SquaredDistances):
    """The squared distances when half of the items swap their modalities. NaN without rows."""

    @classmethod
    def from_context(cls, context: MetricContext, /) -> SwappedDistances:
        """Swap a random half of the items, which does not depend on the order of the rows.

        If there are more items than the sample holds, both distances are those of the sample times
        (items sampled / all items).
        """
        s = context.influence_sample
        if s is None or s.items < 2:
            return cls(NAN, NAN)
        order = s.random_order
        chosen = np.zeros(s.items, dtype=bool)
        chosen[order[::2]] = True
        swap = np.repeat(chosen, s.counts.astype(np.int64))[:, None]
        clouds = [np.where(swap, a, b) for a, b in ((s.x, s.y), (s.y, s.x))]
        gap = clouds[0].mean(axis=0) - clouds[1].mean(axis=0)
        covariances = [(c.T @ c) / len(c) - np.outer(c.mean(axis=0), c.mean(axis=0)) for c in clouds]
        values, vectors = np.linalg.eigh(covariances[0])
        root = vectors * np.sqrt(np.clip(values, 0.0, None))
        squares = np.linalg.eigvalsh(root.T @ covariances[1] @ root)
        fidelity = np.sqrt(np.clip(squares, 0.0, None)).sum()
        bures = max(float(np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * fidelity), 0.0)
        scale = s.items / context.moments.by_item.n_items
        return cls(float(gap @ gap) * scale, bures * scale)


@metric(
    "frechet_distance",
    family="distribution",
    unit="distance",
    range=(0, np.inf),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval=_BIASED,
    null_model="modality swap",
    source="Dowson and Landau 1982, The Frechet distance between multivariate normal distributions; Role et al. 2025, "
    "arXiv 2505.03703",
    reference_case=lambda: (*_turned(), math.sqrt(2)),
)
def frechet_distance(context: MetricContext) -> Estimate:
    """Frechet distance of the two clouds as Gaussians (not squared): sqrt(|gap|^2 + tr(S_x + S_y - 2 (S_x S_y)^1/2)).

    Covariances with 1/n. The null is the distance when half of the items swap their sides, that is between two clouds
    of one law (of more than 2,000 items: of a sample, scaled by 1 / sqrt(n)).
    """
    squares, null = context.shared(SquaredDistances), context.shared(SwappedDistances)
    value = math.sqrt(squares.gap + squares.bures)
    return Estimate(value, null=math.sqrt(null.gap + null.bures), note=few_items(context))


@metric(
    "bures_distance",
    family="distribution",
    unit="distance",
    range=(0, np.inf),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval=_BIASED,
    null_model="modality swap",
    source="Bures 1969, An extension of Kakutani's theorem; Role et al. 2025, arXiv 2505.03703",
    reference_case=lambda: (*_turned(), math.sqrt(2)),
)
def bures_distance(context: MetricContext) -> Estimate:
    """Frechet distance that is left when the means agree: sqrt(tr(S_x + S_y - 2 (S_x S_y)^1/2)), the distribution gap.

    The null is that of `frechet_distance`, without the means.
    """
    value, null = (math.sqrt(context.shared(kind).bures) for kind in (SquaredDistances, SwappedDistances))
    return Estimate(value, null=null, note=few_items(context))


@metric(
    "frechet_centroid_share",
    family="distribution",
    unit="share",
    range=(0, 1),
    direction="neither",
    invariances=("rotation", "row scale", "swap"),
    interval=_BIASED,
    null_model="modality swap",
    source="Dowson and Landau 1982; the split as in TPC-CMA 2026, arXiv 2604.00279",
    reference_case=lambda: (*_turned(), 0.0),
)
def frechet_centroid_share(context: MetricContext) -> Estimate:
    """Share of the squared Frechet distance that is |mean x - mean y|^2; the rest is the distribution gap.

    The null is the share when half of the items swap their sides.
    """
    squares, swapped = context.shared(SquaredDistances), context.shared(SwappedDistances)
    if squares.gap + squares.bures == 0:
        return undefined("the two clouds have the same mean and covariance")
    null = swapped.gap / (swapped.gap + swapped.bures) if swapped.gap + swapped.bures > 0 else NAN
    return Estimate(squares.gap / (squares.gap + squares.bures), null=null, note=few_items(context))


@metric(
    "coral_distance",
    family="distribution",
    unit="distance",
    range=(0, np.inf),
    direction="lower",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="modality swap",
    source="Sun, Feng and Saenko 2016 (CORAL), arXiv 1511.05547",
    reference_case=lambda: (*_turned(), math.sqrt(2)),
)
def coral_distance(context: MetricContext) -> Estimate:
    """Frobenius distance of the two covariances (1/n, of the rows as they are compared), |S_x - S_y|_F.

    The paper's loss is its square over 4 d^2. The value is the plug-in; the interval is that of the square without its
    bias. The null is the root mean square distance when each item swaps its sides with probability 1/2.
    """
    q = context.shared(TraceEstimates)
    squared = max(q.plug_in["xx"] + q.plug_in["yy"] - 2 * q.plug_in["x.y"], 0.0)
    value = math.sqrt(squared)
    if q.plug_in["x"] + q.plug_in["y"] == 0:
        return undefined(EQUAL)
    if q.covariance is None:
        return Estimate(value)
    weights = {"xx": 1.0, "yy": 1.0, "x.y": -2.0}
    unbiased = sum(w * q.debiased(name) for name, w in weights.items())
    low, high = length_interval(unbiased, q.variance(weights))
    n = context.moments.by_item.n_items
    note = "" if low <= value <= high else f"without its bias at n = {n:,}: {math.sqrt(max(unbiased, 0.0)):.4g}"
    return Estimate(value, low, high, math.sqrt(_swapped_coral(context)), note=note)


def _swapped_coral(context: MetricContext) -> float:
    """Mean squared distance of the covariances under random swaps: sum over items of |sum (aa' - bb')|_F^2 / n^2.

    a and b are the rows minus the mean of all; after swaps both sides have it as their mean.
    """
    s = context.influence_sample
    assert s is not None
    middle = (context.moments.mean_x + context.moments.mean_y) / 2
    a, b = s.x - middle, s.y - middle
    total = sum(float(np.sum(np.einsum("ij,ij->i", u, v) ** 2)) * w for u, v, w in ((a, a, 1), (b, b, 1), (a, b, -2)))
    for i, j in s.within_item_pairs:
        for u, v, w in ((a[i], a[j], 2), (b[i], b[j], 2), (a[i], b[j], -2), (b[i], a[j], -2)):
            total += w * float(np.sum(np.einsum("ij,ij->i", u, v) ** 2))
    return max(total, 0.0) * s.scale
