"""Claims of the theory about imposed collapse, compared with the runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.statistics.result import Estimate
from isthmus.studies.training.grid import HYPERPLANE_RANK
from isthmus.studies.training.seed_statistics import final_value, mean_final_value, mean_over_seeds
from isthmus.studies.training.settings import TARGET_LENGTH
from isthmus.studies.training.trainer import TrainingRun
from isthmus.utils.format import number

HOLDS, PARTLY, FAILS = "holds", "holds in part", "does not hold"
#: Largest deviation of the gap from the imposed angle in degrees: in the affine regime, and if the gap is learned.
AFFINE_TOLERANCE, LEARNED_TOLERANCE = 0.5, 5.0
#: The gap follows the angle if it rises by at least this many degrees for each degree of the angle.
MIN_SLOPE = 0.5
#: The means are orthogonal to the shared space if at most this fraction of their squared lengths lies in it.
MAX_INSIDE = 0.05
#: Loss and recall do not depend on the angle if their ranges over the angles are smaller.
MAX_LOSS_RANGE, MAX_RECALL_RANGE = 1e-3, 0.005

#: Rank, temperature and epochs of runs that differ in angle and seed.
Case = tuple[int | None, str, int]


@dataclass(frozen=True)
class Claim:
    """A `statement` of the theory for a `case` of training, with prediction, measurement and verdict."""

    case: str
    statement: str
    predicted: str
    measured: str
    verdict: str


def evaluate_claims(runs: Sequence[TrainingRun], /) -> list[Claim]:
    """Evaluate all claims to which these runs of imposed collapse apply."""
    return [*_affine_claims(runs), *_mean_length_claims(runs), *_subspace_claims(runs)]


def group_by_angle(runs: Sequence[TrainingRun]) -> dict[float, list[TrainingRun]]:
    """Group runs by their imposed angle, in ascending order."""
    groups: dict[float, list[TrainingRun]] = {}
    for run in sorted(runs, key=lambda run: run.setting.angle):
        groups.setdefault(run.setting.angle, []).append(run)
    return groups


def group_by_case(runs: Sequence[TrainingRun], regime: str) -> dict[Case, list[TrainingRun]]:
    """Group the runs of a regime by rank, temperature and epochs."""
    groups: dict[Case, list[TrainingRun]] = {}
    for run in runs:
        setting = run.setting
        if setting.regime == regime:
            groups.setdefault((setting.rank, setting.temperature, setting.epochs), []).append(run)
    return groups


def describe_case(rank: int | None, temperature: str, epochs: int) -> str:
    """Return a description such as 'rank 8, learned temperature, 60 epochs'."""
    temperature = f"temperature {temperature}" if temperature[0].isdigit() else f"{temperature} temperature"
    space = "hyperplanes" if rank == HYPERPLANE_RANK else f"rank {rank}"
    return f"{space}, {temperature}, {epochs} epochs"


def describe_gaps(runs: Sequence[TrainingRun]) -> str:
    """Return the gaps by angle, such as `30°: 28.1 ± 0.4; 60°: undefined in 5 of 5 runs`."""
    texts = []
    for angle, angle_runs in group_by_angle(runs).items():
        gap = mean_final_value(angle_runs, "gap")
        interval = "" if math.isnan(gap.low) else f" ± {gap.high - gap.value:.1f}"
        texts.append(f"{angle:g}°: {gap.undefined or f'{gap.value:.1f}{interval}'}")
    return "; ".join(texts)


def _affine_claims(runs: Sequence[TrainingRun]) -> Iterator[Claim]:
    for case, case_runs in group_by_case(runs, "affine").items():
        case_text = f"fixed axes, {describe_case(*case)}"
        gaps = [(final_value(run, "gap"), run.setting.angle) for run in case_runs]
        deviations = [abs(gap - angle) for gap, angle in gaps if gap is not None]
        largest = max(deviations) if len(deviations) == len(case_runs) else float("inf")
        yield Claim(
            case_text,
            "the gap is the angle between the fixed axes, which are orthogonal to the shared space",
            f"within {AFFINE_TOLERANCE:g}°",
            f"largest deviation {largest:.2f}° in {len(case_runs)} runs",
            HOLDS if largest <= AFFINE_TOLERANCE else FAILS,
        )
        loss, recall = (_range_within_seeds(case_runs, name) for name in ("loss", "R@1"))
        yield Claim(
            case_text,
            "the loss does not depend on the angle, and neither does recall",
            "the same at every angle",
            f"largest range over angles of one seed: loss {number(loss)} of "
            f"{mean_final_value(case_runs, 'loss').value:.3f}, "
            f"R@1 {number(recall)} of {mean_final_value(case_runs, 'R@1').value:.3f}",
            HOLDS if loss < MAX_LOSS_RANGE and recall < MAX_RECALL_RANGE else FAILS,
        )


def _range_within_seeds(runs: Sequence[TrainingRun], name: str) -> float:
    """Return the largest range of a measure over the runs of one seed."""
    values_by_seed: dict[int, list[float]] = {}
    for run in runs:
        value = final_value(run, name)
        values_by_seed.setdefault(run.setting.seed, []).append(float("nan") if value is None else value)
    return max(float(np.ptp(values)) for values in values_by_seed.values())


def _mean_length_claims(runs: Sequence[TrainingRun]) -> Iterator[Claim]:
    for case, case_runs in group_by_case(runs, "mean_length_penalty").items():
        n_optimal = sum(map(_is_at_optimum, case_runs))
        inside = mean_final_value(case_runs, "centre_in_shared").value
        fraction = f"fraction of the means in the shared space {inside:.2f} on average"
        yield Claim(
            f"mean length {TARGET_LENGTH:g} imposed by a penalty, {describe_case(*case)}",
            "at the optimum the means are orthogonal to the shared space, and the gap is the angle or 180° minus it",
            "gap = angle, fraction 0",
            f"optimum reached in {n_optimal} of {len(case_runs)} runs; gap by imposed angle "
            f"{describe_gaps(case_runs)}; {fraction}",
            HOLDS if n_optimal == len(case_runs) else FAILS if n_optimal == 0 else PARTLY,
        )


def _is_at_optimum(run: TrainingRun) -> bool:
    """Return whether a run ended at the optimum of the theorem, which the supplement of the angle also is."""
    gap, inside = final_value(run, "gap"), final_value(run, "centre_in_shared")
    if gap is None or inside is None:
        return False
    angle = run.setting.angle
    return inside <= MAX_INSIDE and min(abs(gap - angle), abs(180 - gap - angle)) <= LEARNED_TOLERANCE


def _subspace_claims(runs: Sequence[TrainingRun]) -> Iterator[Claim]:
    for case, case_runs in group_by_case(runs, "subspace").items():
        n_undefined = sum(final_value(run, "gap") is None for run in case_runs)
        case_text = f"subspaces only, {describe_case(*case)}"
        if case[1] == "learned":
            image, text = (mean_final_value(case_runs, f"length_{name}").value for name in ("image", "text"))
            yield Claim(
                case_text,
                "without an imposed mean length the means go to 0 and the gap has no angle",
                "undefined",
                f"undefined in {n_undefined} of {len(case_runs)} runs, means {image:.2f} and {text:.2f} long",
                HOLDS if n_undefined == len(case_runs) else FAILS if n_undefined == 0 else PARTLY,
            )
            continue
        slope = gap_slope(case_runs)
        has_interval = not slope.undefined and not math.isnan(slope.low)
        if not has_interval or slope.low < MIN_SLOPE < slope.high:
            verdict = "cannot tell"
        else:
            verdict = HOLDS if slope.high < MIN_SLOPE else FAILS
        yield Claim(
            case_text,
            "without an imposed mean length the gap does not depend on the angle",
            "slope 0",
            f"slope {slope.value:.2f} ± {slope.high - slope.value:.2f}; gap by imposed angle {describe_gaps(case_runs)}"
            if has_interval
            else "too few runs",
            verdict,
        )


def gap_slope(runs: Sequence[TrainingRun]) -> Estimate:
    """Return degrees of gap per degree of imposed angle, by least squares within each seed."""
    points_by_seed: dict[int, list[tuple[float, float]]] = {}
    for run in runs:
        gap = final_value(run, "gap")
        if gap is not None:
            points_by_seed.setdefault(run.setting.seed, []).append((run.setting.angle, gap))
    slopes = []
    for points in points_by_seed.values():
        if len(points) > 1:
            angles, gaps = np.array(points).T
            slopes.append(float(np.polyfit(angles, gaps, 1)[0]))
    return mean_over_seeds([*slopes, *[None] * (len(points_by_seed) - len(slopes))])
