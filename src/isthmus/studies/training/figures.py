"""Figures of the study."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.reporting.drawing import (
    ACCENT,
    FONT_SIZE,
    INK,
    MUTED,
    PAPER,
    WIDTH,
    X,
    Y,
    add_axes,
    new_figure,
    with_report_style,
)
from isthmus.reporting.svg import inline_svg, standalone_svg
from isthmus.statistics.result import Estimate
from isthmus.studies.training.causal_links import DISPLAY_NAMES, SCORES
from isthmus.studies.training.claims import describe_case, group_by_angle, group_by_case
from isthmus.studies.training.grid import PARTS
from isthmus.studies.training.results import StudyResult
from isthmus.studies.training.seed_statistics import (
    final_value,
    group_by_setting,
    mean_final_value,
    mean_over_seeds,
)
from isthmus.studies.training.settings import Setting
from isthmus.studies.training.trainer import TrainingRun
from isthmus.utils.files import atomic_path

_STYLES = [(X, "o"), (Y, "^"), (ACCENT, "s"), (MUTED, "D"), (INK, "v"), (X, "D"), (Y, "s"), (ACCENT, "o"), (MUTED, "^")]
_REGIME_LABELS = {"affine": "fixed axes", "mean_length_penalty": "length held", "subspace": "subspaces alone"}
#: Height of a row of axes in pixels.
_ROW_HEIGHT = 150

#: Label and points (angle, gap) of a line.
GapLine = tuple[str, list[tuple[float, Estimate]]]


def write_figures(result: StudyResult, folder: str | os.PathLike[str], /) -> list[Path]:
    """Write the figures of a result as SVG files.

    Parameters
    ----------
    result : StudyResult
        Result of the study.
    folder : path
        Existing folder.

    Returns
    -------
    list of Path
        `angles.svg` (measured gap against imposed angle, if the result has runs of imposed collapse) and
        `follows.svg` (scores against the gap and against shared-space alignment).

    Examples
    --------
    >>> write_figures(result, "figures")  # doctest: +SKIP
    [PosixPath('figures/angles.svg'), PosixPath('figures/follows.svg')]
    """
    paths = []
    for name, draw in (("angles", draw_angles), ("follows", draw_scores)):
        if name == "follows" or result.runs.get("collapse"):
            path = Path(folder) / f"{name}.svg"
            with atomic_path(path) as temporary:
                temporary.write_text(standalone_svg(draw(result)), encoding="utf-8")
            paths.append(path)
    return paths


def draw_angles(result: StudyResult) -> str:
    """Return the measured gap against the imposed angle as inline SVG."""
    lines: list[GapLine] = []
    for regime, regime_label in _REGIME_LABELS.items():
        for case, runs in group_by_case(result.runs["collapse"], regime).items():
            gaps = {angle: mean_final_value(group, "gap") for angle, group in group_by_angle(runs).items()}
            points = [(angle, gap) for angle, gap in gaps.items() if not gap.undefined]
            if points:
                lines.append((f"{regime_label}, {describe_case(*case)}", points))
    gaps_of_lines = "; ".join(
        f"{name}: " + ", ".join(f"{gap.value:.0f} at {angle:g}" for angle, gap in points) for name, points in lines
    )
    return inline_svg(
        _angles(lines), "angles", label=f"Measured gap against the imposed angle, in degrees. {gaps_of_lines}"
    )


@with_report_style
def _angles(lines: list[GapLine]) -> Any:
    fig = new_figure(WIDTH, 330 + 17 * len(lines))
    ax = add_axes(fig, 46, 50 + 17 * len(lines), 12, 8)
    ax.plot([0, 95], [0, 95], color=INK, lw=0.8, dashes=(3, 3), zorder=0)
    for (name, points), (colour, marker) in zip(lines, _STYLES, strict=False):
        angles = [angle for angle, _ in points]
        gaps = [gap.value for _, gap in points]
        errors = np.array([[gap.value - gap.low, gap.high - gap.value] for _, gap in points]).T
        ax.errorbar(angles, gaps, yerr=np.nan_to_num(errors), color=colour, marker=marker, ms=5, lw=1.3, mec=PAPER,
                    label=name)  # fmt: skip
    ax.set(xlim=(0, 95), ylim=(0, None), xlabel="imposed angle (degrees)", ylabel="measured gap (degrees)")
    fig.legend(*ax.get_legend_handles_labels(), loc="lower center", ncols=1, frameon=False)
    return fig


def draw_scores(result: StudyResult) -> str:
    """Return scores of all runs against the distance of the means and shared-space alignment as inline SVG."""
    nonempty = {name: list(result.runs[name]) for name in PARTS if result.runs.get(name)}
    text_alternative = "Scores of all runs against the gap and the shared-space alignment."
    return inline_svg(_scores(nonempty), "follows", label=text_alternative)


@with_report_style
def _scores(runs_by_part: dict[str, list[TrainingRun]]) -> Any:
    height = _ROW_HEIGHT * len(SCORES) + 70
    fig = new_figure(2 * WIDTH, height)
    for row, score in enumerate(SCORES):
        is_last_row = row == len(SCORES) - 1
        for column, cause in enumerate(("gap_distance", "alignment")):
            left_margin = 64 + column * WIDTH
            right_margin = WIDTH + 8 if column == 0 else 14
            bottom = height - (row + 1) * _ROW_HEIGHT + 8
            ax = add_axes(fig, left_margin, bottom, right_margin, row * _ROW_HEIGHT + 8)
            for (name, runs), (colour, marker) in zip(runs_by_part.items(), _STYLES, strict=False):
                causes, scores = ([final_value(run, name) for run in runs] for name in (cause, score))
                style = {"linestyle": "none", "color": colour, "marker": marker, "ms": 4, "alpha": 0.7, "mec": "none"}
                ax.plot(causes, scores, label=name.replace("_", " "), **style)
            if column == 0:
                ax.set_ylabel(DISPLAY_NAMES[score])
            ax.tick_params(labelbottom=is_last_row)
            ax.locator_params(nbins=4)
            if is_last_row:
                ax.set_xlabel(DISPLAY_NAMES[cause])
            handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="lower left", ncols=5, frameon=False)
    return fig


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


def draw_curves(groups: Mapping[str, Sequence[TrainingRun]], name: str) -> str:
    """Return means over seeds of `CURVES` over the training as inline SVG, with a line for each group of runs."""
    recalls = "; ".join(f"{label}: R@1 {mean_final_value(runs, 'R@1').value:.3f}" for label, runs in groups.items())
    return inline_svg(_curves(groups), name, label=f"Measures over the epochs. At the end: {recalls}")


@with_report_style
def _curves(groups: Mapping[str, Sequence[TrainingRun]]) -> Any:
    n_columns = 3
    n_rows = -(-len(CURVES) // n_columns)
    legend_height = 30 + 18 * -(-len(groups) // 3)
    height, width = _ROW_HEIGHT * n_rows + legend_height + 20, 2 * WIDTH
    fig = new_figure(width, height)
    for number, (measure, title) in enumerate(CURVES.items()):
        row, column = divmod(number, n_columns)
        column_width = width / n_columns
        left_margin, right_margin = column * column_width + 48, width - (column + 1) * column_width + 8
        ax = add_axes(fig, left_margin, height - (row + 1) * _ROW_HEIGHT + 24, right_margin, row * _ROW_HEIGHT + 22)
        ax.set_title(title, fontsize=FONT_SIZE, loc="left", pad=4)
        for (label, runs), (colour, marker) in zip(groups.items(), _STYLES, strict=False):
            epochs = [point["epoch"] for point in runs[0].curve]
            means = [mean_over_seeds([run.curve[i].get(measure) for run in runs]) for i in range(len(epochs))]
            ax.plot(epochs, [mean.value for mean in means], color=colour, lw=1.4, marker=marker, ms=3.5, label=label)
            low, high = [mean.low for mean in means], [mean.high for mean in means]
            ax.fill_between(epochs, low, high, color=colour, alpha=0.15, linewidth=0)
        ax.set_xscale("symlog", linthresh=3)
        ax.set_xticks([0, 3, 12, 60], ["0", "3", "12", "60"])
        ax.minorticks_off()
        handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="lower left", ncols=3, frameon=False)
    return fig


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
