"""Tests of each link of the causal chain collapse -> gap -> pair alignment -> task on the runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.statistics.correlation import isotonic_r2, spearman
from isthmus.statistics.result import Estimate
from isthmus.studies.training.seed_statistics import bootstrap_over_seeds, final_value
from isthmus.studies.training.trainer import TrainingRun

SCORES = ("R@1", "mixed_NDCG@10", "zero_shot_accuracy")
#: Display names of measures.
DISPLAY_NAMES = {
    "angle": "imposed angle",
    "gap": "gap",
    "gap_distance": "distance of the means",  # the plug-in estimate
    "rank": "effective rank",
    "cosine": "pair alignment",
    "ceiling": "upper bound of pair alignment",
    "alignment": "shared-space alignment",
    "R@1": "R@1",
    "mixed_R@1": "mixed R@1",
    "mixed_NDCG@10": "mixed NDCG@10",
    "zero_shot_accuracy": "zero-shot accuracy",
    "effective_rank_image": "effective rank, image",
    "effective_rank_text": "effective rank, text",
    "loss": "training loss",
}
#: A link holds if the whole interval of the rank correlation is at least this.
MIN_CORRELATION = 0.5
#: Fewer runs decide nothing.
MIN_RUNS = 4


@dataclass(frozen=True)
class Link:
    """Association of `effect` with `cause` over the runs of the group `among`.

    `correlation` is Spearman's. `share` is the fraction of the variance of the effect that a monotone function of the
    cause explains. Intervals resample seeds. `runs` is the number of runs with both measures. `verdict` is 'holds',
    'does not hold' or 'cannot tell'.
    """

    among: str
    cause: str
    effect: str
    correlation: Estimate
    share: Estimate
    runs: int
    verdict: str

    @property
    def label(self) -> str:
        """Display name such as 'gap → R@1'."""
        return f"{DISPLAY_NAMES[self.cause]} → {DISPLAY_NAMES[self.effect]}"


def causal_links(collapse_runs: Sequence[TrainingRun], other_runs: Sequence[TrainingRun], /) -> list[Link]:
    """Test the chain on imposed collapse, with and without an imposed mean length, and on all other runs."""
    groups = {
        "two subspaces, mean length imposed": _of_regime(collapse_runs, "mean_length_penalty"),
        "two subspaces, mean length free": _of_regime(collapse_runs, "subspace"),
        "fixed axes (affine)": _of_regime(collapse_runs, "affine"),
        "nothing imposed: losses, temperatures, other causes": list(other_runs),
    }
    links = []
    for group, runs in groups.items():
        if not runs:
            continue
        # The gap angle is an effect only if an angle is imposed. Runs whose angle is undefined have a distance.
        if any(run.setting.angle for run in runs):
            links.append(evaluate_link(group, runs, "angle", "gap"))
        links.append(evaluate_link(group, runs, "rank", "gap_distance", sign=-1))
        links.append(evaluate_link(group, runs, "gap_distance", "cosine", sign=-1))
        links.append(evaluate_link(group, runs, "ceiling", "cosine"))
        for score in SCORES:
            links.append(evaluate_link(group, runs, "gap_distance", score, sign=-1))
            links += [evaluate_link(group, runs, cause, score) for cause in ("cosine", "alignment")]
    return links


def evaluate_link(group: str, runs: Sequence[TrainingRun], cause: str, effect: str, *, sign: int = 1) -> Link:
    """Test one link. `sign` is the sign of the correlation that the chain expects."""
    values = [(_value(run, cause), _value(run, effect), run.setting.seed) for run in runs]
    values = [row for row in values if row[0] is not None and row[1] is not None]
    if len(values) < MIN_RUNS:
        return Link(group, cause, effect, Estimate(math.nan), Estimate(math.nan), len(values), "cannot tell")
    table = np.array([row[:2] for row in values], dtype=float)
    seeds = [row[2] for row in values]
    correlation = bootstrap_over_seeds(table, seeds, lambda rows: spearman(*rows.T))
    share = bootstrap_over_seeds(table, seeds, lambda rows: isotonic_r2(*rows.T))
    low, high = sorted((sign * correlation.low, sign * correlation.high))
    if not math.isfinite(low):
        verdict = "cannot tell"
    elif low >= MIN_CORRELATION:
        verdict = "holds"
    elif high < MIN_CORRELATION:
        verdict = "does not hold"
    else:
        verdict = "cannot tell"
    return Link(group, cause, effect, correlation, share, len(values), verdict)


def _of_regime(runs: Sequence[TrainingRun], regime: str) -> list[TrainingRun]:
    return [run for run in runs if run.setting.regime == regime]


def _value(run: TrainingRun, name: str) -> float | None:
    """Return a measure at the end of a run, the imposed angle, or the mean effective rank of both modalities."""
    if name == "angle":
        return run.setting.angle
    if name == "rank":
        image, text = run.end["effective_rank_image"], run.end["effective_rank_text"]
        return None if image is None or text is None else float(np.mean([image, text]))
    return final_value(run, name)
