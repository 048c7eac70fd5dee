"""Overlap of the leading subspaces of both modalities, and its reproducibility."""

from __future__ import annotations

import numpy as np

from isthmus.linalg.remembered import MIN_SQUARE
from isthmus.linalg.shared_directions import COSINE_TOLERANCE
from isthmus.metrics._conditions import few_items_note, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._subspaces import RandomAngles, Subspaces
from isthmus.statistics.result import Estimate
from isthmus.utils.format import too_few

#: Directions of the shared space whose reproducibility is tested.
SHARED_DIMS = 8


def _half_shared(q: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return two clouds that span q coordinates each, half of them in common."""
    axes = np.concatenate([np.eye(2 * q), -np.eye(2 * q)]).reshape(2, 2 * q, 2 * q)
    x = axes[:, :q].reshape(-1, 2 * q)
    y = axes[:, q // 2 : q // 2 + q].reshape(-1, 2 * q)
    return x, y, 0.5


def _register(q: int) -> None:
    def overlap(context: MetricContext) -> Estimate:
        d, n = context.moments.dim_x, context.moments.by_item.n_items
        if q >= min(d, n):
            return undefined(
                f"{min(d, n)} {'dimensions' if d <= n else 'items'} are too few to compare subspaces of {q} dimensions"
            )
        if min(context.x.centred[0][q - 1], context.y.centred[0][q - 1]) <= 0:
            return undefined(f"fewer than {q} directions of one modality have any variance")
        value = float(np.sum(context.cross_cosines[:q, :q] ** 2)) / q
        return Estimate(min(value, 1.0), null=q / d, note=few_items_note(context))

    overlap.__doc__ = f"""Overlap of the {q} leading principal directions of both modalities, |U_x' U_y|_F^2 / {q}.

    It is the mean squared cosine of the principal angles between them. Directions are centred. The null is the overlap
    of random subspaces, {q} / d.
    """
    metric(
        f"overlap_{q}",
        needs_pairs=False,
        undefined_if=("constant modality",),
        conditions=(
            f"there are no more than {q} items or dimensions",
            f"fewer than {q} directions of one modality have any variance",
        ),
        family="subspaces",
        unit="share",
        range=(0, 1),
        direction="higher",
        invariances=("rotation", "row scale", "swap"),
        interval="none: the subspaces are arbitrary where the eigenvalues at the cut are nearly equal",
        null_model="random subspace",
        source="AnisoAlign 2026, arXiv 2605.07825",
        reference_case=lambda: _half_shared(q),
    )(overlap)


for _q in (8, 32, 128):
    _register(_q)


def _one_shared_axis() -> tuple[np.ndarray, np.ndarray, float]:
    e = np.eye(12)
    return np.repeat(e[[0, 1]], 10, axis=0), np.repeat(e[[0, 2]], 10, axis=0), 1.0


@metric(
    "excess_overlap_dimensions",
    needs_pairs=False,
    family="subspaces",
    unit="dimensions",
    range=(-np.inf, np.inf),
    direction="neither",
    invariances=("rotation", "row scale", "swap"),
    interval="none: a count changes in whole steps",
    null_model="random subspace",
    source="derived for this package; Yi, Douady and Chen 2025, arXiv 2510.03268, for the count",
    reference_case=_one_shared_axis,
)
def excess_overlap_dimensions(context: MetricContext) -> Estimate:
    """Shared dimensions (`overlap_dimensions`) beyond those that random subspaces of the same ranks share.

    Random subspaces share the dimensions that the ranks guarantee, and those that are close by chance (mean of nine
    draws). The null is 0 by construction.
    """
    cosines = np.cos(np.radians(context.shared(RandomAngles).degrees))
    by_chance = float(np.mean(np.sum(cosines > 1 - COSINE_TOLERANCE, axis=1)))
    return Estimate(context.shared(Subspaces).overlap() - by_chance, null=0.0, note=few_items_note(context))


def _identical_rows() -> tuple[np.ndarray, np.ndarray, float]:
    axes = np.eye(SHARED_DIMS, 2 * SHARED_DIMS)
    x = np.repeat(np.concatenate([axes, -axes]), 40, axis=0)
    return x, x, 1.0


@metric(
    "shared_space_reproducibility",
    min_items=4 * SHARED_DIMS,
    undefined_if=("constant modality",),
    conditions=(
        "there are no more than 8 dimensions",
        "fewer than 8 directions of one modality have any variance",
    ),
    family="subspaces",
    unit="share",
    range=(0, 1),
    direction="higher",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="none: the comparison of two halves is itself a measure of the scatter of the shared space",
    null_model="random subspace",
    source="Wold 1985 (PLS) for the shared directions; split-half reliability, Spearman 1910, Brown 1910",
    reference_case=_identical_rows,
)
def shared_space_reproducibility(context: MetricContext) -> Estimate:
    """Split-half overlap of the shared space, its 8 directions of largest cross-covariance (SVD of S_xy).

    It is |U_1' U_2|_F^2 / 8 between two random halves of at most 2,000 items, averaged over the modalities. If it is
    low, there are too few data, or the pairing is too weak, to estimate the shared directions. The null is 8 / d.
    """
    d = context.moments.dim_x
    sample = context.influence_sample
    if sample is None or d <= SHARED_DIMS:
        return undefined(f"{too_few(d, 'dimension')} to compare shared spaces of {SHARED_DIMS} dimensions")
    if min(context.x.centred[0][SHARED_DIMS - 1], context.y.centred[0][SHARED_DIMS - 1]) <= 0:
        return undefined(f"fewer than {SHARED_DIMS} directions of one modality have any variance")
    in_first_half = np.zeros(sample.items, dtype=bool)
    in_first_half[sample.random_order[::2]] = True
    rows_of_first = np.repeat(in_first_half, sample.counts.astype(np.int64))
    first, second = (_shared_bases(sample.x[rows], sample.y[rows]) for rows in (rows_of_first, ~rows_of_first))
    overlaps = [float(np.sum((a.T @ b) ** 2)) / SHARED_DIMS for a, b in zip(first, second, strict=True)]
    return Estimate(min(sum(overlaps) / 2, 1.0), null=SHARED_DIMS / d)


def _shared_bases(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading left and right singular vectors of the cross-covariance, (d, 8) each."""
    cross = (x - x.mean(axis=0)).T @ (y - y.mean(axis=0))
    squares, vectors = np.linalg.eigh(cross @ cross.T)
    basis_x = vectors[:, -SHARED_DIMS:]
    if squares[-SHARED_DIMS] > MIN_SQUARE * squares[-1]:  # the right vectors are C'u / s
        return basis_x, np.linalg.qr(cross.T @ basis_x / np.sqrt(squares[-SHARED_DIMS:]))[0]
    return basis_x, np.linalg.eigh(cross.T @ cross)[1][:, -SHARED_DIMS:]
