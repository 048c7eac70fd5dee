"""The figures of the causal experiment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.reporting.drawing import ACCENT, INK, MUTED, PAPER, WIDTH, X, Y, add_axes, new_figure, with_report_style
from isthmus.reporting.svg import inline_svg, standalone_svg
from isthmus.studies.training.causal_links import NAMES
from isthmus.studies.training.claims import by_angle, cases, describe
from isthmus.studies.training.grid import PARTS
from isthmus.studies.training.results import StudyResult
from isthmus.studies.training.seed_statistics import groups, mean_over_seeds, summary, value
from isthmus.studies.training.trainer import Run
from isthmus.utils.files import atomic_path

_STYLES = [(X, "o"), (Y, "^"), (ACCENT, "s"), (MUTED, "D"), (INK, "v"), (X, "D"), (Y, "s"), (ACCENT, "o"), (MUTED, "^")]


def write(result: StudyResult, folder: str | os.PathLike[str], /) -> list[Path]:
    """Write `angles.svg` (measured gap against imposed angle) and `follows.svg` (scores against the gap and against
    shared-space alignment) into `folder`, as far as the result has what they show; their paths."""
    written = []
    for name, draw in (("angles", angles), ("follows", follows)):
        if name == "follows" or result.runs.get("collapse"):
            path = Path(folder) / f"{name}.svg"
            with atomic_path(path) as part:
                part.write_text(standalone_svg(draw(result)), encoding="utf-8")
            written.append(path)
    return written


def angles(result: StudyResult) -> str:
    """Measured gap against imposed angle."""
    runs = result.runs["collapse"]
    lines = []
    labels = {"affine": "fixed axes", "mean_length_penalty": "length held", "subspace": "subspaces alone"}
    for regime, words in labels.items():
        for key, some in cases(runs, regime).items():
            points = [(angle, summary(same, "gap")) for angle, same in by_angle(some).items()]
            points = [(angle, gap) for angle, gap in points if not gap.undefined]
            if points:
                lines.append((f"{words}, {describe(*key)}", points))
    text = "; ".join(
        f"{name}: " + ", ".join(f"{gap.value:.0f} at {angle:g}" for angle, gap in points) for name, points in lines
    )
    return inline_svg(_angles(lines), "angles", label=f"Measured gap against the imposed angle, in degrees. {text}")


@with_report_style
def _angles(lines: list[tuple[str, list[tuple[float, Any]]]]) -> Any:
    fig = new_figure(WIDTH, 330 + 17 * len(lines))
    ax = add_axes(fig, 46, 50 + 17 * len(lines), 12, 8)
    ax.plot([0, 95], [0, 95], color=INK, lw=0.8, dashes=(3, 3), zorder=0)
    for (name, points), (colour, marker) in zip(lines, _STYLES, strict=False):
        across = [angle for angle, _ in points]
        middle = [gap.value for _, gap in points]
        errors = np.array([[gap.value - gap.low, gap.high - gap.value] for _, gap in points]).T
        ax.errorbar(across, middle, yerr=np.nan_to_num(errors), color=colour, marker=marker, ms=5, lw=1.3, mec=PAPER,
                    label=name)  # fmt: skip
    ax.set(xlim=(0, 95), ylim=(0, None), xlabel="imposed angle (degrees)", ylabel="measured gap (degrees)")
    fig.legend(*ax.get_legend_handles_labels(), loc="lower center", ncols=1, frameon=False)
    return fig


def follows(result: StudyResult) -> str:
    """Each score against the distance of the means and against shared-space alignment, all runs."""
    runs = {part: list(result.runs.get(part, [])) for part in PARTS}
    kept = {part: some for part, some in runs.items() if some}
    return inline_svg(
        _follows(kept), "follows", label="Scores of all runs against the gap and the shared-space alignment."
    )


@with_report_style
def _follows(runs: dict[str, list[Run]]) -> Any:
    scores, tall = ("R@1", "mixed_NDCG@10", "zero_shot_accuracy"), 150
    height = tall * len(scores) + 70
    fig = new_figure(2 * WIDTH, height)
    for row, score in enumerate(scores):
        for column, cause in enumerate(("gap_distance", "alignment")):
            left = 52 + column * WIDTH
            ax = add_axes(
                fig, left, height - (row + 1) * tall + 8, WIDTH - left + 66 if column == 0 else 14, row * tall + 8
            )
            for (part, some), (colour, marker) in zip(runs.items(), _STYLES, strict=False):
                across, up = ([value(run, name) for run in some] for name in (cause, score))
                ax.plot(
                    across, up, linestyle="none", color=colour, marker=marker, ms=4, alpha=0.7, mec="none", label=part
                )
            if column == 0:
                ax.set_ylabel(NAMES[score])
            ax.tick_params(labelbottom=row == len(scores) - 1)
            if row == len(scores) - 1:
                ax.set_xlabel(NAMES[cause])
            handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="lower center", ncols=5, frameon=False)
    return fig


#: What is drawn over the training, with the name of its axis.
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


def over_steps(named: dict[str, Sequence[Run]], name: str) -> str:
    """Means over seeds of `CURVES` over the training, one line for each of the named groups of runs."""
    ends = "; ".join(f"{key}: R@1 {summary(some, 'R@1').value:.3f}" for key, some in named.items())
    return inline_svg(_over_steps(named), name, label=f"What was measured over the epochs. At the end: {ends}")


@with_report_style
def _over_steps(named: dict[str, Sequence[Run]]) -> Any:
    tall, columns = 150, 3
    rows = -(-len(CURVES) // columns)
    legend = 30 + 18 * -(-len(named) // 3)
    height, width = tall * rows + legend + 20, 2 * WIDTH
    fig = new_figure(width, height)
    for number, (curve, title) in enumerate(CURVES.items()):
        row, column = divmod(number, columns)
        each = width / columns
        ax = add_axes(
            fig, column * each + 48, height - (row + 1) * tall + 24, width - (column + 1) * each + 8, row * tall + 22
        )
        ax.set_title(title, fontsize=11, loc="left", pad=4)
        for (label, some), (colour, marker) in zip(named.items(), _STYLES, strict=False):
            epochs = [point["epoch"] for point in some[0].curve]
            found = [mean_over_seeds([run.curve[i].get(curve) for run in some]) for i in range(len(epochs))]
            middle = [e.value for e in found]
            ax.plot(epochs, middle, color=colour, lw=1.4, marker=marker, ms=3.5, label=label)
            ax.fill_between(
                epochs, [e.low for e in found], [e.high for e in found], color=colour, alpha=0.15, linewidth=0
            )
        ax.set_xscale("symlog", linthresh=3)
        ax.set_xticks([0, 3, 12, 60], ["0", "3", "12", "60"])
        ax.minorticks_off()
        handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="lower center", ncols=3, frameon=False)
    return fig


def named_groups(runs: Sequence[Run], names: dict[str, Any]) -> dict[str, Sequence[Run]]:
    """Groups over seeds under names: name -> a function that says whether a setting is meant."""
    found = groups(runs)
    return {
        name: next(some for setting, some in found.items() if meant(setting))
        for name, meant in names.items()
        if any(meant(setting) for setting in found)
    }
