"""Which links of the chain collapse -> gap -> pair alignment -> task these runs bear out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.statistics.correlation import isotonic_r2, spearman
from isthmus.statistics.result import Estimate
from isthmus.studies.training.seed_statistics import bootstrap, value
from isthmus.studies.training.trainer import Run

SCORES = ("R@1", "mixed_NDCG@10", "zero_shot_accuracy")
#: Measured names in words.
NAMES = {
    "angle": "imposed angle",
    "gap": "gap",
    "gap_distance": "distance of the means",
    "rank": "effective rank",
    "cosine": "pair alignment",
    "ceiling": "its ceiling",
    "alignment": "shared-space alignment",
    "R@1": "R@1",
    "mixed_R@1": "mixed R@1",
    "mixed_NDCG@10": "mixed NDCG@10",
    "zero_shot_accuracy": "zero-shot accuracy",
    "effective_rank_image": "effective rank, image",
    "effective_rank_text": "effective rank, text",
    "loss": "training loss",
}
#: From this rank correlation on, one quantity counts as following the other.
FOLLOWS = 0.5


@dataclass(frozen=True)
class Link:
    """How closely `effect` follows `cause` over the runs called `among`.

    `correlation` is Spearman's, `share` the share of the effect's variance that a monotone curve of the cause explains;
    intervals draw the seeds anew. `runs` is how many have both. `verdict`: 'holds', 'does not hold' or 'cannot tell'.
    """

    among: str
    cause: str
    effect: str
    correlation: Estimate
    share: Estimate
    runs: int
    verdict: str

    @property
    def words(self) -> str:
        """'gap → R@1'."""
        return f"{NAMES[self.cause]} → {NAMES[self.effect]}"


def causal_links(dose: Sequence[Run], others: Sequence[Run], /) -> list[Link]:
    """The chain on imposed collapse, with and without a prescribed mean length, and on everything else."""
    among = {
        "two subspaces, mean length prescribed": [r for r in dose if r.setting.regime == "mean_length_penalty"],
        "two subspaces, mean length free": [r for r in dose if r.setting.regime == "subspace"],
        "fixed axes (affine)": [r for r in dose if r.setting.regime == "affine"],
        "nothing imposed: losses, temperatures, switches": list(others),
    }
    found = []
    for name, runs in among.items():
        if not runs:
            continue
        # Runs without an angle have a distance; the angle itself is asked for where one is imposed.
        if any(run.setting.angle for run in runs):
            found.append(link(name, runs, "angle", "gap"))
        found.append(link(name, runs, "rank", "gap_distance", sign=-1))
        found.append(link(name, runs, "gap_distance", "cosine", sign=-1))
        found.append(link(name, runs, "ceiling", "cosine"))
        for score in SCORES:
            found.append(link(name, runs, "gap_distance", score, sign=-1))
            found += [link(name, runs, cause, score) for cause in ("cosine", "alignment")]
    return found


def link(among: str, runs: Sequence[Run], cause: str, effect: str, *, sign: int = 1) -> Link:
    """One link; `sign` is the direction in which the chain expects it."""
    kept = [run for run in runs if _of(run, cause) is not None and _of(run, effect) is not None]
    if len(kept) < 4:
        return Link(among, cause, effect, Estimate(math.nan), Estimate(math.nan), len(kept), "cannot tell")
    table = np.array([[_of(run, cause), _of(run, effect)] for run in kept], dtype=float)
    seeds = [run.setting.seed for run in kept]
    correlation = bootstrap(table, seeds, lambda rows: spearman(*rows.T))
    share = bootstrap(table, seeds, lambda rows: isotonic_r2(*rows.T))
    low, high = sorted((sign * correlation.low, sign * correlation.high))
    if not math.isfinite(low):
        verdict = "cannot tell"
    elif low >= FOLLOWS:
        verdict = "holds"
    elif high < FOLLOWS:
        verdict = "does not hold"
    else:
        verdict = "cannot tell"
    return Link(among, cause, effect, correlation, share, len(kept), verdict)


def _of(run: Run, name: str) -> float | None:
    if name == "angle":
        return run.setting.angle
    if name == "rank":  # the mean of both sides
        both = [run.end[f"effective_rank_{side}"] for side in ("image", "text")]
        return None if None in both else float(np.mean([v for v in both if v is not None]))
    return value(run, name)
