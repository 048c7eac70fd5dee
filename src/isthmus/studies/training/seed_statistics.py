"""Statistics over seeds: means with intervals, paired differences, bootstrap, and groups of runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from isthmus.statistics.result import NAN, Estimate
from isthmus.studies.training.settings import Setting
from isthmus.studies.training.trainer import TrainingRun


def mean_over_seeds(values: Sequence[float | None], /, *, unit: str = "") -> Estimate:
    """Return the mean with Student's 95 % interval. It is undefined if more than half of the values are None.

    >>> estimate = mean_over_seeds([1.0, 2.0, 3.0])
    >>> estimate.value, round(estimate.low, 2), round(estimate.high, 2)
    (2.0, -0.48, 4.48)
    """
    from scipy.special import stdtrit

    defined = np.array([value for value in values if value is not None])
    n_missing = len(values) - len(defined)
    if len(defined) == 0 or n_missing > len(values) / 2:
        return Estimate(NAN, unit=unit, undefined=f"undefined in {n_missing} of {len(values)} runs")
    note = f"undefined in {n_missing} of {len(values)} runs" if n_missing else ""
    mean = float(defined.mean())
    if len(defined) < 2:
        return Estimate(mean, unit=unit, note=note)
    half_width = float(stdtrit(len(defined) - 1, 0.975)) * float(defined.std(ddof=1)) / math.sqrt(len(defined))
    return Estimate(mean, mean - half_width, mean + half_width, unit=unit, note=note)


def group_by_setting(runs: Iterable[TrainingRun], /) -> dict[Setting, list[TrainingRun]]:
    """Group runs that differ in their seed alone, by their setting with seed 0, in the order of the grid."""
    groups: dict[Setting, list[TrainingRun]] = {}
    for run in runs:
        groups.setdefault(replace(run.setting, seed=0), []).append(run)
    return groups


def final_value(run: TrainingRun, name: str) -> float | None:
    """Return a measure at the end of a run. 'loss' is its training loss."""
    return run.loss if name == "loss" else run.end.get(name)


def mean_final_value(runs: Sequence[TrainingRun], name: str, /) -> Estimate:
    """Return the mean of a measure at the end of the runs, with its interval over seeds."""
    return mean_over_seeds([final_value(run, name) for run in runs])


def paired_difference(runs: Sequence[TrainingRun], base: Sequence[TrainingRun], name: str, /) -> Estimate:
    """Return the mean difference `runs` - `base` at the end, paired by seed, with Student's 95 % interval."""
    base_values = {run.setting.seed: final_value(run, name) for run in base}
    value_pairs = [(final_value(run, name), base_values.get(run.setting.seed)) for run in runs]
    return mean_over_seeds([None if a is None or b is None else a - b for a, b in value_pairs])


def bootstrap_over_seeds(
    table: np.ndarray,
    seeds: Sequence[int],
    statistic: Callable[[np.ndarray], float],
    /,
    *,
    draws: int = 200,
    rng: int = 0,
) -> Estimate:
    """Return `statistic` of the rows of `table` (n, k) with a 95 % percentile interval.

    Row i belongs to a run with `seeds[i]`. The bootstrap resamples seeds, each with all its rows.
    """
    rows_by_seed = [np.flatnonzero(np.asarray(seeds) == seed) for seed in sorted(set(seeds))]
    generator = np.random.default_rng(rng)
    n_seeds = len(rows_by_seed)
    # Few seeds have few different resamples, whose order does not matter.
    samples = [tuple(sorted(generator.integers(n_seeds, size=n_seeds).tolist())) for _ in range(draws)]
    by_sample = {s: statistic(table[np.concatenate([rows_by_seed[i] for i in s])]) for s in set(samples)}
    values = [by_sample[sample] for sample in samples if math.isfinite(by_sample[sample])]
    estimate = statistic(table)
    if not math.isfinite(estimate) or len(values) < draws / 2:
        return Estimate(estimate)
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(estimate, float(low), float(high))
