"""The figure and the page of interventions on the gap."""

from __future__ import annotations

import math
import os
from typing import Any

from isthmus.evaluation.intervention_curve import INTERVENTIONS, InterventionCurve
from isthmus.reporting.drawing import WIDTH, add_axes, new_figure, with_report_style
from isthmus.reporting.plain_page import plain_page
from isthmus.reporting.result_panels import AXIS_LABELS, draw_interventions, shown_interventions
from isthmus.reporting.section import Section
from isthmus.reporting.svg import inline_svg, standalone_svg
from isthmus.utils.files import atomic_path
from isthmus.utils.format import counted, fixed
from isthmus.utils.paths import check_writable

#: Height of one score in the figure, in points.
_ROW_HEIGHT = 172


def intervention_page(curve: InterventionCurve, path: str | os.PathLike[str], /) -> None:
    """Write the experiment as a figure (.svg) or as one self-contained page.

    Parameters
    ----------
    curve : InterventionCurve
        Result of `isthmus.evaluation.interventions.intervene`.
    path : str or path-like
        File to write atomically. A name that ends in .svg selects the figure.

    Raises
    ------
    InputError
        If `path` cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile, isthmus
    >>> from isthmus.evaluation.interventions import intervene
    >>> curve = intervene(isthmus.demo.load("collapsed", split="test"), interventions=["translate"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     intervention_page(curve, pathlib.Path(folder) / "curve.svg")
    ...     (pathlib.Path(folder) / "curve.svg").read_text(encoding="utf-8")[:4]
    '<svg'
    """
    path = check_writable(path)
    text_alternative = "Scores against the gap and the alignment. " + " ".join(curve.verdict())
    svg = inline_svg(intervention_figure(curve), "intervention", label=text_alternative)
    file_text = standalone_svg(svg) if path.suffix.lower() == ".svg" else _page(curve, svg)
    with atomic_path(path) as temporary:
        temporary.write_bytes(file_text.encode("utf-8", errors="replace"))


@with_report_style
def intervention_figure(curve: InterventionCurve) -> Any:
    """Draw each score (rows) against the gap (left) and the alignment (right), with one line per intervention.

    Parameters
    ----------
    curve : InterventionCurve
        Result of `isthmus.evaluation.interventions.intervene`.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.
    """
    scores = list(curve.explained)
    height = _ROW_HEIGHT * len(scores) + 48
    fig = new_figure(2 * WIDTH, height)
    for row, score in enumerate(scores):
        bottom = height - (row + 1) * _ROW_HEIGHT + 30
        for column, measure in enumerate((curve.gap_measure, "alignment")):
            x_left = 52 + column * WIDTH
            ax = add_axes(fig, x_left, bottom, 2 * WIDTH - x_left - WIDTH + 66, row * _ROW_HEIGHT + 8)
            draw_interventions(ax, curve, score, measure)
            if column == 0:
                ax.set_ylabel(score)
            if row == len(scores) - 1:
                ax.set_xlabel(AXIS_LABELS[measure])
            if row == 0 and column == 0:
                handles = ax.get_legend_handles_labels()
    fig.legend(*handles, loc="lower left", ncols=4, frameon=False)
    return fig


def _with_plugin(value: str, plugin: str) -> str:
    """Return a value with its plug-in, the published form with the bias of sampling, where the digits differ."""
    return value if plugin == value or plugin.startswith("nan") else f"{value} (plug-in {plugin})"


def _page(curve: InterventionCurve, svg: str) -> str:
    x, y = curve.names
    scores = list(curve.explained)
    rows = [
        [
            f"{point.intervention.replace('_', ' ')} {point.strength:g}",
            "no angle"
            if math.isnan(point.gap)
            else _with_plugin(f"{fixed(point.gap, 1)}°", f"{fixed(point.gap_plugin, 1)}°"),
            _with_plugin(fixed(point.gap_distance, 3), fixed(point.gap_distance_plugin, 3)),
            fixed(point.alignment, 3),
            *(fixed(point.scores[name], 3) for name in scores),
        ]
        for point in curve.points
    ]
    sizes = f"{counted(curve.n_fit, 'pair')} to fit on, {curve.n_test:,} others to judge on"
    sizes += f", {sample}" if (sample := curve.settings.get("sample")) else ""
    facts = f"{sizes}, {counted(curve.shared_dimensions, 'covarying direction')}"
    caption = (
        "The star is the raw space. Each line shows one intervention of growing strength, and the key gives its "
        "colour. A score that follows the gap changes along the left pictures, one that follows the alignment along "
        "the right ones."
    )
    definitions = [f"{name}: {INTERVENTIONS[name][0]}." for name in shown_interventions(curve)]
    sections = [
        Section("Each score against the gap and the alignment", (), svg, caption, wide=True, short="Figure"),
        Section("The interventions", definitions),
        Section(
            "The evidence in numbers",
            [
                *curve.verdict(),
                "Intervals of the rank correlations resample the points. They state how much the answer depends on the "
                "chosen strengths.",
            ],
            folded=True,
        ),
        Section("All points", header=("Intervention", "gap", "distance", "alignment", *scores), rows=rows, folded=True),
    ]
    title = f"How the gap between {x} and {y} affects the tasks"
    return plain_page(title, facts, sections, conclusion=curve.conclusions())
