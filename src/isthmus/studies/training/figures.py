"""Figures of the study."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isthmus.reporting.drawing import (
    FONT_SIZE,
    WIDTH,
    add_axes,
    new_figure,
    with_report_style,
)
from isthmus.reporting.svg import inline_svg, standalone_svg
from isthmus.studies.training.causal_links import SCORES
from isthmus.studies.training.panels import (
    CAUSES,
    CURVES,
    GapLine,
    draw_curve,
    draw_gap_lines,
    draw_score,
    gap_lines,
    nonempty_parts,
)
from isthmus.studies.training.results import StudyResult
from isthmus.studies.training.seed_statistics import mean_final_value
from isthmus.studies.training.trainer import TrainingRun
from isthmus.utils.files import atomic_path

#: Columns of the legend of the curves, whose entries are long.
LEGEND_COLUMNS = 2
#: Height of a row of axes in pixels.
_ROW_HEIGHT = 150


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
    lines = gap_lines(result.runs["collapse"])
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
    draw_gap_lines(ax, lines)
    fig.legend(*ax.get_legend_handles_labels(), loc="lower center", ncols=1, frameon=False)
    return fig


def draw_scores(result: StudyResult) -> str:
    """Return scores of all runs against the distance of the means and shared-space alignment as inline SVG."""
    text_alternative = "Scores of all runs against the gap and the shared-space alignment."
    return inline_svg(_scores(nonempty_parts(result.runs)), "follows", label=text_alternative)


@with_report_style
def _scores(runs_by_part: dict[str, list[TrainingRun]]) -> Any:
    height = _ROW_HEIGHT * len(SCORES) + 70
    fig = new_figure(2 * WIDTH, height)
    for row, score in enumerate(SCORES):
        is_last_row = row == len(SCORES) - 1
        for column, cause in enumerate(CAUSES):
            left_margin = 64 + column * WIDTH
            right_margin = WIDTH + 8 if column == 0 else 14
            bottom = height - (row + 1) * _ROW_HEIGHT + 8
            ax = add_axes(fig, left_margin, bottom, right_margin, row * _ROW_HEIGHT + 8)
            draw_score(ax, runs_by_part, score, cause)
            ax.tick_params(labelbottom=is_last_row)
            ax.set(xlabel=ax.get_xlabel() if is_last_row else "", ylabel=ax.get_ylabel() if column == 0 else "")
            handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="lower left", ncols=5, frameon=False)
    return fig


def draw_curves(groups: Mapping[str, Sequence[TrainingRun]], name: str) -> str:
    """Return means over seeds of `CURVES` over the training as inline SVG, with a line for each group of runs."""
    recalls = "; ".join(f"{label}: R@1 {mean_final_value(runs, 'R@1').value:.3f}" for label, runs in groups.items())
    return inline_svg(_curves(groups), name, label=f"Measures over the epochs. At the end: {recalls}")


@with_report_style
def _curves(groups: Mapping[str, Sequence[TrainingRun]]) -> Any:
    n_columns = 3
    n_rows = -(-len(CURVES) // n_columns)
    legend_height = 30 + 18 * -(-len(groups) // LEGEND_COLUMNS)
    height, width = _ROW_HEIGHT * n_rows + legend_height + 20, 2 * WIDTH
    fig = new_figure(width, height)
    for number, (measure, title) in enumerate(CURVES.items()):
        row, column = divmod(number, n_columns)
        column_width = width / n_columns
        left_margin, right_margin = column * column_width + 48, width - (column + 1) * column_width + 8
        ax = add_axes(fig, left_margin, height - (row + 1) * _ROW_HEIGHT + 24, right_margin, row * _ROW_HEIGHT + 22)
        ax.set_title(title, fontsize=FONT_SIZE, loc="left", pad=4)
        draw_curve(ax, groups, measure)
        handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="lower left", ncols=LEGEND_COLUMNS, frameon=False)
    return fig
