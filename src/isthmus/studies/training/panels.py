"""Panels of the figures of the study, each on a given axis."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from isthmus.reporting.drawing import ACCENT, INK, MUTED, PAPER, X, Y
from isthmus.statistics.result import Estimate
from isthmus.studies.training.causal_links import DISPLAY_NAMES, SCORES
from isthmus.studies.training.claims import describe_case, group_by_angle, group_by_case
from isthmus.studies.training.grid import HYPERPLANE_RANK, PARTS, SMALL_RANK
from isthmus.studies.training.seed_statistics import (
    final_value,
    group_by_setting,
    mean_final_value,
    mean_over_seeds,
)
from isthmus.studies.training.settings import Setting
from isthmus.studies.training.trainer import TrainingRun

_STYLES = [(X, "o"), (Y, "^"), (ACCENT, "s"), (MUTED, "D"), (INK, "v"), (X, "D"), (Y, "s"), (ACCENT, "o"), (MUTED, "^")]
_REGIME_LABELS = {"affine": "fixed axes", "mean_length_penalty": "length 0.5", "subspace": "subspaces only"}
#: Label and points (angle, gap) of a line.
GapLine = tuple[str, list[tuple[float, Estimate]]]
#: Measures on the horizontal axes of the scores.
CAUSES = ("gap_distance", "alignment")
#: Measures that are drawn over the training, with the titles of their axes.
CURVES = {
    "gap": "gap (degrees)",
    "length_image": "length of the image mean",
    "effective_rank_image": "effective rank, image",
    "cosine": "mean cosine of pairs",
    "budget_centre": "budget: centre",
    "budget_orientation": "budget: orientation",
    "R@1": "R@1",
    "mixed_R@1": "mixed R@1",
    "zero_shot_accuracy": "zero-shot accuracy",
}
#: Cases of imposed collapse whose curves are drawn: label -> regime, rank, temperature.
DRAWN_CASES = {
    "fixed axes": ("affine", 16, "learned"),
    "mean length 0.5, rank 8": ("mean_length_penalty", SMALL_RANK, "learned"),
    "hyperplanes, 0.01": ("subspace", HYPERPLANE_RANK, "0.01"),
}
DRAWN_ANGLES = (30.0, 90.0)

Panel = Callable[[Any], None]
Condition = Callable[[Setting], bool]


def study_panels(runs_by_part: Mapping[str, Sequence[TrainingRun]], /) -> dict[str, Panel]:
    """Return every panel of the figures of a study by name. Each draws on an axis."""
    panels: dict[str, Panel] = {}
    if runs_by_part.get("collapse"):
        panels["angles"] = functools.partial(draw_gap_lines, lines=gap_lines(runs_by_part["collapse"]))
    nonempty = nonempty_parts(runs_by_part)
    for score in SCORES if nonempty else ():
        for cause in CAUSES:
            panels[f"{score} by {cause}"] = functools.partial(
                draw_score, runs_by_part=nonempty, score=score, cause=cause
            )
    for part_name in CURVE_CONDITIONS:
        groups = curve_groups(part_name, runs_by_part.get(part_name, []))
        for measure in CURVES if groups else ():
            panels[f"{measure} over epochs, {part_name}"] = functools.partial(
                draw_curve, groups=groups, measure=measure
            )
    return panels


def nonempty_parts(runs_by_part: Mapping[str, Sequence[TrainingRun]], /) -> dict[str, list[TrainingRun]]:
    """Return the parts of the grid that have runs."""
    return {name: list(runs_by_part[name]) for name in PARTS if runs_by_part.get(name)}


def gap_lines(runs: Sequence[TrainingRun], /) -> list[GapLine]:
    """Return the measured gap by imposed angle, one line for each case of imposed collapse."""
    lines: list[GapLine] = []
    for regime, regime_label in _REGIME_LABELS.items():
        for case, group in group_by_case(runs, regime).items():
            gaps = {angle: mean_final_value(runs_at, "gap") for angle, runs_at in group_by_angle(group).items()}
            points = [(angle, gap) for angle, gap in gaps.items() if not gap.undefined]
            if points:
                lines.append((f"{regime_label}, {describe_case(*case)}", points))
    return lines


def draw_gap_lines(ax: Any, lines: Sequence[GapLine]) -> None:
    """Draw the measured gap against the imposed angle, with 95 % intervals over seeds."""
    ax.plot([0, 95], [0, 95], color=INK, lw=0.8, dashes=(3, 3), zorder=0)
    for (name, points), (colour, marker) in zip(lines, _STYLES, strict=False):
        angles = [angle for angle, _ in points]
        gaps = [gap.value for _, gap in points]
        errors = np.array([[gap.value - gap.low, gap.high - gap.value] for _, gap in points]).T
        ax.errorbar(angles, gaps, yerr=np.nan_to_num(errors), color=colour, marker=marker, ms=5, lw=1.3, mec=PAPER,
                    label=name)  # fmt: skip
    ax.set(xlim=(0, 95), ylim=(0, None), xlabel="imposed angle (degrees)", ylabel="measured gap (degrees)")


def draw_score(ax: Any, runs_by_part: Mapping[str, Sequence[TrainingRun]], score: str, cause: str) -> None:
    """Draw a score of every run against the distance of the means or the shared-space alignment."""
    for (name, runs), (colour, marker) in zip(runs_by_part.items(), _STYLES, strict=False):
        causes, scores = ([final_value(run, key) for run in runs] for key in (cause, score))
        style = {"linestyle": "none", "color": colour, "marker": marker, "ms": 4, "alpha": 0.7, "mec": "none"}
        ax.plot(causes, scores, label=name.replace("_", " "), **style)
    ax.set(xlabel=DISPLAY_NAMES[cause], ylabel=DISPLAY_NAMES[score])
    ax.locator_params(nbins=4)


def draw_curve(ax: Any, groups: Mapping[str, Sequence[TrainingRun]], measure: str) -> None:
    """Draw a measure over the epochs as means over seeds with 95 % intervals, one line for each group of runs."""
    for (label, runs), (colour, marker) in zip(groups.items(), _STYLES, strict=False):
        epochs = [point["epoch"] for point in runs[0].curve]
        means = [mean_over_seeds([run.curve[i].get(measure) for run in runs]) for i in range(len(epochs))]
        ax.plot(epochs, [mean.value for mean in means], color=colour, lw=1.4, marker=marker, ms=3.5, label=label)
        low, high = [mean.low for mean in means], [mean.high for mean in means]
        ax.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.set_xscale("symlog", linthresh=3)
    ax.set_xticks([0, 3, 12, 60], ["0", "3", "12", "60"])
    ax.minorticks_off()


def curve_groups(part_name: str, runs: Sequence[TrainingRun], /) -> dict[str, list[TrainingRun]]:
    """Return the groups of runs of one part of the grid whose curves are drawn, by their labels."""
    return select_groups(runs, CURVE_CONDITIONS[part_name])


def select_groups(
    runs: Sequence[TrainingRun], conditions: Mapping[str, Callable[[Setting], bool]]
) -> dict[str, list[TrainingRun]]:
    """Return the first group over seeds whose setting meets each condition, by the name of the condition."""
    groups = group_by_setting(runs)
    return {
        name: next(group for setting, group in groups.items() if condition(setting))
        for name, condition in conditions.items()
        if any(condition(setting) for setting in groups)
    }


def _matches(regime: str, rank: int, temperature: str, angle: float) -> Callable[[Setting], bool]:
    """Return a condition on settings of 60 epochs."""
    values = (regime, rank, temperature, angle, 60)
    return lambda s: (s.regime, s.rank, s.temperature, s.angle, s.epochs) == values


def describe_switch(setting: Setting) -> str:
    """Describe the alternative cause of a setting."""
    if setting.shuffled_fraction:
        return f"{100 * setting.shuffled_fraction:.0f} % of the pairs mismatched"
    if setting.caption_dropout:
        return f"captions leave out {setting.caption_dropout} of 4 attributes"
    if setting.initial_cone_angle is not None:
        return f"narrow cones {setting.initial_cone_angle:g}° apart at the start"
    return "no change"


#: Part of the grid -> label of a curve -> condition on its settings.
CURVE_CONDITIONS: dict[str, dict[str, Condition]] = {
    "collapse": {
        f"{label}, {angle:g}°": _matches(*case, angle) for label, case in DRAWN_CASES.items() for angle in DRAWN_ANGLES
    },
    "losses": {
        "temperature 0.01": lambda s: s.temperature == "0.01" and s.loss == "InfoNCE",
        "learned": lambda s: s.temperature == "learned" and s.loss == "InfoNCE",
        "temperature 0.2": lambda s: s.temperature == "0.2" and s.loss == "InfoNCE",
        "rising": lambda s: s.temperature == "rising",
        "CUAXU": lambda s: s.temperature == "learned" and s.loss == "CUAXU",
        "SharedSpaceAlignment": lambda s: s.temperature == "learned" and s.loss == "SharedSpaceAlignment",
    },
    "alternatives": {
        "unchanged": lambda s: s.temperature == "0.01" and describe_switch(s) == "no change",
        "half mismatched": lambda s: s.temperature == "0.01" and s.shuffled_fraction == 0.5,
        "captions: digit alone": lambda s: s.temperature == "0.01" and s.caption_dropout == 4,
        "cones at 0°": lambda s: s.temperature == "0.01" and s.initial_cone_angle == 0.0,
        "cones at 180°": lambda s: s.temperature == "0.01" and s.initial_cone_angle == 180.0,
    },
}
