"""The figure and the page of a dose experiment."""

from __future__ import annotations

import math
import os
from typing import Any

from isthmus.evaluation.interventions import PATHS, DoseResponse
from isthmus.reporting.plain_page import plain_page
from isthmus.reporting.section import Section
from isthmus.reporting.svg import ACCENT, INK, MUTED, PAPER, WIDTH, X, Y, axes, drawn, figure, inline, standalone
from isthmus.utils.files import replacing
from isthmus.utils.validation import writable

_STYLE = {"translate": (X, "o"), "rotate": (Y, "^"), "collapse": (ACCENT, "s"), "purify": (MUTED, "D")}
_AXES = {"gap": "gap (degrees)", "gap_distance": "distance of the means", "alignment": "shared-space alignment"}


def dose_page(response: DoseResponse, path: str | os.PathLike[str], /) -> None:
    """Write the experiment to `path`: the figure alone when it ends in .svg, else one self-contained page.

    >>> import pathlib, tempfile, isthmus
    >>> from isthmus.evaluation.interventions import dose_response
    >>> found = dose_response(isthmus.demo.load("collapsed", split="test"), paths=["translate"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dose_page(found, pathlib.Path(folder) / "dose.svg")
    ...     (pathlib.Path(folder) / "dose.svg").read_text(encoding="utf-8")[:4]
    '<svg'
    """
    path = writable(path)
    svg = inline(dose_figure(response), "dose", label="Scores against the gap and the alignment. " + label(response))
    if path.suffix.lower() == ".svg":
        text = standalone(svg)
    else:
        text = _page(response, svg)
    with replacing(path) as part:
        part.write_bytes(text.encode("utf-8", errors="replace"))


@drawn
def dose_figure(response: DoseResponse) -> Any:
    """Each score (rows) against the gap (left) and the shared-space alignment (right), one line for each path."""
    scores = list(response.explained)
    tall = 150
    fig = figure(2 * WIDTH, tall * len(scores) + 70)
    height = tall * len(scores) + 70
    for row, score in enumerate(scores):
        for column, measure in enumerate((response.measure, "alignment")):
            left = 52 + column * WIDTH
            ax = axes(fig, left, height - (row + 1) * tall + 8, 2 * WIDTH - left - WIDTH + 66, row * tall + 8)
            for name in (n for n in PATHS if any(d.path == n for d in response.doses)):
                doses = response.path(name)
                colour, marker = _STYLE[name]
                across = [getattr(d, measure) for d in doses]
                ax.plot(across, [d.scores[score] for d in doses], color=colour, lw=1.5, marker=marker, ms=4, label=name)
            raw = response.raw
            ax.plot(getattr(raw, measure), raw.scores[score], "*", color=INK, ms=11, mec=PAPER, zorder=5)
            ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
            if column == 0:
                ax.set_ylabel(score)
            if row == len(scores) - 1:
                ax.set_xlabel(_AXES[measure])
            if row == 0 and column == 0:
                handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="lower center", ncols=4, frameon=False)
    return fig


def label(response: DoseResponse) -> str:
    """The verdict as one text."""
    return " ".join(response.verdict())


def _page(response: DoseResponse, svg: str) -> str:
    x, y = response.names
    names = list(response.explained)
    rows = [
        [
            f"{d.path} {d.dose:g}",
            "undefined" if math.isnan(d.gap) else f"{d.gap:.1f}°",
            f"{d.gap_distance:.3f}",
            f"{d.alignment:.3f}",
            *(f"{d.scores[name]:.3f}" for name in names),
        ]
        for d in response.doses
    ]
    sizes = f"{response.n_fit:,} pairs to fit on, {response.n_test:,} others to judge on"
    facts = f"{sizes}, {response.shared} shared directions"
    caption = (
        "The star is the raw space; every line leaves it along one path. Intervals of the rank correlations draw the "
        "doses anew: they say how much the answer depends on the doses chosen."
    )
    paths = [f"{name}: {PATHS[name][0]}." for name in PATHS if any(d.path == name for d in response.doses)]
    sections = [
        Section("What the tasks follow", response.verdict(), svg, caption),
        Section("The paths", paths),
        Section("All doses", header=("Dose", "gap", "distance", "alignment", *names), rows=rows),
    ]
    return plain_page(f"How the gap between {x} and {y} reaches the task", facts, sections)
