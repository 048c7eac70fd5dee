"""The page of a comparison: the trade-off between the gap closed and the task kept, and the whole table."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from isthmus.checks import InputError, writable
from isthmus.comparison import Comparison, Row
from isthmus.files import replacing
from isthmus.reporting import words
from isthmus.reporting.figures import _name
from isthmus.reporting.plain_page import Section, plain_page
from isthmus.reporting.svg import ACCENT, INK, MUTED, PAPER, WIDTH, axes, drawn, figure, inline
from isthmus.result import Estimate, number


def comparison_page(comparison: Comparison, path: str | os.PathLike[str], /, *, score: str | None = None) -> None:
    """Write the page of `comparison` to `path`.

    `score` is the one that the figure sets against the gap; default: R@1, or the first with an interval.
    Errors: `InputError` when `path` cannot be written or there is no such score.

    >>> import isthmus, pathlib, tempfile
    >>> table = isthmus.compare(isthmus.demo.load("collapsed", split="test"), aligners=["Centering"], splits=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder) / "compare.html"
    ...     comparison_page(table, page)
    ...     "<svg" in page.read_text(encoding="utf-8")
    True
    """
    path = writable(path)
    fitted = [row for row in comparison.rows if row.scores]
    known = [name for name in fitted[0].changes if name in comparison.better]
    shown = score or ("R@1" if "R@1" in known else known[0])
    if shown not in known:
        raise InputError(f"no score {shown!r} in this comparison; it has {', '.join(known)}")
    label = f"Gap closed against the change of {shown}: " + "; ".join(
        f"{words.aligner(row)} {100 * closed(row, fitted[0]):.0f} %, {words.points(row.changes[shown])} points"
        for row in fitted
    )
    svg = inline(trade_off(comparison, shown), "tradeoff", label=label)
    caption = (
        "Right: more of the distance between the means is gone. Up: the task gains. Bars are 95 % intervals of the "
        "difference to the raw embeddings."
    )
    x, y = comparison.data["names"]
    how = "one split" if comparison.splits == 1 else f"{comparison.splits} splits"
    facts = f"{comparison.n_fit:,} pairs to fit on, {comparison.n_test:,} others to judge on, {how}"
    sections = [
        Section(
            "Gap closed, task kept",
            ["Every aligner was fitted on some pairs and judged on others that it had not seen."],
            svg,
            caption,
        ),
        Section("The table", header=_header(comparison), rows=_rows(comparison)),
    ]
    refused = [(words.aligner(row), "; ".join(row.notes)) for row in comparison.rows if not row.scores]
    if refused:
        sections.append(Section("Refused", header=("Aligner", "Reason"), rows=refused))
    text = plain_page(f"Closing the gap between {x} and {y}", facts, sections)
    with replacing(path) as part:
        part.write_bytes(text.encode("utf-8", errors="replace"))


def closed(row: Row, raw: Row) -> float:
    """The share of the distance between the means that an aligner removes; negative when it grows."""
    before = raw.scores["gap_distance"].value
    return 1 - row.scores["gap_distance"].value / before if before > 0 else 0.0


@drawn
def trade_off(comparison: Comparison, score: str) -> Any:
    """Share of the gap that each aligner closes, against the change of `score` with its 95 % interval."""
    rows = [row for row in comparison.rows if row.scores]
    spots = np.array([[100 * closed(row, rows[0]), 100 * row.changes[score].value] for row in rows])
    fig = figure(WIDTH, 300)
    ax = axes(fig, 52, 42, 14, 8)
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
    ax.set(xlabel="gap closed (% of the distance between the means)", ylabel=f"change in {score} (points)")
    texts = ["raw" if row.name == "Identity" else words.aligner(row) for row in rows]
    _name(ax, spots, texts, [row.name == "Identity" for row in rows])
    return fig


def _header(comparison: Comparison) -> list[str]:
    arrows = {"higher": " ↑", "lower": " ↓", "neither": ""}
    names = [name for name in _scores(comparison) if name != "gap"]
    return ["Aligner", "gap angle", *(name + arrows[comparison.better.get(name, "neither")] for name in names)]


def _rows(comparison: Comparison) -> list[list[str]]:
    table = []
    for row in comparison.rows:
        if not row.scores:
            continue
        gap = row.scores["gap"]
        cells = [words.aligner(row), "undefined" if gap.undefined else f"{gap.value:.1f}°"]
        for name in _scores(comparison):
            if name != "gap":
                cells.append(_cell(row.scores[name], row.changes.get(name), raw=row.name == "Identity"))
        table.append(cells)
    return table


def _scores(comparison: Comparison) -> list[str]:
    return list(next(row for row in comparison.rows if row.scores).scores)


def _cell(score: Estimate, change: Estimate | None, *, raw: bool) -> str:
    text = number(score.value)
    if raw or change is None:
        return text
    if math.isnan(change.low):
        return f"{text} ({change.value:+.3f})"
    return f"{text} ({change.value:+.3f}, {change.low:+.3f} to {change.high:+.3f})"
