"""Interventions on the gap and on the shared space, and how the scores of tasks respond."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.threads import blas_limited
from isthmus.data.cross_dim_pairs import with_rows
from isthmus.data.grouping import item_groups
from isthmus.data.opening import as_pairs
from isthmus.data.pairs import Pairs
from isthmus.evaluation.comparison import MAX_ITEMS
from isthmus.evaluation.held_out import check_groups, group_split, warn_of_shared_rows
from isthmus.evaluation.intervention_curve import INTERVENTIONS, InterventionCurve, InterventionPoint
from isthmus.evaluation.shared_space import count_shared_dimensions, shared_alignment, shared_basis
from isthmus.linalg.rotations import plane_rotation
from isthmus.metrics import MetricContext
from isthmus.metrics.centroid import debiased_distance, gap_angle
from isthmus.statistics.correlation import isotonic_r2_of_samples, spearman_of_samples
from isthmus.statistics.data_warnings import warn_of_data
from isthmus.statistics.moments import Moments, moments_of
from isthmus.statistics.result import NAN, Estimate
from isthmus.tasks import TaskData, mean_texts, select_tasks
from isthmus.utils.arguments import check_callable, check_count, check_seed, list_of_names
from isthmus.utils.errors import InputError, unknown_name
from isthmus.utils.format import counted, sample_words, too_few
from isthmus.utils.validation import check_sample

#: The scores that are recorded, and the tasks that they come from.
SCORES = {"R@1": "retrieval", "mixed_NDCG@10": "mixed_search", "zero_shot_accuracy": "zero_shot"}
#: Fewer items than this cannot be halved into a set that fits a shared space and a set that judges it.
MIN_ITEMS = 40
BOOTSTRAPS = 2000


@blas_limited(1)  # decompositions keep BLAS threads waiting for each other
def intervene(
    pairs: Any,
    y: Any = None,
    /,
    *,
    interventions: Sequence[str] = tuple(INTERVENTIONS),
    shared: int | None = None,
    rng: int = 0,
    group: bool = True,
    progress: Callable[[int, int, str], None] | None = None,
    sample: int | None = None,
) -> InterventionCurve:
    """Change the gap and the shared space step by step, and evaluate the tasks at each step.

    Means, rotation planes and the shared space are fitted on one random half of the items. Gap, alignment and scores
    are computed on the other half. Rows have unit length before and after an intervention.

    Parameters
    ----------
    pairs : Pairs, array-like or path
        Pairs of the same dimension in both modalities, or the rows of the first one: an array, list, column or file.
        If there are more items than `sample`, a random sample is used. With labels, zero-shot classification is
        evaluated too. Its class text is the mean of the fitting texts of the class.
    y : array-like or path, optional
        Rows of the second modality. Arrays are called 'x' and 'y'.
    interventions : sequence of str, default all
        Names in `INTERVENTIONS`.
    shared : int, optional
        Dimension of the shared space. Default: `isthmus.evaluation.shared_space.count_shared_dimensions` of the
        fitting half.
    rng : int, default 0
        Seed of the sample, the split, the tasks and the bootstrap.
    group : bool, default True
        Take equal rows of a modality as one item with several matches, with a warning that counts them.
    progress : callable, optional
        Called as progress(done, total, intervention) after each step.
    sample : int, optional
        Number of items in the random sample, 100 or more. Items that share rows of y are drawn together, and count as
        one. Default: 10,000. `InterventionCurve.settings` states the sample.

    Returns
    -------
    InterventionCurve
        One point for each intervention and strength.

    Raises
    ------
    InputError
        If an intervention is unknown, there are fewer than 40 items, or no direction is shared.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> curve = intervene(pairs, interventions=["translate", "collapse"])
    >>> len(curve.points), curve.gap_measure
    (13, 'gap')
    """
    check_seed(rng)
    check_callable(progress, "progress")
    check_sample(sample)
    interventions = list_of_names(interventions, "interventions")
    pairs = as_pairs(pairs, y, group=group)
    _check(pairs, interventions)
    experiment = _Experiment.of(pairs, shared, rng, MAX_ITEMS if sample is None else sample)
    steps = [("raw", 0.0), *((name, strength) for name in interventions for strength in INTERVENTIONS[name][1])]
    points = []
    for n_done, (name, strength) in enumerate(steps, start=1):
        points.append(evaluate_intervention(name, strength, experiment))
        if progress is not None:
            progress(n_done, len(steps), name)
    gap_measure = "gap" if all(math.isfinite(point.gap) for point in points) else "gap_distance"
    return InterventionCurve(
        points,
        {score: _explained(points, score, gap_measure, rng) for score in experiment.scores},
        gap_measure,
        experiment.rank,
        experiment.fit.n_pairs,
        experiment.test.n_pairs,
        pairs.names,
        {"interventions": list(interventions), "rng": rng, "sample": experiment.sample},
    )


def _check(pairs: Pairs, interventions: Sequence[str]) -> None:
    for name in interventions:
        if name not in INTERVENTIONS:
            raise unknown_name("intervention", name, INTERVENTIONS)
    if not interventions:
        raise InputError(f"no intervention was named; known: {', '.join(INTERVENTIONS)}")
    if pairs.n_components < MIN_ITEMS:
        raise InputError(
            f"{too_few(pairs.n_components, 'item')} to fit a shared space and judge it, expected {MIN_ITEMS} or more"
        )


@dataclass(frozen=True)
class _Experiment:
    """Both halves of the items, and what was fitted on the first of them."""

    fit: Pairs
    test: Pairs
    fit_rows: list[np.ndarray]
    test_rows: list[np.ndarray]
    moments: Moments
    basis: np.ndarray
    scores: list[str]
    rng: int
    sample: str

    @property
    def rank(self) -> int:
        """Return the dimension of the shared space."""
        return int(self.basis.shape[1])

    @classmethod
    def of(cls, pairs: Pairs, shared: int | None, rng: int, max_items: int) -> _Experiment:
        """Split the items and fit the shared space."""
        moments_of(pairs)  # reads every row, so that an invalid row is reported with its position in the file
        warn_of_data(pairs, stacklevel=4)
        n_items = pairs.n_components
        pairs = pairs.sample(max_items, rng=rng)
        sample = sample_words(pairs.n_components, n_items)
        group = item_groups(pairs)
        check_groups(group, MIN_ITEMS, pairs=pairs)
        warn_of_shared_rows(pairs, group)
        fit, test = (pairs.take(items) for items in group_split(pairs, group, rng=rng))
        fit_rows, test_rows = ([to_numpy(rows).astype(np.float64) for rows in half.unit()] for half in (fit, test))
        rank = count_shared_dimensions(fit, rng=rng) if shared is None else check_count(shared, "shared")
        if rank > pairs.dim:
            raise InputError(f"shared={shared}, expected 1 to {counted(pairs.dim, 'direction')}")
        moments = moments_of(fit)
        scores = [score for score, task in SCORES.items() if task != "zero_shot" or pairs.labels is not None]
        return cls(fit, test, fit_rows, test_rows, moments, shared_basis(moments, rank), scores, rng, sample)


def apply_intervention(
    intervention: str, strength: float, rows: Sequence[np.ndarray], moments: Moments, basis: np.ndarray, /
) -> list[np.ndarray]:
    """Return the unit rows of both modalities after an intervention.

    Parameters
    ----------
    intervention : str
        A name in `INTERVENTIONS`, or 'raw'.
    strength : float
        Strength of the intervention.
    rows : sequence of two np.ndarray of shape (n_x, d) and (n_y, d)
        Unit rows x and y.
    moments : Moments
        Moments of the fitting pairs, which define the means.
    basis : np.ndarray of shape (d, k)
        Orthonormal basis of the shared space.

    Returns
    -------
    list of two np.ndarray
        Rows x and y, of the same shapes.

    Examples
    --------
    >>> import isthmus
    >>> pairs = isthmus.demo.load("collapsed", split="test")
    >>> moments = isthmus.Moments.of(pairs)
    >>> x, y = apply_intervention("translate", 1.0, pairs.unit(), moments, shared_basis(moments, 8))
    >>> bool(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)) < 0.1)
    True
    """
    x, y = rows
    mean_x, mean_y = to_numpy(moments.mean_x), to_numpy(moments.mean_y)
    if intervention == "translate":
        step = strength * (mean_y - mean_x) / 2
        x, y = x + step, y - step
    elif intervention == "rotate":
        x = x @ partial_rotation(mean_x, mean_y, strength).T
    elif intervention == "collapse":
        x, y = (_without(r, _shared_part(r, m, basis), strength) for r, m in ((x, mean_x), (y, mean_y)))
    elif intervention == "remove_unshared":
        x, y = (_without(r, r - m - _shared_part(r, m, basis), strength) for r, m in ((x, mean_x), (y, mean_y)))
    return [unit_rows(x), unit_rows(y)]


def _shared_part(rows: np.ndarray, mean: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return the projection of the centred rows onto the shared space."""
    return np.asarray(((rows - mean) @ basis) @ basis.T)


