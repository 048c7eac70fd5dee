"""The page of a comparison: the trade-off between the gap closed and the task kept, and the whole table."""

from __future__ import annotations

import math
import os
import re
from typing import Any

import numpy as np

from isthmus.evaluation import Comparison, Summary
from isthmus.reporting import wording
from isthmus.reporting.drawing import ACCENT, INK, MUTED, PAPER, WIDTH, add_axes, new_figure, with_report_style
from isthmus.reporting.plain_page import plain_page
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg
from isthmus.statistics.result import Estimate
from isthmus.tasks import registry
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path
from isthmus.utils.format import number
from isthmus.utils.validation import check_writable

#: Points to the right of the axes for the names.
NAMES = 132


def comparison_page(comparison: Comparison, path: str | os.PathLike[str], /, *, score: str | None = None) -> None:
    """Write the page of `comparison` to `path`.

    One figure sets the gap against the main score of each task, or against `score` alone.
    Errors: `InputError` when `path` cannot be written or there is no such score.

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
    known = [name for name in fitted[0].changes if name in comparison.better]
    if score is not None and score not in known:
        raise InputError(f"no score {score!r} in this comparison; it has {', '.join(known)}")
    tasks = _by_task(comparison, known)
    main = [score] if score else [names[0] for names in tasks.values()]
    x, y = comparison.data["names"]
    how = "one split" if comparison.splits == 1 else f"{comparison.splits} splits"
    facts = f"{comparison.n_fit:,} pairs to fit on, {comparison.n_test:,} others to judge on, {how}"
    sections = [_trade_off_section(comparison, fitted, name) for name in main]
    sections.append(
        Section(
            "The table",
            ["Small lines: the difference to the raw embeddings on the same items, and its 95 % interval."],
            header=["Aligner", "gap angle", "gap closed", *(_headed(name, comparison) for name in main)],
            rows=[
                [_title(row), _angle(row), f"{100 * closed_share(row, fitted[0]):.0f} %", *_cells(row, main)]
                for row in fitted
            ],
        )
    )
    geometry = [name for name in fitted[0].scores if name not in known and name != "gap"]
    for task, names in {"the clouds": geometry, **tasks}.items():
        sections.append(
            Section(
                f"Every score of {task}",
                header=["Aligner", *(_headed(name, comparison) for name in names)],
                rows=[[_title(row), *_cells(row, names)] for row in fitted],
            )
        )
    refused = [(_title(row), "; ".join(row.notes)) for row in comparison.rows if not row.scores]
    if refused:
        sections.append(Section("Refused", header=("Aligner", "Reason"), rows=refused))
    text = plain_page(f"Closing the gap between {x} and {y}", facts, sections)
    with atomic_path(path) as part:
        part.write_bytes(text.encode("utf-8", errors="replace"))


def _trade_off_section(comparison: Comparison, fitted: list[Summary], score: str) -> Section:
    label = f"Gap closed against the change of {score}: " + "; ".join(
        f"{wording.aligner(row)} {100 * closed_share(row, fitted[0]):.0f} %, "
        f"{wording.points(row.changes[score])} points"
        for row in fitted
    )
    task = next((t for t in registry().values() if score in t.scores), None)
    return Section(
        f"Gap closed, {score} kept",
        [
            (f"{score}: {task.scores[score].definition}. " if task else "")
            + "Every aligner was fitted on some pairs and judged on others that it had not seen."
        ],
        inline_svg(trade_off(comparison, score), f"tradeoff-{_plain(score)}", label=label),
        "Right: more of the distance between the means is gone. Up: the score rises. Bars are 95 % intervals of the "
        "difference to the raw embeddings.",
    )


def closed_share(row: Summary, raw: Summary) -> float:
    """The share of the distance between the means that an aligner removes; negative when it grows."""
    before = raw.scores["gap_distance"].value
    return 1 - row.scores["gap_distance"].value / before if before > 0 else 0.0


@with_report_style
def trade_off(comparison: Comparison, score: str) -> Any:
    """Share of the gap that each aligner closes, against the change of `score` with its 95 % interval."""
    rows = [row for row in comparison.rows if row.scores]
    spots = np.array([[100 * closed_share(row, rows[0]), 100 * row.changes[score].value] for row in rows])
    height = max(300.0, 50 + 27 * len(rows))
    fig = new_figure(WIDTH, height)
    ax = add_axes(fig, 46, 42, NAMES, 8)
    ends = []
    for row, spot in zip(rows, spots, strict=True):
        raw = row.name == "Identity"
        change = row.changes[score]
        low, high = (100 * (v if math.isfinite(v) else change.value) for v in (change.low, change.high))
        ends += [low, high]
        colour = INK if raw else ACCENT if low >= 0 or high >= 0 else MUTED
        ax.plot([spot[0]] * 2, [low, high], color=colour, lw=1.3)
        ax.plot(*spot, "s" if raw else "o", color=colour, ms=7, mec=PAPER)
    ax.axhline(0, color=INK, lw=0.8, dashes=(3, 3), zorder=0)
    low, high = min(*ends, -1.0), max(*ends, 1.0)
    left, right = min(spots[:, 0].min(), 0), max(spots[:, 0].max(), 100)
    ax.set(xlim=(left - 0.06 * (right - left), right + 0.06 * (right - left)))
    ax.set(ylim=(low - 0.08 * (high - low), high + 0.12 * (high - low)))
    ax.set(xlabel="gap closed (%)", ylabel=f"change in {score} (points)")
    ax.annotate("raw", spots[0], (0, 7), textcoords="offset points", ha="center", va="bottom", weight="bold")
    _name_beside(ax, spots[1:], [wording.aligner(row) for row in rows[1:]], height - 50)
    return fig


def _name_beside(ax: Any, spots: np.ndarray, names: list[str], height: float) -> None:
    """Names in a column to the right of the axes (of this height in points), in the order of their spots, with a line
    to each: spots often lie on one another."""
    low, high = ax.get_ylim()
    order = np.argsort(-spots[:, 1], kind="stable") if len(spots) else np.array([], dtype=int)
    room = np.array([(26 if "(" in names[i] else 14) / height for i in order])
    wanted = (spots[order, 1] - low) / (high - low)
    places, top = [], 1.0
    for want, need in zip(wanted, room, strict=True):
        places.append(min(want, top - need / 2))
        top = places[-1] - need / 2
    bottom = 0.0
    for k in reversed(range(len(places))):  # what was pushed below the axes comes up again
        places[k] = max(places[k], bottom + room[k] / 2)
        bottom = places[k] + room[k] / 2
    for i, place in zip(order, places, strict=True):
        name = wording.short(names[i].replace("(", "\n("), 44)
        # The line starts at the left end of the name: from its middle it would cross the other names.
        line = {"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkB": 3, "relpos": (0, 0.5)}
        options = {"va": "center", "fontsize": 9.5, "linespacing": 1.1, "arrowprops": line}
        ax.annotate(name, spots[i], (1.06, place), textcoords="axes fraction", **options)


def _by_task(comparison: Comparison, known: list[str]) -> dict[str, list[str]]:
    """The scores of each task, in its order; scores of no known task come last."""
    found = {
        name: [score for score in task.scores if score in known]
        for name, task in registry().items()
        if name in comparison.settings["tasks"]
    }
    rest = [score for score in known if not any(score in scores for scores in found.values())]
    return {name: scores for name, scores in {**found, "other tasks": rest}.items() if scores}


def _headed(score: str, comparison: Comparison) -> str:
    arrows = {"higher": " ↑", "lower": " ↓", "neither": ""}
    return score.replace("_", " ") + arrows[comparison.better.get(score, "neither")]


def _title(row: Summary) -> str:
    """The name in a table, which may break before its options."""
    return wording.aligner(row).replace("(", " (", 1)


def _angle(row: Summary) -> str:
    gap = row.scores["gap"]
    return "undefined" if gap.undefined else f"{gap.value:.1f}°"


def _cells(row: Summary, names: list[str]) -> list[str]:
    return [_cell(row.scores[name], row.changes.get(name), raw=row.name == "Identity") for name in names]


def _cell(score: Estimate, change: Estimate | None, *, raw: bool) -> str:
    text = number(score.value)
    if raw or change is None:
        return text
    if math.isnan(change.low):
        return f"{text}\n{change.value:+.3f}"
    return f"{text}\n{change.value:+.3f}\n[{change.low:+.3f}, {change.high:+.3f}]"


def _plain(score: str) -> str:
    return re.sub(r"\W", "", score)
