"""Compute all measures, or those that are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from typing import Any

import numpy as np

from isthmus.compute.resources import n_threads
from isthmus.compute.threads import blas_limited, map_ahead
from isthmus.data.opening import as_pairs
from isthmus.data.opening_sets import open_sets
from isthmus.data.pairs import Pairs
from isthmus.data.unpaired_sets import UnpairedSets
from isthmus.metrics._context import MetricContext
from isthmus.metrics._evaluation import FAILURES, evaluate
from isthmus.metrics._gap_directions import gap_by_coordinate, gap_by_direction
from isthmus.metrics._metric import FAMILIES, Metric, registry
from isthmus.metrics._score_sweep import planned_sweep
from isthmus.metrics._subspaces import Subspaces
from isthmus.statistics.degeneracy import NEGATED_ROWS, find_degeneracies
from isthmus.statistics.moments import Moments
from isthmus.statistics.near_copies import NEAR_COPIES
from isthmus.statistics.pairing import judge_pairing
from isthmus.statistics.result import Estimate, Result, renamed_measure
from isthmus.statistics.set_degeneracies import find_dependent_rows
from isthmus.statistics.unpaired_moments import moments_of_rows
from isthmus.utils.arguments import check_flags, list_of_names
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.progress import report_progress
from isthmus.utils.validation import check_sample

#: Numbers of one modality from which measures run side by side, and items from which one pass has several threads.
MIN_PARALLEL_VALUES, MIN_SWEPT_ITEMS = 2**17, 3_000
#: Short names of measures.
ALIASES = {"angle": "centroid_angle", "rmg": "relative_modality_gap", "paired_cosine": "mean_paired_cosine"}


def measure(
    data: Any,
    y: Any = None,
    /,
    *,
    metrics: str | Sequence[str] | None = None,
    normalize: bool = True,
    drop_bad: bool = False,
    group: bool = True,
    pool: str | None = None,
    unpaired: bool = False,
    sample: int | None = None,
) -> Result:
    """Compute measures of the modality gap, with intervals and nulls.

    One pass over the data gives the moments. Measures that need rows work in blocks, on a random sample of 10,000
    items when there are more. `Estimate.sampled` is then the number of items, and `Estimate.standard_error` that of
    sampling.

    Parameters
    ----------
    data : Pairs, array-like, path or Moments
        Pairs, or the rows of the first modality: an array, list, column or file. Moments that were summed elsewhere
        allow the fast measures only, under the names x and y, and no intervals that need rows.
    y : array-like or path, optional
        Rows of the second modality. Arrays are called 'x' and 'y'.
    metrics : str or sequence of str or None
        Names separated by commas, or a list of names: as they are registered ('rank_99_{side}') or as they are
        printed ('rank_99_image'). Also 'all', 'fast' (measures that need only moments) and the names of
        `isthmus.metrics.FAMILIES`, such as 'neighbours'. Default: all that the data allow. Measures of labels need
        labels.
    normalize : bool
        Divide rows by their norms. Moments record this already, and the option is ignored for them.
    drop_bad : bool, default False
        Leave out pairs with a row that is NaN, infinite or all zero, with a warning that counts them.
    group : bool, default True
        Take equal rows of a modality as one item with several matches, with a warning that counts them.
    pool : {'mean', 'max', 'first'}, optional
        How several vectors of an item, (n, k, d), become one. Vectors that are all zero are padding.
    unpaired : bool, default False
        Take the rows as two sets without pairs, whose sizes may differ. Measures of pairs are undefined then, and
        measures of rows use as many random rows of both sets.
    sample : int, optional
        Items in the sample of measures that need rows. Their time grows with its square. Items that share rows of y
        are drawn together, and count as one. Default: 10,000.

    Returns
    -------
    Result
        Estimates in the order in which they were chosen, and curves.

    Raises
    ------
    InputError
        If a measure is unknown, the modalities have different widths, or a row is zero, NaN or infinite. If `sample`
        is below 100.

    Examples
    --------
    >>> import numpy as np, isthmus
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 100, 8)) + 1
    >>> result = isthmus.measure(isthmus.Pairs(image=X, text=Y), metrics="centroid_angle, spectrum")
    >>> bool(result["centroid_angle"].low <= result["centroid_angle"].value <= result["centroid_angle"].high)
    True
    >>> list(isthmus.measure(isthmus.Moments.of(X, Y), metrics=["effective_rank_x"]))
    ['effective_rank_x']
    """
    check_sample(sample)
    check_flags(unpaired=unpaired)
    pairs: Pairs | UnpairedSets | None = None
    if unpaired or isinstance(data, UnpairedSets):
        pairs = open_sets(data, y, drop_bad=drop_bad, group=group, normalize=normalize, pool=pool)
    elif not isinstance(data, Moments) or y is not None:
        pairs = as_pairs(data, y, drop_bad=drop_bad, group=group, pool=pool, normalize=normalize)
    names = ("x", "y") if pairs is None else pairs.names
    selected = _selected(metrics, pairs, names)
    moments = data if pairs is None else moments_of_rows(pairs, normalize=normalize)
    if pairs is None:
        normalize = moments.normalize
        if moments.dim_x != moments.dim_y:
            raise InputError(
                f"got modalities of widths {moments.dim_x} and {moments.dim_y}, expected one width; "
                "embed both with one model"
            )
    if isinstance(pairs, Pairs):
        judge_pairing(pairs)  # remembered: its samples of rows are freed before the measures take theirs
    context = MetricContext(moments.numpy(), pairs, normalize=normalize, names=names, sample_items=sample)
    context.planned_sweeps = frozenset(work for entry in selected for work in registry()[entry].sweeps)
    entries = [registry()[name] for name in selected]
    size = moments.by_item.n_items, moments.by_item.n_items * moments.dim_x
    threads = n_threads() if size[1] >= MIN_PARALLEL_VALUES else 1
    with blas_limited(1):
        report_progress(0, len(entries), "measuring")
        if threads > 1 and context.planned_sweeps and size[0] >= MIN_SWEPT_ITEMS:
            with suppress(*FAILURES):  # each measure states its failure
                planned_sweep(context)  # it uses all threads by itself
        order = _spread_over_modules(entries)
        results = map_ahead(lambda entry: evaluate(entry, context), order, threads, ahead=len(order))
        computed: dict[str, dict[str, Estimate]] = {}
        for number, (entry, values) in enumerate(zip(order, results, strict=True), start=1):
            report_progress(number, len(entries), "measuring", entry.name)
            computed[entry.name] = values
        curves, provenance = _curves(context), _provenance(pairs, context)
    estimates: dict[str, Estimate] = {}
    for measure_name, printed in selected.items():
        estimates.update({name: estimate for name, estimate in computed[measure_name].items() if name in printed})
    return Result(estimates, curves, provenance, pairs)


def _spread_over_modules(entries: Sequence[Metric]) -> list[Metric]:
    """Return the first measure of every module, then the second ones, and so on.

    Measures of one module share work. One that starts while another still does this work would occupy a thread to wait.
    """
    modules: dict[str, list[Metric]] = {}
    for entry in entries:
        modules.setdefault(entry.compute.__module__, []).append(entry)
    return [entry for row in zip_longest(*modules.values()) for entry in row if entry is not None]


def families(names: tuple[str, str]) -> dict[str, str]:
    """Return the family of every estimate.

    Parameters
    ----------
    names : tuple of str
        Names of the two modalities.

    Returns
    -------
    dict of str to str
        Families by the printed name of the estimate.

    Examples
    --------
    >>> families(("image", "text"))["rank_99_image"]
    'spectrum'
    """
    return {name: entry.family for entry in registry().values() for name in entry.names(*names)}


def _selected(
    metrics: str | Sequence[str] | None, pairs: Pairs | UnpairedSets | None, names: tuple[str, str]
) -> dict[str, list[str]]:
    """Return the printed names that are asked for by registered measure, in the order of the request."""
    registered = registry()
    measures_of_printed = {name: entry.name for entry in registered.values() for name in entry.names(*names)}
    groups = _groups(registered, pairs)
    requests = ["all"] if metrics is None else list_of_names(metrics, "metrics")
    selected: dict[str, list[str]] = {}
    expanded = [name for request in requests for name in expand_alias(request)]
    for request in expanded:
        if request in measures_of_printed and request not in registered:
            selected.setdefault(measures_of_printed[request], []).append(request)
            continue
        if request not in registered and request not in groups:
            similar: str | list[str] | None = renamed_measure(request, names, measures_of_printed)
            if not similar and "recall" in request.lower():
                similar = [name for name in measures_of_printed if name.endswith("_R@1")]
            raise unknown_name("measure", request, [*groups, *measures_of_printed], similar=similar)
        for name in groups.get(request, [request]):
            selected[name] = registered[name].names(*names)
    return selected


def expand_alias(name: str, /) -> list[str]:
    """Return the registered measures that a short name stands for.

    Parameters
    ----------
    name : str
        'angle', 'rmg', 'paired_cosine', or a name without its modality, such as 'R@1' or 'effective_rank'.

    Returns
    -------
    list of str
        Registered names. A name that is no short name is returned as it is.

    Examples
    --------
    >>> expand_alias("R@1"), expand_alias("effective_rank"), expand_alias("angle")
    (['{x}_to_{y}_R@1', '{y}_to_{x}_R@1'], ['effective_rank_{side}'], ['centroid_angle'])
    """
    if name in ALIASES:
        return [ALIASES[name]]
    templates = (f"{{x}}_to_{{y}}_{name}", f"{{y}}_to_{{x}}_{name}", f"{name}_{{side}}")
    return [template for template in templates if template in registry()] or [name]


def _groups(entries: Mapping[str, Metric], pairs: Pairs | UnpairedSets | None) -> dict[str, list[str]]:
    """Return the measures of 'all', 'fast' and each family that the data allow."""
    allowed = {"moments"}
    if pairs is not None:
        allowed |= {"rows"} if getattr(pairs, "labels", None) is None else {"rows", "labels"}
    possible = [entry for entry in entries.values() if entry.requires in allowed]
    return {
        "all": [entry.name for entry in possible],
        "fast": [entry.name for entry in entries.values() if entry.requires == "moments"],
        **{family: [entry.name for entry in possible if entry.family == family] for family in FAMILIES[:-1]},
    }


def _curves(context: MetricContext) -> dict[str, np.ndarray]:
    """Return spectra, principal angles and shares of the gap by name."""
    x, y = context.names
    functions: dict[str, Callable[[], np.ndarray]] = {
        f"spectrum_{x}": lambda: context.x.spectrum**2 / np.sum(context.x.spectrum**2),
        f"spectrum_{y}": lambda: context.y.spectrum**2 / np.sum(context.y.spectrum**2),
        "principal_angles": lambda: context.shared(Subspaces).angles.degrees,
        "gap_share_per_coordinate": lambda: gap_by_coordinate(context),
        f"gap_share_per_direction_{x}": lambda: gap_by_direction(context),
        f"gap_share_per_direction_{y}": lambda: gap_by_direction(context.swapped()),
    }
    curves = {}
    for name, function in functions.items():
        try:
            curves[name] = function()
        except FAILURES:
            # Like a measure that fails: the curve is undefined, and the others are not affected.
            curves[name] = np.full(context.moments.dim_x, np.nan)
    return curves


def _n_independent_items(pairs: Pairs | UnpairedSets) -> int:
    """Return the number of items, where items that share a row of y are one if statistics count them as one."""
    if isinstance(pairs, UnpairedSets):
        return min(pairs.sizes)
    return pairs.n_items if pairs.y_groups is None or pairs.dependence is not None else pairs.n_components


def _provenance(pairs: Pairs | UnpairedSets | None, context: MetricContext) -> dict[str, object]:
    """Return the modalities, sizes, files and options behind a result."""
    m = context.moments
    provenance: dict[str, object] = {
        "names": list(context.names), "n": m.n, "items": m.by_item.n_items, "dim": m.dim_x
    }  # fmt: skip
    degenerate = find_degeneracies(m, context.names)
    if isinstance(pairs, Pairs):
        pairing = judge_pairing(pairs)
        degenerate += [entry for entry in pairing.degenerate if entry.kind == NEAR_COPIES]
        if pairing.kind == "negated":  # its sentence states it
            degenerate = [entry for entry in degenerate if entry.kind != NEGATED_ROWS]
    elif pairs is not None:
        degenerate += find_dependent_rows(pairs)
    provenance["degenerate"] = [entry.to_dict() for entry in degenerate]
    if pairs is not None:
        provenance |= {
            "items": min(pairs.sizes) if isinstance(pairs, UnpairedSets) else pairs.n_items,
            "independent_items": min(_n_independent_items(pairs), *m.n_distinct),
            "paths": [pairs.x.address, pairs.y.address],
            "dtypes": [pairs.x.dtype, pairs.y.dtype],
            "pairing": pairs.pairing,
            "matching": {} if isinstance(pairs, UnpairedSets) else judge_pairing(pairs).to_dict(),
        }
    if context.pairs is not None and context.pairs.dependence is not None:
        provenance["no_interval"] = context.pairs.dependence
    return provenance | {
        "normalize": context.normalize,
        "matmul_dtype": m.matmul_dtype,
        "items_ranked": 0 if context.pairs is None else context.sampled or context.pairs.n_items,
    }
