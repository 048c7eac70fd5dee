"""Means over seeds with their intervals, paired differences, and groups of runs that differ in their seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from isthmus.statistics.result import NAN, Estimate
from isthmus.studies.training.settings import Setting
from isthmus.studies.training.trainer import Run


def mean_over_seeds(values: Sequence[float | None], /, *, unit: str = "") -> Estimate:
    """Mean with Student's 95 % interval; undefined when more than half of the `values` are None.

    >>> found = mean_over_seeds([1.0, 2.0, 3.0])
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (2.0, -0.48, 4.48)
    """
    from scipy.special import stdtrit

    kept = np.array([v for v in values if v is not None])
    missing = len(values) - len(kept)
    if len(kept) == 0 or missing > len(values) / 2:
        return Estimate(NAN, unit=unit, undefined=f"undefined in {missing} of {len(values)} runs")
    note = f"undefined in {missing} of {len(values)} runs" if missing else ""
    mean = float(kept.mean())
    if len(kept) < 2:
        return Estimate(mean, unit=unit, note=note)
    half = float(stdtrit(len(kept) - 1, 0.975)) * float(kept.std(ddof=1)) / math.sqrt(len(kept))
    return Estimate(mean, mean - half, mean + half, unit=unit, note=note)


def groups(runs: Iterable[Run], /) -> dict[Setting, list[Run]]:
    """Runs that differ in their seed alone, under their setting with seed 0, in the order of the grid."""
    found: dict[Setting, list[Run]] = {}
    for run in runs:
        found.setdefault(replace(run.setting, seed=0), []).append(run)
    return found


def value(run: Run, name: str) -> float | None:
    """What was measured at the end of a run; 'loss' is its training loss."""
    return run.loss if name == "loss" else run.end.get(name)


def summary(runs: Sequence[Run], name: str, /) -> Estimate:
    """`mean_over_seeds` of what was measured at the end."""
    return mean_over_seeds([value(run, name) for run in runs])


def paired(runs: Sequence[Run], base: Sequence[Run], name: str, /) -> Estimate:
    """Mean difference `runs` - `base` at the end, seed by seed, with Student's 95 % interval."""
    before = {run.setting.seed: value(run, name) for run in base}
    both = [(value(run, name), before.get(run.setting.seed)) for run in runs]
    return mean_over_seeds([None if a is None or b is None else a - b for a, b in both])


def bootstrap(
    table: np.ndarray,
    seeds: Sequence[int],
    statistic: Callable[[np.ndarray], float],
    /,
    *,
    draws: int = 200,
    rng: int = 0,
) -> Estimate:
    """`statistic` of the rows of `table` (n, k), one for each run, of these `seeds` (n,); its interval are percentiles
    over seeds drawn anew, each with all its rows."""
    rows = [np.flatnonzero(np.asarray(seeds) == seed) for seed in sorted(set(seeds))]
    generator = np.random.default_rng(rng)
    drawn = [np.concatenate([rows[i] for i in generator.integers(len(rows), size=len(rows))]) for _ in range(draws)]
    kept = [found for chosen in drawn if math.isfinite(found := statistic(table[chosen]))]
    whole = statistic(table)
    if not math.isfinite(whole) or len(kept) < draws / 2:
        return Estimate(whole)
    low, high = np.quantile(kept, [0.025, 0.975])
    return Estimate(whole, float(low), float(high))
