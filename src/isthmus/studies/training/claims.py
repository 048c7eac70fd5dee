"""The statements of the theory about imposed collapse, each beside what training did."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.statistics.result import Estimate
from isthmus.studies.training.grid import HYPERPLANE
from isthmus.studies.training.seed_statistics import mean_over_seeds, summary, value
from isthmus.studies.training.settings import LENGTH
from isthmus.studies.training.trainer import Run
from isthmus.utils.format import number

HOLDS, PARTLY, FAILS = "holds", "holds in part", "does not hold"
#: The gap is the imposed angle when it misses it by at most this: in the affine regime, and where it is learned.
EXACT, NEAR = 0.5, 5.0
#: The gap follows the angle when it rises by at least this many degrees for each of the angle.
FOLLOWS = 0.5
#: Centres are orthogonal to the shared space when at most this share of their square lies in it.
INSIDE = 0.05


@dataclass(frozen=True)
class Claim:
    """A `statement` of the theory for a `case` of training, what it predicts, what was measured, and the verdict."""

    case: str
    statement: str
    predicted: str
    measured: str
    verdict: str


def evaluate_claims(runs: Sequence[Run], /) -> list[Claim]:
    """All statements that these runs of imposed collapse can judge."""
    return [*_affine(runs), *_mean_length(runs), *_alone(runs)]


def by_angle(runs: Sequence[Run]) -> dict[float, list[Run]]:
    """Runs by their imposed angle, ascending."""
    found: dict[float, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.setting.angle):
        found.setdefault(run.setting.angle, []).append(run)
    return found


def cases(runs: Sequence[Run], regime: str) -> dict[tuple[int | None, str, int], list[Run]]:
    """Runs of a regime by rank, temperature and epochs."""
    found: dict[tuple[int | None, str, int], list[Run]] = {}
    for run in runs:
        s = run.setting
        if s.regime == regime:
            found.setdefault((s.rank, s.temperature, s.epochs), []).append(run)
    return found


def describe(rank: int | None, temperature: str, epochs: int) -> str:
    """'rank 8, learned temperature, 60 epochs'."""
    heat = f"temperature {temperature}" if temperature[0].isdigit() else f"{temperature} temperature"
    space = "hyperplanes" if rank == HYPERPLANE else f"rank {rank}"
    return f"{space}, {heat}, {epochs} epochs"


def measured_gaps(runs: Sequence[Run]) -> str:
    """'30°: 28.1 ± 0.4; 60°: undefined in 5 of 5 runs'."""
    parts = []
    for angle, some in by_angle(runs).items():
        gap = summary(some, "gap")
        interval = "" if math.isnan(gap.low) else f" ± {gap.high - gap.value:.1f}"
        parts.append(f"{angle:g}°: {gap.undefined or f'{gap.value:.1f}{interval}'}")
    return "; ".join(parts)


def _affine(runs: Sequence[Run]) -> Iterator[Claim]:
    for key, some in cases(runs, "affine").items():
        case = f"fixed axes, {describe(*key)}"
        misses = [abs(gap - run.setting.angle) for run in some if (gap := value(run, "gap")) is not None]
        worst = max(misses) if len(misses) == len(some) else float("inf")
        yield Claim(
            case,
            "fixed axes orthogonal to the shared space: the gap is the angle between them",
            f"within {EXACT:g}°",
            f"largest miss {worst:.2f}° in {len(some)} runs",
            HOLDS if worst <= EXACT else FAILS,
        )
        loss, recall = (_range_within_seeds(some, name) for name in ("loss", "R@1"))
        yield Claim(
            case,
            "the loss does not see the angle, and neither does recall",
            "the same at every angle",
            f"largest range over angles of one seed: loss {number(loss)} of {summary(some, 'loss').value:.3f}, "
            f"R@1 {number(recall)} of {summary(some, 'R@1').value:.3f}",
            HOLDS if loss < 1e-3 and recall < 0.005 else FAILS,
        )


def _range_within_seeds(runs: Sequence[Run], name: str) -> float:
    by_seed: dict[int, list[float]] = {}
    for run in runs:
        found = value(run, name)
        by_seed.setdefault(run.setting.seed, []).append(float("nan") if found is None else found)
    return max(float(np.ptp(values)) for values in by_seed.values())


def _mean_length(runs: Sequence[Run]) -> Iterator[Claim]:
    for key, some in cases(runs, "mean_length_penalty").items():
        reached = sum(map(_at_optimum, some))
        inside = summary(some, "centre_in_shared").value
        where = f"share of the centres inside the shared space {inside:.2f} on average"
        yield Claim(
            f"mean length {LENGTH:g} by a penalty, {describe(*key)}",
            "the optimum has centres orthogonal to the shared space, and the gap is the angle or 180° less it",
            "gap = angle, share 0",
            f"reached in {reached} of {len(some)} runs; gaps {measured_gaps(some)}; {where}",
            HOLDS if reached == len(some) else FAILS if reached == 0 else PARTLY,
        )


def _at_optimum(run: Run) -> bool:
    """Whether a run ended at the theorem's optimum; the angle's supplement ties with it."""
    gap, inside = value(run, "gap"), value(run, "centre_in_shared")
    if gap is None or inside is None:
        return False
    return inside <= INSIDE and min(abs(gap - run.setting.angle), abs(180 - gap - run.setting.angle)) <= NEAR


def _alone(runs: Sequence[Run]) -> Iterator[Claim]:
    for key, some in cases(runs, "subspace").items():
        undefined = sum(value(run, "gap") is None for run in some)
        case = f"subspaces alone, {describe(*key)}"
        if key[1] == "learned":
            lengths = summary(some, "length_image").value, summary(some, "length_text").value
            yield Claim(
                case,
                "without a mean length the means go to 0 and the gap has no angle",
                "undefined",
                f"undefined in {undefined} of {len(some)} runs, means {lengths[0]:.2f} and {lengths[1]:.2f} long",
                HOLDS if undefined == len(some) else FAILS if undefined == 0 else PARTLY,
            )
            continue
        rise = slope(some)
        known = not rise.undefined and not math.isnan(rise.low)
        yield Claim(
            case,
            "without a mean length the gap does not follow the angle",
            "slope 0",
            f"slope {rise.value:.2f} ± {rise.high - rise.value:.2f}; gaps {measured_gaps(some)}"
            if known
            else "too few",
            "cannot tell" if not known or rise.low < FOLLOWS < rise.high else HOLDS if rise.high < FOLLOWS else FAILS,
        )


def slope(runs: Sequence[Run]) -> Estimate:
    """Degrees of gap for each degree of imposed angle, by least squares within each seed; 1 where the gap follows."""
    by_seed: dict[int, list[tuple[float, float]]] = {}
    for run in runs:
        gap = value(run, "gap")
        if gap is not None:
            by_seed.setdefault(run.setting.seed, []).append((run.setting.angle, gap))
    slopes = []
    for points in by_seed.values():
        if len(points) > 1:
            angles, gaps = np.array(points).T
            slopes.append(float(np.polyfit(angles, gaps, 1)[0]))
    return mean_over_seeds([*slopes, *[None] * (len(by_seed) - len(slopes))])
