"""Principal angles between the subspaces of both modalities, and the dimensions that they share."""

from __future__ import annotations

import math

import numpy as np

from isthmus.linalg.shared_directions import SharedSpace
from isthmus.linalg.significance import significant_rank
from isthmus.metrics._conditions import few_items_note, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._subspaces import RandomAngles, Subspaces
from isthmus.statistics.result import Estimate


def _one_shared_axis() -> tuple[np.ndarray, np.ndarray, float]:
    e = np.eye(4)
    return np.repeat(e[[0, 1]], 10, axis=0), np.repeat(e[[0, 2]], 10, axis=0), 1.0


@metric(
    "overlap_dimensions",
    needs_pairs=False,
    family="subspaces",
    unit="dimensions",
    range=(0, np.inf),
    direction="neither",
    invariances=("rotation", "row scale", "swap"),
    interval="none: a count changes in whole steps",
    null_model="random subspace",
    source="Yi, Douady and Chen 2025, arXiv 2510.03268",
    reference_case=_one_shared_axis,
)
def overlap_dimensions(context: MetricContext) -> Estimate:
    """Number of principal angles between the 99 % energy subspaces (uncentred) with cosine above 1 - 1e-3.

    The null is the count that the ranks alone guarantee, max(0, r_x + r_y - d). Only the excess is evidence of a
    shared space.
    """
    subspaces = context.shared(Subspaces)
    return Estimate(float(subspaces.overlap()), null=float(subspaces.guaranteed), note=few_items_note(context))


@metric(
    "smallest_principal_angle",
    needs_pairs=False,
    family="subspaces",
    unit="degrees",
    range=(0, 90),
    direction="neither",
    invariances=("rotation", "row scale", "swap"),
    interval="none: the smallest of many angles is not a smooth function of the data",
    null_model="random subspace",
    source="Bjorck and Golub 1973; Yi, Douady and Chen 2025, arXiv 2510.03268",
    reference_case=lambda: (*_one_shared_axis()[:2], 0.0),
)
def smallest_principal_angle(context: MetricContext) -> Estimate:
    """Smallest angle between a direction of one 99 % energy subspace and a direction of the other.

    The null is 0 if the ranks guarantee a shared dimension, else the median for random subspaces of these ranks. An
    angle below the rounding error of d products is 0.
    """
    subspaces = context.shared(Subspaces)
    null = 0.0
    if not subspaces.guaranteed:
        null = float(np.median(np.min(context.shared(RandomAngles).degrees, axis=1)))
    smallest = float(np.min(subspaces.angles.degrees))
    rounding = math.degrees(context.moments.dim_x * np.finfo(np.float64).eps)
    return Estimate(smallest if smallest > rounding else 0.0, null=null, note=few_items_note(context))


def _three_shared_axes() -> tuple[np.ndarray, np.ndarray, float]:
    """Return rows of 30 dimensions with noise, three shared directions and two more in each modality."""
    rng = np.random.default_rng(0)
    x, y = 0.03 * rng.normal(size=(2, 400, 30))
    x[:, :5] += rng.normal(size=(400, 5))
    y[:, [0, 1, 2, 5, 6]] += rng.normal(size=(400, 5))
    return x, y, 3.0


@metric(
    "shared_directions",
    needs_pairs=False,
    undefined_if=("constant modality",),
    conditions=("all directions of one modality are indistinguishable from noise", "the subspaces always intersect"),
    family="subspaces",
    unit="dimensions",
    range=(0, np.inf),
    direction="higher",
    invariances=("rotation", "row scale", "swap"),
    interval="none: a count changes in whole steps",
    null_model="random subspace",
    source="Gavish and Donoho 2014, arXiv 1305.5870; Johnstone 2008, arXiv 0803.3408; derived for this package",
    reference_case=_three_shared_axes,
)
def shared_directions(context: MetricContext) -> Estimate:
    """Number of principal angles between the significant directions of both modalities that are smaller than chance.

    Significant directions (centred) have singular values above those of noise. An angle counts if it is below the 5 %
    edge of the angles between random subspaces of these dimensions. The measure needs no pairs, and
    `SharedSpaceProjection` projects on these directions. The null is the count that the ranks alone guarantee.
    """
    m = context.moments
    bases = [
        directions[:, : significant_rank(np.sqrt(values), m.by_item.n_items - 1)]
        for values, directions in (context.x.centred, context.y.centred)
    ]
    space = SharedSpace(*bases)
    if 0 in space.ranks:
        return undefined("all directions of one modality are indistinguishable from noise")
    if not space.testable:
        sizes = f"{space.ranks[0]:,} and {space.ranks[1]:,} of {space.dim:,}"
        return undefined(f"subspaces of {sizes} dimensions always intersect, so that no test is possible")
    return Estimate(float(space.count), null=float(space.guaranteed), note=few_items_note(context))
