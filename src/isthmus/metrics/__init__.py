"""The measures of the gap: one file per idea; `measure` computes all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.metrics import (  # noqa: F401 (they register)
    centroid,
    cone,
    distribution,
    fisher,
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
    residual,
    separability,
    shared_space,
    similarity,
    sliced,
    spectrum,
    subspaces,
    uniformity,
)
from isthmus.metrics._base import (
    FAMILIES,
    MAX_ROW_ITEMS,
    Metric,
    MetricContext,
    SecondMoment,
    evaluate,
    metric,
    registry,
)
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.result import Result
from isthmus.utils.errors import InputError, unknown_name

__all__ = [
    "FAMILIES",
    "Metric",
    "MetricContext",
    "SecondMoment",
    "evaluate",
    "families",
    "measure",
    "metric",
    "registry",
]


def measure(data: Pairs | Moments, /, *, metrics: str | Sequence[str] | None = None, normalize: bool = True) -> Result:
    """Every measure of the gap, or those that `metrics` chooses, with intervals and nulls.

    One pass over the data gives the moments; measures that need rows work in blocks, on a random sample of 10,000
    items when there are more.

    Parameters
    ----------
    data : pairs, or `Moments` that were summed elsewhere: the fast measures then, called x and y, without those
        intervals that take rows
    metrics : names with commas or a list of them, registered ('rank_99_{side}') or as they are printed
        ('rank_99_image'); also 'all', 'fast' (what moments suffice for) and the names of `isthmus.metrics.FAMILIES`,
        such as 'neighbours'. Without it, all that the data allow: measures of labels need labels.
    normalize : divide rows by their norms

    Errors: `InputError` for an unknown measure and for rows without a direction.

    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8)) + 1
    >>> result = isthmus.measure(isthmus.Pairs(image=X, text=Y), metrics="centroid_angle, spectrum")
    >>> bool(result["centroid_angle"].low <= result["centroid_angle"].value <= result["centroid_angle"].high)
    True
    >>> list(isthmus.measure(isthmus.Moments.of(X, Y), metrics=["effective_rank_x"]))
    ['effective_rank_x']
    """
    pairs = data if isinstance(data, Pairs) else None
    names = ("x", "y") if pairs is None else pairs.names
    chosen = _chosen(metrics, pairs, names)
    moments = data if isinstance(data, Moments) else moments_of(data, normalize=normalize)
    if pairs is None:
        normalize = moments.normalize
        if moments.dim_x != moments.dim_y:
            raise InputError(f"sides of width {moments.dim_x} and {moments.dim_y} have no gap to measure")
    context = MetricContext(moments.numpy(), pairs, normalize=normalize, names=names)
    estimates = {}
    for entry, wanted in chosen.items():
        found = evaluate(registry()[entry], context)
        estimates.update({name: estimate for name, estimate in found.items() if name in wanted})
    x, y = names
    curves: dict[str, np.ndarray] = {
        f"spectrum_{x}": context.x.spectrum**2 / np.sum(context.x.spectrum**2),
        f"spectrum_{y}": context.y.spectrum**2 / np.sum(context.y.spectrum**2),
        "principal_angles": context.subspaces.angles.degrees,
        "gap_share_per_coordinate": gap_shares.by_coordinate(context),
        f"gap_share_per_direction_{x}": gap_shares.by_direction(context),
        f"gap_share_per_direction_{y}": gap_shares.by_direction(context.swapped()),
    }
    return Result(estimates, curves, provenance(pairs, context))


def _chosen(metrics: str | Sequence[str] | None, pairs: Pairs | None, names: tuple[str, str]) -> dict[str, list[str]]:
    """Registered measures and which of their estimates are asked for, in the order in which they are asked for."""
    entries = registry()
    printed = {name: entry for entry in entries.values() for name in entry.names(*names)}
    allowed = {name for name, m in entries.items() if m.requires == "moments"}
    if pairs is not None:
        allowed |= {name for name, m in entries.items() if m.requires == "rows" or pairs.labels is not None}
    groups: dict[str, list[str]] = {
        "all": [name for name in entries if name in allowed],
        "fast": [name for name, m in entries.items() if m.requires == "moments"],
        **{f: [n for n, m in entries.items() if m.family == f and n in allowed] for f in FAMILIES[:-1]},
    }
    asked = ["all"] if metrics is None else metrics.split(",") if isinstance(metrics, str) else list(metrics)
    chosen: dict[str, list[str]] = {}
    for name in map(str.strip, asked):
        if name in printed and name not in entries:
            chosen.setdefault(printed[name].name, []).append(name)
            continue
        if name not in entries and name not in groups:
            raise unknown_name("measure", name, [*groups, *entries])
        for one in groups.get(name, [name]):
            chosen[one] = entries[one].names(*names)
    return chosen


def families(names: tuple[str, str]) -> dict[str, str]:
    """The family of every estimate of the modalities `names`, by the name under which it is printed.

    >>> families(("image", "text"))["rank_99_image"]
    'spectrum'
    """
    return {name: entry.family for entry in registry().values() for name in entry.names(*names)}


def provenance(pairs: Pairs | None, context: MetricContext) -> dict[str, object]:
    """Where the numbers come from: modalities, sizes, files, options."""
    m = context.moments
    facts: dict[str, object] = {"names": list(context.names), "n": m.n, "items": m.by_item.n_items, "dim": m.dim_x}
    if pairs is not None:
        facts |= {
            "items": pairs.n_items,
            "paths": [pairs.x.where, pairs.y.where],
            "dtypes": [pairs.x.dtype, pairs.y.dtype],
            "pairing": pairs.pairing,
        }
    return facts | {
        "normalize": context.normalize,
        "matmul_dtype": m.matmul_dtype,
        "items_ranked": 0 if pairs is None else min(pairs.n_items, MAX_ROW_ITEMS),
    }
