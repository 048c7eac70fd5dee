"""The measures of the gap: one file per idea; `measure` computes all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.checks import unknown
from isthmus.metrics import (  # noqa: F401 (they register)
    centroid,
    cone,
    distribution,
    frechet,
    gap_shares,
    geometry,
    hubness,
    instance,
    intrinsic,
    kernel_alignment,
    margin,
    neighbours,
    recall,
    relative_gap,
    separability,
    shared_space,
    similarity,
    sliced,
    spectrum,
    subspaces,
    uniformity,
)
from isthmus.metrics._base import SAMPLE, Metric, Side, View, evaluate, metric, registry
from isthmus.pairs import Pairs
from isthmus.result import Result

__all__ = ["Metric", "Side", "View", "evaluate", "measure", "metric", "registry"]


def measure(pairs: Pairs, /, *, metrics: Sequence[str] | None = None, normalize: bool = True) -> Result:
    """Every measure of the gap, or those named in `metrics`, with intervals and nulls.

    One pass over the data gives the moments; measures that need rows work in blocks, on a random sample of 10,000
    items when there are more. `metrics` takes registered names (`isthmus list metrics`), such as 'centroid_angle' or
    'rank_99_{side}'; without it, measures of labels are left out when there are none.
    Errors: `InputError` for an unknown measure and for rows without a direction.

    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8)) + 1
    >>> result = isthmus.measure(isthmus.Pairs(image=X, text=Y), metrics=["centroid_angle"])
    >>> bool(result["centroid_angle"].low <= result["centroid_angle"].value <= result["centroid_angle"].high)
    True
    """
    entries = registry()
    if metrics is None:
        metrics = [name for name, m in entries.items() if m.needs != "labels" or pairs.labels is not None]
    chosen = list(metrics)
    for name in chosen:
        if name not in entries:
            raise unknown("measure", name, entries)
    view = View(pairs.moments(normalize=normalize).numpy(), pairs, normalize=normalize)
    estimates = {}
    for name in chosen:
        estimates.update(evaluate(entries[name], view))
    x, y = pairs.names
    curves: dict[str, np.ndarray] = {
        f"spectrum_{x}": view.x.spectrum**2 / np.sum(view.x.spectrum**2),
        f"spectrum_{y}": view.y.spectrum**2 / np.sum(view.y.spectrum**2),
        "principal_angles": view.subspaces.angles.degrees,
        "gap_share_per_coordinate": gap_shares.by_coordinate(view),
        f"gap_share_per_direction_{x}": gap_shares.by_direction(view),
        f"gap_share_per_direction_{y}": gap_shares.by_direction(view.swapped()),
    }
    return Result(estimates, curves, provenance(pairs, view))


def provenance(pairs: Pairs, view: View) -> dict[str, object]:
    """Where the numbers come from: modalities, sizes, files, options."""
    return {
        "names": list(pairs.names),
        "n": pairs.n,
        "items": pairs.items,
        "dim": pairs.dim,
        "paths": [pairs.x.where, pairs.y.where],
        "dtypes": [pairs.x.dtype, pairs.y.dtype],
        "pairing": pairs.pairing,
        "normalize": view.normalize,
        "products": view.moments.products,
        "items_ranked": min(pairs.items, SAMPLE),
    }
