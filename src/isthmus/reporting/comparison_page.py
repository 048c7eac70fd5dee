"""The page of a comparison: the trade-off between closing the gap and keeping the task, and the table."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from isthmus.diagnosis.recommendation import best_row, recommendation_sentence
from isthmus.evaluation import Comparison, Summary
from isthmus.evaluation.summary import column_decimals, missing_intervals
from isthmus.reporting.drawing import (
    ACCENT,
    FONT_SIZE,
    INK,
    MUTED,
    PAPER,
    WIDTH,
    add_axes,
    new_figure,
    with_report_style,
)
from isthmus.reporting.formatting import aligner_label, gap, points, shorten
from isthmus.reporting.plain_page import plain_page
from isthmus.reporting.recommended_commands import commands
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg
from isthmus.statistics.result import Estimate
from isthmus.tasks import registry
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path
from isthmus.utils.format import counted
from isthmus.utils.paths import check_writable

#: Share of the distance between the means from which on a gap counts as closed in the conclusion.
CLOSED = 0.5
#: Width in points to the right of the axes, for the names.
NAMES_WIDTH = 150


def comparison_page(comparison: Comparison, path: str | os.PathLike[str], /, *, score: str | None = None) -> None:
    """Write a comparison as one self-contained page.

    Parameters
    ----------
    comparison : Comparison
        Result of `isthmus.compare`.
    path : str or path-like
        File to write atomically.
    score : str, optional
        Score of the figure. Default: one figure with the first score of each task.

    Raises
    ------
    InputError
        If `path` cannot be written, or there is no such score.

    Examples
    --------
    >>> import isthmus, pathlib, tempfile
    >>> table = isthmus.compare(isthmus.demo.load("collapsed", split="test"), aligners=["Centering"], splits=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder) / "compare.html"
    ...     comparison_page(table, page)
    ...     "<svg" in page.read_text(encoding="utf-8")
    True
    """
    path = check_writable(path)
    fitted = [row for row in comparison.rows if row.scores]
    if not fitted:
        reasons = {note for row in comparison.rows for note in row.notes}
        raise InputError(f"no aligner could be fitted, so there is nothing to draw: {'; '.join(sorted(reasons))}")
    task_scores = [name for name in fitted[0].changes if name in comparison.better]
    if score is not None and score not in task_scores:
        raise InputError(f"no score {score!r} in this comparison; it has {', '.join(task_scores)}")
    by_task = _scores_by_task(comparison, task_scores)
    figure_scores = [score] if score else [names[0] for names in by_task.values()]
    shown = {name for task in registry().values() for name in task.main_scores}
    main_scores = [score] if score else [n for names in by_task.values() for n in names if n in {names[0], *shown}]
    x, y = comparison.data["names"]
    splits = "one split" if comparison.splits == 1 else f"{comparison.splits} splits"
    facts = f"{counted(comparison.n_fit, 'pair')} to fit on, {comparison.n_test:,} others to judge on, {splits}"
    facts += f", {comparison.sample_words}" if comparison.sample_words else ""
    sections = [_trade_off_section(comparison, fitted, name) for name in figure_scores]
    sections.append(_table_section(comparison, fitted, main_scores))
    recommendation, _, in_index = recommendation_sentence(comparison).partition(" In an index: ")
    best = best_row(comparison) if in_index else None
    if best is not None:
        sections.append(
            Section(
                "Use the recommended aligner",
                [f"{in_index[0].upper()}{in_index[1:]}"],
                code=_commands(comparison, best),
                short="Use it",
            )
        )
    geometry = [name for name in fitted[0].scores if name not in task_scores and name != "gap"]
    for task, names in {"the clouds": geometry, **by_task}.items():
        header = ["Aligner", *(_column_title(name, comparison) for name in names)]
        decimals = {name: column_decimals(fitted, name) for name in names}
        rows = [[_title(row), *_cells(row, decimals)] for row in fitted]
        heading = f"Every score of {task.replace('_', ' ')}"
        sections.append(Section(heading, header=header, rows=rows, folded=True))
    errors = [(_title(row), "; ".join(row.notes)) for row in comparison.rows if not row.scores]
    if errors:
        sections.append(Section("Not fitted", header=("Aligner", "Reason"), rows=errors, text_cells=True))
    conclusion = [text for text in (recommendation, _closing(fitted)) if text]
    page_html = plain_page(f"Closing the gap between {x} and {y}", facts, sections, conclusion=conclusion)
    with atomic_path(path) as temporary:
        temporary.write_bytes(page_html.encode("utf-8", errors="replace"))


def _commands(comparison: Comparison, best: Summary) -> str:
    """Return the commands that fit and apply an aligner, with made-up names of files for arrays in memory."""
    names, paths = comparison.data["names"], comparison.data["paths"]
    files = [f"{name}.npy" if path == name else path for name, path in zip(names, paths, strict=True)]
    return commands(best, names, files, pairing=comparison.data.get("pairing"))["shell"]


def _closing(fitted: list[Summary]) -> str:
    """Return how many aligners close the gap, and how many of these lose recall, as a sentence."""
    raw, corrections = fitted[0], [row for row in fitted if row.name != "Identity"]
    closing = [row for row in corrections if closed_share(row, raw) >= CLOSED]
    if not closing or "R@1" not in raw.scores:
        return ""
    losing = [row for row in closing if row.changes["R@1"].high < 0]
    verb = "removes" if len(closing) == 1 else "remove"
    loss = "loses" if len(losing) <= 1 else "lose"
    return (
        f"{len(closing)} of {len(corrections)} aligners {verb} at least {100 * CLOSED:.0f} % of the distance between "
        f"the means, and {len(losing) or 'none'} of these {loss} cross-modal R@1 beyond the 95 % interval."
    )


def _trade_off_section(comparison: Comparison, fitted: list[Summary], score: str) -> Section:
    text_alternative = f"Gap closed against the change of {score}: " + "; ".join(
        f"{aligner_label(row)} {100 * closed_share(row, fitted[0]):.0f} %, {points(row.changes[score])} points"
        for row in fitted
    )
    task = next((task for task in registry().values() if score in task.scores), None)
    definition = comparison.with_names(f"{score}: {task.scores[score].definition}. ") if task else ""
    title = comparison.with_names(score).replace("_", " ")
    return Section(
        f"Change of {title} where the gap is closed",
        short=title,
        paragraphs=[
            f"{definition}Every aligner was fitted on some pairs and evaluated on the other pairs.",
        ],
        figure=inline_svg(trade_off(comparison, score), f"tradeoff-{_identifier(score)}", label=text_alternative),
        caption="Right: more of the distance between the means is removed. "
        f"{_direction(comparison.better.get(score, 'neither'))} Bars are 95 % intervals of the difference from the raw "
        "embeddings. Grey: a loss beyond the interval. Green: no such loss. Square: the raw embeddings.",
    )


def _table_section(comparison: Comparison, fitted: list[Summary], scores: list[str]) -> Section:
    decimals = {name: column_decimals(fitted, name) for name in scores}
    reasons = [f"No interval for {', '.join(n)}: {r}." for r, n in missing_intervals(fitted, scores).items()]
    return Section(
        "The table",
        ["Small lines: the difference from the raw embeddings on the same items, and its 95 % interval.", *reasons],
        short="Table",
        header=["Aligner", "gap angle", "gap closed", *(_column_title(name, comparison) for name in scores)],
        rows=[
            [_title(row), gap(row), f"{100 * closed_share(row, fitted[0]):.0f} %", *_cells(row, decimals)]
            for row in fitted
        ],
    )


def closed_share(row: Summary, raw: Summary, /) -> float:
    """Return the share of the distance between the means that an aligner removes.

    Parameters
    ----------
    row, raw : Summary
        The aligner and the raw embeddings.

    Returns
    -------
    float
        Share, at most 1 and negative if the distance grows.
    """
    distance = raw.scores["gap_distance"].value
    # Rounded, so that an aligner that moves no row does not show a tiny negative share.
    return round(1 - row.scores["gap_distance"].value / distance, 6) + 0.0 if distance > 0 else 0.0


@with_report_style
def trade_off(comparison: Comparison, score: str) -> Any:
    """Draw the share of the gap that each aligner closes against the change of a score with its 95 % interval.

    Parameters
    ----------
    comparison : Comparison
        Result of `isthmus.compare`.
    score : str
        Name of the score.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    height = trade_off_height(comparison)
    fig = new_figure(WIDTH, height)
    draw_trade_off(add_axes(fig, 52, 42, NAMES_WIDTH, 8), comparison, score)
    return fig


