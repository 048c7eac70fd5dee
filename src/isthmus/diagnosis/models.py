"""Compare several models or checkpoints: gap, budget, collapse, retrieval and mixed search, and what goes with what."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.threads import blas_limited
from isthmus.data.components import connected_items, dependence_reason, halves_of_groups
from isthmus.data.numbering import renumber
from isthmus.data.opening import as_pairs, named_sources, open_pairs
from isthmus.data.pairs import Pairs
from isthmus.diagnosis.cosine_decomposition import COMPONENTS, decomposition_values
from isthmus.diagnosis.decomposition_intervals import decompose_pairs
from isthmus.diagnosis.model_table import CORRELATED, ModelComparison, rank_correlation, steps_of
from isthmus.evaluation.shared_space import count_shared_dimensions, shared_alignment, shared_basis
from isthmus.metrics import measure
from isthmus.metrics.spectrum import rankme
from isthmus.statistics.jackknife import jackknife_interval
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.result import NAN, Estimate
from isthmus.statistics.shares import mean_change_interval, mean_share_interval
from isthmus.tasks import TaskData
from isthmus.tasks import registry as tasks
from isthmus.utils.arguments import type_of
from isthmus.utils.errors import InputError
from isthmus.utils.progress import as_steps_of, report_progress
from isthmus.utils.validation import check_sample

#: Larger data are sampled for the tasks, with the same items of every model.
MAX_ITEMS = 10_000
#: Groups of items that the jackknife leaves out in turn.
GROUPS = 20
#: Fewest independent items in a group. Without two groups there are no intervals.
MIN_GROUP_UNITS = 3
#: Distance of an angle from 0 and 180 degrees, in multiples of the angle of a random swap, from which on differences of
#: angles have an interval.
MIN_NULLS = 3.0
#: Stage of the progress.
STAGE = "comparing models"
MEASURES = (
    "centroid_angle", "centroid_distance", "mean_paired_cosine", "effective_rank_{side}", "rank_99_{side}",
    "overlap_dimensions",
)  # fmt: skip
#: Scores of the tasks, means over items.
SCORES = {
    "retrieval": ("R@1", "R@10"),
    "mixed_search": ("mixed_R@1", "exchange_R@1", "same_modality_share"),
}


@blas_limited(1)  # decompositions keep BLAS threads waiting for each other
def compare_models(
    models: Mapping[str, Any],
    /,
    *,
    same_pairs: bool | None = None,
    normalize: bool = True,
    drop_bad: bool = False,
    group: bool = True,
    pool: str | None = None,
    rng: int = 0,
    sample: int | None = None,
) -> ModelComparison:
    """Measure several models or checkpoints, their differences, and what goes with good retrieval across them.

    Parameters
    ----------
    models : mapping of str to Pairs, tuple or path
        Pairs of each model by its name, or the rows of both modalities: arrays, lists, columns or files. A path is a
        folder that holds the files of both modalities.
    same_pairs : bool, optional
        Whether row i belongs to the same item in every model. Differences are then paired, and their intervals are
        narrower. Default: whether all models have the same numbers of rows and the same matches, apart from equal rows.
    normalize : bool, default True
        Divide rows by their norms.
    drop_bad : bool, default False
        Leave out pairs with a row that is NaN, infinite or all zero, with a warning that counts them. Models of which
        different pairs are left out have no pairs in common.
    group : bool, default True
        Take equal rows of a modality as one item with several matches, with a warning that counts them.
    pool : {'mean', 'max', 'first'}, optional
        How several vectors of an item, (n, k, d), become one.
    rng : int, default 0
        Seed of the sample, the groups and the permutations.
    sample : int, optional
        Items in the random sample that is searched, the same ones of every model, 100 or more. Items that share rows
        are drawn together, and count as one. `decompose_pairs` takes its sample from it too. Default: 10,000.
        `Estimate.sampled` and a sentence state it.

    Returns
    -------
    ModelComparison
        Numbers of every model with intervals, differences between models, and rank correlations across models.

    Raises
    ------
    InputError
        If there are fewer than two models, or `same_pairs=True` and the models have different numbers of rows.

    Notes
    -----
    The interval of a difference on the same pairs comes from the gains and losses of the items for means over items
    [1]_. It has a width even if no item changes. For functions of the moments it comes from a jackknife over 20 groups
    of items, which also removes their bias of order 1/n. Items that share equal rows in any of the models are left out
    together. Without common pairs the squared distances of the ends from the values are added.

    References
    ----------
    .. [1] Newcombe (1998), Improved confidence intervals for the difference between binomial proportions based on
       paired data.

    Examples
    --------
    >>> import isthmus
    >>> models = {run: isthmus.demo.load(run, split="test") for run in ("plain", "collapsed")}
    >>> table = isthmus.compare_models(models)
    >>> table.paired, round(table.numbers["collapsed"]["centroid_angle"].value)
    (True, 60)
    >>> table.differences["plain", "collapsed"]["centroid_angle"].low > 20
    True
    """
    if not isinstance(models, Mapping):
        raise InputError(
            f"got {type_of(models)}, expected a dictionary of two models or more, as {{'a': (X, Y), 'b': ...}}"
        )
    if len(models) < 2:
        raise InputError(
            f"got {len(models)} model, expected two or more, as isthmus models FOLDER FOLDER, or "
            "compare_models({'a': (X, Y), 'b': ...})"
        )
    check_sample(sample)
    opened = {
        name: _pairs_of(data, drop_bad=drop_bad, group=group, pool=pool, normalize=normalize)
        for name, data in models.items()
    }
    paired = _have_same_pairs(opened) if same_pairs is None else same_pairs
    if paired and not _have_same_pairs(opened):
        sizes = ", ".join(f"{name} {pairs.n_pairs:,}" for name, pairs in opened.items())
        raise InputError(f"same_pairs=True, and the models have other rows or matches ({sizes}); use same_pairs=False")
    pair_units = _common_units(opened.values()) if paired else None
    total, n_finished = 2 * len(opened) + 1, 0
    studies: dict[str, _Study] = {}
    numbers: dict[str, dict[str, Estimate]] = {}
    with as_steps_of(STAGE, lambda: (n_finished, total, name)):
        for name, pairs in opened.items():
            report_progress(n_finished, total, STAGE, name)
            studies[name] = _Study(pairs, normalize, rng, pair_units, sample)
            n_finished += 1
        for name, study in studies.items():
            report_progress(n_finished, total, STAGE, name)
            numbers[name] = study.numbers()
            n_finished += 1
    report_progress(n_finished, total, STAGE, "differences")
    differences = {
        (a, b): _differences(studies[a], studies[b], numbers[a], numbers[b], paired=paired)
        for a, b in itertools.combinations(studies, 2)
    }
    correlations = {pair: rank_correlation(numbers, *pair, rng=rng) for pair in CORRELATED}
    counts = {name: pairs.n_pairs for name, pairs in opened.items()}
    report_progress(total, total, STAGE)
    items = {name: pairs.n_items for name, pairs in opened.items()}
    return ModelComparison(numbers, differences, correlations, steps_of(opened), paired, counts, items)


def open_model(path: str | os.PathLike[str], /, **reading: Any) -> Pairs:
    """Open a folder that holds the files of two modalities, or two paths with a comma between them.

    Parameters
    ----------
    path : str or path
        Folder with two files or two folders of shards, or 'image.npy,text.npy'.
    **reading
        Options of `isthmus.open_pairs`, such as `pool` or `drop_bad`.

    Returns
    -------
    Pairs
        The pairs. The modality that is first by name is x.

    Raises
    ------
    InputError
        If there are not two modalities.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("image", "text"):
    ...     np.save(folder / f"{name}.npy", np.eye(30))
    >>> open_model(folder).names
    ('image', 'text')
    """
    files = [part.strip() for part in str(path).split(",")]
    if len(files) == 1 and os.path.isdir(path):
        files = sorted(str(entry) for entry in Path(path).iterdir() if not entry.name.startswith("."))
    if len(files) != 2:
        shown = ", ".join(os.path.basename(file) for file in files[:5]) + (" ..." if len(files) > 5 else "")
        count = "one entry" if len(files) == 1 else f"{len(files)} entries"
        raise InputError(f"{path}: holds {count} ({shown}), expected the files of two modalities")
    if not {"index", "key"} & reading.keys():
        formats = {name: value for name, value in reading.items() if name not in ("drop_bad", "group", "normalize")}
        x, y = named_sources(files[0], files[1], None, formats)[0]
        if x.shape[0] != y.shape[0]:
            raise InputError(
                f"{x.address} has {x.shape[0]:,} rows and {y.address} has {y.shape[0]:,}: row i must match row "
                "i; repeat the row of an item beside each of its matches, because equal rows count once"
            )
    return open_pairs(*files, **reading)


class _Study:
    """The numbers of one model, and what their differences from another model need."""

    def __init__(self, pairs: Pairs, normalize: bool, rng: int, pair_units: np.ndarray | None, sample: int | None):
        self.pairs, self.normalize, self.rng, self.sample = pairs, normalize, rng, sample
        #: Number of items of the sample that the tasks search, or 0 for all items.
        self.sampled = 0
        #: Unit of each item, (n_items,), which is independent of the others and common to all models on the same pairs.
        self.units = pairs.components
        if pair_units is not None:
            self.units = np.zeros(pairs.n_items, dtype=np.int64)
            self.units[pairs.owner] = pair_units
        #: Why no interval can be stated, or None.
        self.dependence = dependence_reason(self.units[pairs.owner], pairs.names)
        if self.dependence is not None:
            self.units = np.arange(pairs.n_items)
        self.n_units = int(self.units.max()) + 1
        self.moments = moments_of(pairs, normalize=normalize).numpy()
        self.names = pairs.names
        self.per_unit = self._task_scores()
        self.plug_in = _moment_numbers(self.moments)
        self.left_out = self._left_out(np.arange(pairs.n_items), _moment_numbers)
        self.alignment = self._shared_alignment()

    def numbers(self) -> dict[str, Estimate]:
        """Return every number of this model with its interval."""
        x, y = self.names
        result = measure(self.pairs, metrics=list(MEASURES), normalize=self.normalize)
        numbers = {name.replace(f"_{x}", "_x").replace(f"_{y}", "_y"): e for name, e in result.items()}
        budget = decompose_pairs(self.pairs, normalize=self.normalize, rng=self.rng, sample=self.sample)
        numbers |= {f"budget_{name}": component for name, component in budget.items()}
        numbers["shared_alignment"] = self.alignment
        for name, values in self.per_unit.items():
            mean = min(float(np.mean(values)), 1.0)
            numbers[name] = Estimate(mean, *mean_share_interval(values), unit="share", sampled=self.sampled)
        if self.dependence is None:
            return numbers
        return {name: replace(e, low=NAN, high=NAN, note=self.dependence) for name, e in numbers.items()}

    def _task_scores(self) -> dict[str, np.ndarray]:
        """Return the contribution of each sampled unit to each score, of which the score is the mean."""
        items = np.arange(self.pairs.n_items)
        max_units = MAX_ITEMS if self.sample is None else self.sample
        if self.n_units > max_units:  # the same items of every model
            drawn = np.random.default_rng(self.rng).choice(self.n_units, size=max_units, replace=False)
            items = np.flatnonzero(np.isin(self.units, drawn))
            self.sampled = len(items)
        sample = self.pairs if len(items) == self.pairs.n_items else self.pairs.take(items)
        x, y = (to_numpy(rows) for rows in sample.unit(normalize=self.normalize))
        units, unit_of_item = np.unique(self.units[items], return_inverse=True)
        data = TaskData(x, y, owner=sample.owner, y_groups=sample.y_groups, seed=self.rng, tasks=SCORES)
        results = {name: tasks()[name].run(data) for name in SCORES}
        return {
            score: np.bincount(unit_of_item, results[name].per_item[score]) * (len(units) / len(items))
            for name, scores in SCORES.items()
            for score in scores
        }

    def _shared_alignment(self) -> Estimate:
        """Return the alignment in the shared space of one half of the items, judged on the other half."""
        halves = halves_of_groups(self.units, self.rng)
        if min(map(len, halves)) < 2:
            return Estimate(NAN, unit="share", undefined="two halves need two items each")
        first, second = (self.pairs.take(half) for half in halves)
        try:
            rank = count_shared_dimensions(self.pairs, rng=self.rng)
            basis = shared_basis(moments_of(first, normalize=self.normalize), rank)
        except InputError as error:
            return Estimate(NAN, unit="share", undefined=str(error))

        def alignment_of(moments: Moments) -> dict[str, float]:
            return {"shared_alignment": shared_alignment(moments, basis)}

        self.left_out |= self._left_out(halves[1], alignment_of)
        value = shared_alignment(moments_of(second, normalize=self.normalize).numpy(), basis)
        self.plug_in["shared_alignment"] = value
        return Estimate(value, *jackknife_interval(value, self.left_out["shared_alignment"]), unit="share")

    def _left_out(self, items: np.ndarray, numbers_of: Callable[[Moments], dict[str, float]]) -> dict[str, np.ndarray]:
        """Return numbers of the moments of these items without each group of units, for the jackknife."""
        units, unit_of_item = np.unique(self.units[items], return_inverse=True)
        if len(units) < 2 * MIN_GROUP_UNITS:
            return {name: np.full(2, NAN) for name in numbers_of(self.moments)}
        n_groups = min(GROUPS, len(units) // MIN_GROUP_UNITS)
        group_of_item = (np.random.default_rng(self.rng).permutation(len(units)) % n_groups)[unit_of_item]
        parts = [
            moments_of(self.pairs.take(items[group_of_item == g]), normalize=self.normalize).numpy()
            for g in range(n_groups)
        ]
        before = list(itertools.accumulate(parts, add))
        after = list(itertools.accumulate(reversed(parts), add))[::-1]
        values = [numbers_of(reduce(add, [*before[g - 1 : g], *after[g + 1 : g + 2]])) for g in range(len(parts))]
        return {name: np.array([value[name] for value in values]) for name in values[0]}


def _pairs_of(data: Any, **options: Any) -> Pairs:
    """Return the pairs of one model. A path is a folder with both modalities."""
    if isinstance(data, str | os.PathLike):
        return open_model(data, **options)
    return as_pairs(data, **options)


def _moment_numbers(moments: Moments) -> dict[str, float]:
    """Return the numbers that are smooth functions of the moments."""
    mean_x, mean_y = to_numpy(moments.mean_x), to_numpy(moments.mean_y)
    lengths = float(np.linalg.norm(mean_x) * np.linalg.norm(mean_y))
    values = decomposition_values(moments)
    return {
        "centroid_angle": math.degrees(math.acos(min(max(float(mean_x @ mean_y) / lengths, -1.0), 1.0))),
        "centroid_distance": float(np.linalg.norm(mean_x - mean_y)),
        "mean_paired_cosine": moments.mean_paired,
        "effective_rank_x": rankme(np.sqrt(np.clip(np.linalg.eigvalsh(moments.xx), 0, None))),
        "effective_rank_y": rankme(np.sqrt(np.clip(np.linalg.eigvalsh(moments.yy), 0, None))),
        **{f"budget_{name}": float(getattr(values, name)) for name in COMPONENTS},
    }


def _is_regular(angle: Estimate) -> bool:
    """Return whether an angle is so far from 0 and 180 degrees that its error is symmetric."""
    return min(angle.value, 180 - angle.value) > MIN_NULLS * angle.null


def _have_same_pairs(opened: Mapping[str, Pairs]) -> bool:
    """Return whether the rows of all models are matched alike, before equal rows of a model became one item."""
    first, *others = (pairs if pairs.ungrouped is None else pairs.ungrouped[0] for pairs in opened.values())
    return all(
        (pairs.n_pairs, pairs.n_items) == (first.n_pairs, first.n_items) and np.array_equal(pairs.owner, first.owner)
        for pairs in others
    )


def _common_units(opened: Iterable[Pairs]) -> np.ndarray:
    """Return the number of the component of each pair, (n_pairs,), where pairs that share rows in any model are one."""
    first, *others = (pairs.components[pairs.owner] for pairs in opened)
    for components in others:
        first = connected_items(first, components, int(first.max()) + 1)[first]
    return renumber(first)


def _differences(
    a: _Study, b: _Study, numbers_a: Mapping[str, Estimate], numbers_b: Mapping[str, Estimate], *, paired: bool
) -> dict[str, Estimate]:
    """Return the numbers of b minus those of a, with intervals."""
    differences = {}
    for name, estimate in numbers_a.items():
        other = numbers_b.get(name)
        if other is None or estimate.undefined or other.undefined:
            continue
        value, sampled = other.value - estimate.value, max(estimate.sampled, other.sampled)
        if a.dependence or b.dependence:
            low = high = NAN
        elif paired and name in a.per_unit:
            low, high = mean_change_interval(b.per_unit[name] - a.per_unit[name])
        elif paired and name in a.left_out and len(a.left_out[name]) == len(b.left_out[name]):
            left_out = b.left_out[name] - a.left_out[name]
            plug_in = b.plug_in[name] - a.plug_in[name]
            value = plug_in + (len(left_out) - 1) * (plug_in - float(left_out.mean()))  # without the bias of order 1/n
            low, high = jackknife_interval(value, left_out)
            sampled = 0  # moments of all items
            if name == "centroid_angle" and not (_is_regular(estimate) and _is_regular(other)):
                low = high = NAN
        else:
            # Distances of the ends add up like standard errors, so that an interval near 0 or 1 stays asymmetric.
            low = value - math.hypot(other.value - other.low, estimate.high - estimate.value)
            high = value + math.hypot(other.high - other.value, estimate.value - estimate.low)
        differences[name] = Estimate(value, low, high, unit=estimate.unit, sampled=sampled)
    return differences