def _without(rows: np.ndarray, component: np.ndarray, strength: float) -> np.ndarray:
    return rows - strength * component


def partial_rotation(u: np.ndarray, v: np.ndarray, share: float, /) -> np.ndarray:
    """Return the rotation in the plane of two vectors by a share of the angle between them.

    Parameters
    ----------
    u, v : np.ndarray of shape (d,)
        Vectors of any positive length.
    share : float
        Share of the angle from u to v. Negative shares rotate away from v.

    Returns
    -------
    np.ndarray of shape (d, d)
        Rotation matrix.
    """
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    angle = share * 2 * math.atan2(float(np.linalg.norm(u - v)), float(np.linalg.norm(u + v)))
    orthogonal = v - (u @ v) * u
    length = float(np.linalg.norm(orthogonal))
    if length == 0:
        return np.eye(len(u))
    target = math.cos(angle) * u + math.sin(angle) * orthogonal / length
    return np.asarray(plane_rotation(u, target).matrix())


def evaluate_intervention(intervention: str, strength: float, experiment: _Experiment, /) -> InterventionPoint:
    """Apply one intervention to both halves and compute gap, alignment and scores of the test half."""
    fit, test = experiment.fit, experiment.test
    (fit_x, fit_y), (x, y) = (
        apply_intervention(intervention, strength, rows, experiment.moments, experiment.basis)
        for rows in (experiment.fit_rows, experiment.test_rows)
    )
    # The shared space is fitted again after each intervention, because a rotation turns it.
    basis = shared_basis(Moments.of(with_rows(fit, fit_x, fit_y), normalize=False), experiment.rank)
    moments = Moments.of(with_rows(test, x, y), normalize=False)
    gap = gap_angle(MetricContext(moments, names=test.names))
    class_names = class_texts = None
    if "zero_shot_accuracy" in experiment.scores:
        class_names, class_texts = mean_texts(fit_y, fit.owner, fit.labels)
    task_data = TaskData(
        x.astype(np.float32),
        y.astype(np.float32),
        owner=test.owner,
        y_groups=test.y_groups,
        labels=test.labels,
        class_names=class_names,
        class_texts=class_texts,
        seed=experiment.rng,
        tasks=(names := [SCORES[name] for name in experiment.scores]),
    )
    scores: dict[str, float] = {}
    for task in select_tasks(names):
        scores |= task.run(task_data).scores()
    return InterventionPoint(
        intervention,
        strength,
        NAN if gap.undefined else gap.value,
        debiased_distance(moments),
        shared_alignment(moments, basis),
        {name: scores[name] for name in experiment.scores},
        gap_plugin=NAN if gap.undefined else gap.plugin,
        gap_distance_plugin=float(np.linalg.norm(moments.mean_x - moments.mean_y)),
    )