def trade_off_height(comparison: Comparison) -> float:
    """Return the height of the figure in points at which the names do not overlap."""
    return max(300.0, 50 + 27 * sum(bool(row.scores) for row in comparison.rows))


def draw_trade_off(ax: Any, comparison: Comparison, score: str) -> None:
    """Draw the share of the gap that each aligner closes against the change of a score, with names to the right."""
    rows = [row for row in comparison.rows if row.scores]
    points = np.array([[100 * closed_share(row, rows[0]), 100 * row.changes[score].value] for row in rows])
    bounds = []
    for row, point in zip(rows, points, strict=True):
        is_raw = row.name == "Identity"
        change = row.changes[score]
        low, high = (100 * (v if math.isfinite(v) else change.value) for v in (change.low, change.high))
        bounds += [low, high]
        colour = INK if is_raw else MUTED if _is_worse(change, comparison.better.get(score, "neither")) else ACCENT
        ax.plot([point[0]] * 2, [low, high], color=colour, lw=1.3)
        ax.plot(*point, "s" if is_raw else "o", color=colour, ms=7, mec=PAPER)
    ax.axhline(0, color=INK, lw=0.8, dashes=(3, 3), zorder=0)
    low, high = min(*bounds, -1.0), max(*bounds, 1.0)
    x_min, x_max = min(points[:, 0].min(), 0), max(points[:, 0].max(), 100)
    ax.set(xlim=(x_min - 0.06 * (x_max - x_min), x_max + 0.06 * (x_max - x_min)))
    ax.set(ylim=(low - 0.08 * (high - low), high + 0.12 * (high - low)))
    ax.set(xlabel="gap closed (%)", ylabel=f"change in {comparison.with_names(score)} (points)")
    ax.annotate("raw", points[0], (7, -4), textcoords="offset points", ha="left", va="top", weight="bold")
    height = 72 / ax.figure.dpi * ax.get_window_extent().height
    _add_names(ax, points[1:], [aligner_label(row) for row in rows[1:]], height)


