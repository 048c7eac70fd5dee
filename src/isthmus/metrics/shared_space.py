"""Do the two clouds vary along the same directions? Overlap of leading subspaces, and whether it comes back."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.linalg.shared_directions import COSINE_TOLERANCE
from isthmus.metrics._conditions import few_items, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._subspaces import RandomAngles, Subspaces
from isthmus.statistics.result import Estimate

#: Directions of the shared space whose reproducibility is tested.
SHARED = 8


def _half_shared(q: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Two spans of q coordinates each, of which they share half."""
    both = np.concatenate([np.eye(2 * q), -np.eye(2 * q)])
    x = both.reshape(2, 2 * q, 2 * q)[:, :q].reshape(-1, 2 * q)
    y = both.reshape(2, 2 * q, 2 * q)[:, q // 2 : q // 2 + q].reshape(-1, 2 * q)
    return x, y, 0.5


def _register(q: int) -> None:
    def overlap(context: MetricContext) -> Estimate:
        d, n = context.moments.dim_x, context.moments.by_item.n_items
        if q >= min(d, n):
            return undefined(f"{min(d, n)} {'dimensions' if d <= n else 'items'} hold no subspaces of {q} to compare")
        value = float(np.sum(context.cross_cosines[:q, :q] ** 2)) / q
        return Estimate(min(value, 1.0), null=q / d, note=few_items(context))

    overlap.__doc__ = (
        f"Overlap of the {q} leading principal directions (centred) of the two sides: |U_x' U_y|_F^2 / {q}, the mean "
        f"squared cosine of their principal angles. The null is that of random subspaces, {q} / d."
    )
    metric(
        f"overlap_{q}",
        family="subspaces",
        unit="share",
        range=(0, 1),
        direction="higher",
        invariances=("rotation", "row scale", "swap"),
        interval="none: the subspaces turn freely where the eigenvalues at the cut are nearly equal",
        null_model="random subspace",
        source="AnisoAlign 2026, arXiv 2605.07825",
        reference_case=lambda: _half_shared(q),
    )(overlap)


for _q in (8, 32, 128):
    _register(_q)


def _one_shared() -> tuple[np.ndarray, np.ndarray, float]:
    e = np.eye(12)
    return np.repeat(e[[0, 1]], 10, axis=0), np.repeat(e[[0, 2]], 10, axis=0), 1.0


@metric(
    "excess_overlap_dimensions",
    family="subspaces",
    unit="dimensions",
    range=(-np.inf, np.inf),
    direction="neither",
    invariances=("rotation", "row scale", "swap"),
    interval="none: a count that jumps with the data",
    null_model="random subspace",
    source="derived for this package; Yi, Douady and Chen 2025, arXiv 2510.03268, for the count",
    reference_case=_one_shared,
)
def excess_overlap_dimensions(context: MetricContext) -> Estimate:
    """Shared dimensions of the 99 % energy subspaces (`overlap_dimensions`) beyond what random subspaces of the same
    ranks share: those that the ranks force, and any that come as near by chance (mean of nine draws).

    The null is 0 by construction.
    """
    chance = float(
        np.mean(np.sum(np.cos(np.radians(context.shared(RandomAngles).degrees)) > 1 - COSINE_TOLERANCE, axis=1))
    )
    return Estimate(context.shared(Subspaces).overlap() - chance, null=0.0, note=few_items(context))


def _stable() -> tuple[np.ndarray, np.ndarray, float]:
    x = np.repeat(np.concatenate([np.eye(SHARED, 2 * SHARED), -np.eye(SHARED, 2 * SHARED)]), 40, axis=0)
    return x, x, 1.0


@metric(
    "shared_space_reproducibility",
    family="subspaces",
    unit="share",
    range=(0, 1),
    direction="higher",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="none: a comparison of two halves says itself how far the shared space scatters",
    null_model="random subspace",
    source="Wold 1985 (PLS) for the shared directions; split-half reliability, Spearman 1910, Brown 1910",
    reference_case=_stable,
)
def shared_space_reproducibility(context: MetricContext) -> Estimate:
    """Split-half overlap of the shared space, its 8 directions of the largest cross-covariance (SVD of S_xy).

    |U_1' U_2|_F^2 / 8 between two random halves of at most 2,000 items, mean of the two sides. Low values say that
    the data are too few, or the pairing too weak, to tell which directions are shared. The null is 8 / d.
    """
    d = context.moments.dim_x
    s = context.influence_sample
    if s is None or s.items < 4 * SHARED or d <= SHARED:
        return undefined(f"needs at least {4 * SHARED} items and more than {SHARED} dimensions")
    first = np.zeros(s.items, dtype=bool)
    first[s.random_order[::2]] = True
    mine = np.repeat(first, s.counts.astype(np.int64))
    one, two = (_shared_directions(s.x[half], s.y[half]) for half in (mine, ~mine))
    overlaps = [float(np.sum((a.T @ b) ** 2)) / SHARED for a, b in zip(one, two, strict=True)]
    return Estimate(min(sum(overlaps) / 2, 1.0), null=SHARED / d)


def _shared_directions(x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    """Leading left and right singular vectors, (d, 8) each, of the cross-covariance."""
    from scipy.linalg import eigh

    cross = (x - x.mean(axis=0)).T @ (y - y.mean(axis=0))
    d = len(cross)
    left, right = (eigh(g, subset_by_index=(d - SHARED, d - 1))[1] for g in (cross @ cross.T, cross.T @ cross))
    return left, right