def _explained(points: list[InterventionPoint], score: str, gap_measure: str, rng: int) -> dict[str, Estimate]:
    """Return the associations of a score with the gap and with the alignment, with bootstrap intervals."""
    table = np.array([[getattr(p, gap_measure), p.alignment, p.scores[score]] for p in points])
    interventions = np.array([point.intervention for point in points])
    draws = _associations(table, _bootstrap_counts(interventions, np.random.default_rng(rng)))
    values = _associations(table, np.ones((1, len(points))))[0]
    estimates = {}
    names = ("gap", "alignment", "difference", "gap_curve", "alignment_curve", "curve_difference")
    for column, name in enumerate(names):
        finite = draws[:, column][np.isfinite(draws[:, column])]
        is_estimable = len(finite) > BOOTSTRAPS // 2 and math.isfinite(values[column])
        low, high = np.quantile(finite, [0.025, 0.975]) if is_estimable else (NAN, NAN)
        unit = "share of variance" if "curve" in name else "rank correlation"
        estimates[name] = Estimate(float(values[column]), float(low), float(high), unit=unit)
    return estimates


def _bootstrap_counts(interventions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw points with replacement within each intervention, and return how often each is drawn, (samples, points)."""
    _, kinds, sizes = np.unique(interventions, return_inverse=True, return_counts=True)
    order = np.argsort(kinds, kind="stable")  # points of one intervention are next to each other
    begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
    positions = generator.integers(0, np.broadcast_to(np.repeat(sizes, sizes), (BOOTSTRAPS, len(order))))
    counts = np.zeros((BOOTSTRAPS, len(order)))
    np.add.at(counts, (np.arange(BOOTSTRAPS)[:, None], order[begins + positions]), 1)
    return counts


def _associations(table: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return rank correlations, shares of variance and their differences in each sample of points, (samples, 6)."""
    columns = table.T
    gap, alignment = (spearman_of_samples(columns[number], columns[2], counts) for number in (0, 1))
    gap_curve, alignment_curve = (isotonic_r2_of_samples(columns[number], columns[2], counts) for number in (0, 1))
    differences = np.abs(alignment) - np.abs(gap), alignment_curve - gap_curve
    return np.column_stack([gap, alignment, differences[0], gap_curve, alignment_curve, differences[1]])