def _is_worse(change: Estimate, better: str) -> bool:
    """Return whether a change is a loss beyond its interval. A score without a better direction has no loss."""
    low, high = (v if math.isfinite(v) else change.value for v in (change.low, change.high))
    return high < 0 if better == "higher" else low > 0 if better == "lower" else False


def _direction(better: str) -> str:
    return {"higher": "Up: the score rises, which is better.", "lower": "Down: the score falls, which is better."}.get(
        better, "Up: the score rises, which is neither better nor worse."
    )


def _add_names(ax: Any, points: np.ndarray, names: list[str], height: float) -> None:
    """Write the names in a column to the right of the axes, with a line to each point.

    The names are in the order of their points. They do not stand beside the points, because points often overlap.
    `height` is that of the axes in points.
    """
    low, high = ax.get_ylim()
    order = np.argsort(-points[:, 1], kind="stable") if len(points) else np.array([], dtype=int)
    heights = np.array([(30 if "(" in names[i] else 16) / height for i in order])
    for i, y in zip(order, _spread((points[order, 1] - low) / (high - low), heights), strict=True):
        name = shorten(names[i].replace("(", "\n("), 44)
        # The line starts at the left end of the name. From its middle it would cross the other names.
        line = {"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkB": 3, "relpos": (0, 0.5)}
        options = {"va": "center", "fontsize": FONT_SIZE, "linespacing": 1.1, "arrowprops": line}
        ax.annotate(name, points[i], (1.06, y), textcoords="axes fraction", **options)


def _spread(centres: np.ndarray, heights: np.ndarray) -> list[float]:
    """Move centres in descending order apart, so that boxes of these heights do not overlap between 0 and 1."""
    positions: list[float] = []
    top = 1.0
    for centre, box_height in zip(centres, heights, strict=True):
        positions.append(min(centre, top - box_height / 2))
        top = positions[-1] - box_height / 2
    bottom = 0.0
    for k in reversed(range(len(positions))):  # boxes below 0 move up again
        positions[k] = max(positions[k], bottom + heights[k] / 2)
        bottom = positions[k] + heights[k] / 2
    return positions


def _scores_by_task(comparison: Comparison, scores: list[str]) -> dict[str, list[str]]:
    """Return the scores of each task in its order. Scores of unknown tasks come last."""
    by_task = {
        name: [score for score in task.scores if score in scores]
        for name, task in registry().items()
        if name in comparison.settings["tasks"]
    }
    assigned = {score for names in by_task.values() for score in names}
    by_task["other tasks"] = [score for score in scores if score not in assigned]
    return {name: names for name, names in by_task.items() if names}


def _column_title(score: str, comparison: Comparison) -> str:
    arrows = {"higher": " ↑", "lower": " ↓", "neither": ""}
    return comparison.with_names(score).replace("_", " ") + arrows[comparison.better.get(score, "neither")]


def _title(row: Summary) -> str:
    """Return the name for a table, where a line may break before the options."""
    return aligner_label(row).replace("(", " (", 1)


def _cells(row: Summary, names: Mapping[str, int]) -> list[str]:
    """Return the cells of scores, given the decimals of each."""
    is_raw = row.name == "Identity"
    return [_cell(row.scores[name], row.changes.get(name), n, is_raw=is_raw) for name, n in names.items()]


def _cell(score: Estimate, change: Estimate | None, decimals: int, *, is_raw: bool) -> str:
    lines = [f"{score.value:z.{decimals}f}"]
    if not is_raw and change is not None and change.low == change.high == 0:
        lines.append("no change")
    elif not is_raw and change is not None:
        value, low, high = (f"{number:+z.{decimals}f}" for number in (change.value, change.low, change.high))
        lines += [value, "no interval" if math.isnan(change.low) else f"{low} to {high}"]
    return "\n".join(lines).replace("-", "−")


def _identifier(score: str) -> str:
    """Return the letters, digits and '_' of a name, for use as an SVG id."""
    return re.sub(r"\W", "", score)
