"""Build the figures of the report as matplotlib `Figure` objects, without pyplot and without the user's settings."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from isthmus.data.pairs import Pairs
from isthmus.diagnosis import CosineDecomposition, Explanation
from isthmus.evaluation import Comparison
from isthmus.reporting import panels
from isthmus.reporting.descriptions import describe_overview, headline_answers
from isthmus.reporting.drawing import FONT_SIZE, WIDTH, add_axes, new_figure, with_report_style
from isthmus.reporting.held_out_clouds import HeldOutClouds
from isthmus.reporting.samples import CloudProjection, CosineSample
from isthmus.reporting.svg import inline_svg, standalone_svg
from isthmus.statistics.result import Result
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path

#: Size of the overview in points, and left and right margin of its three panels.
OVERVIEW_SIZE, PANEL_MARGINS = (900, 330), ((72, 594), (408, 294), (682, 16))


@with_report_style
def angle_figure(result: Result) -> Any:
    """Return the figure of the two means in their own plane."""
    fig = new_figure(270, 146)
    panels.draw_angle(add_axes(fig, 8, 8, 8, 8), result)
    return fig


@with_report_style
def budget_figure(budget: CosineDecomposition) -> Any:
    """Return the waterfall of the cosine deficit."""
    fig = new_figure(WIDTH, 232)
    panels.draw_budget(add_axes(fig, 88, 40, 12, 6), budget)
    return fig


@with_report_style
def clouds_figure(projection: CloudProjection, names: tuple[str, str], limits: panels.Limits) -> Any:
    """Return the scatter plot of both clouds."""
    fig = new_figure(WIDTH, 300)
    panels.draw_clouds(add_axes(fig, 62, 42, 16, 8), projection, names, limits)
    return fig


@with_report_style
def spectra_figure(result: Result) -> Any:
    """Return the two spectra."""
    fig = new_figure(WIDTH, 280)
    panels.draw_spectra(add_axes(fig, 54, 42, 10, 8), result)
    return fig


@with_report_style
def principal_angles_figure(result: Result, random_angles: np.ndarray) -> Any:
    """Return the principal angles beside those of random subspaces."""
    fig = new_figure(WIDTH, 280)
    panels.draw_principal_angles(add_axes(fig, 46, 42, 10, 8), result, random_angles)
    return fig


@with_report_style
def cosines_figure(sample: CosineSample) -> Any:
    """Return the densities of the cosines."""
    fig = new_figure(WIDTH, 280)
    panels.draw_cosines(add_axes(fig, 48, 42, 10, 8), sample)
    return fig


@with_report_style
def aligners_figure(comparison: Comparison) -> Any:
    """Return the trade-off of the aligners."""
    fig = new_figure(WIDTH, 300)
    panels.draw_aligners(add_axes(fig, 64, 42, 12, 8), comparison)
    return fig


def save_overview(
    explanation: Explanation, pairs: Pairs, path: str | os.PathLike[str], /, *, fit: Pairs | None = None
) -> None:
    """Save one SVG file (900 points wide, light and dark) with the clouds, the budget and the aligners.

    Parameters
    ----------
    explanation : Explanation
        With a comparison: `isthmus.explain(pairs, comparison=isthmus.compare(pairs))`.
    pairs : Pairs
        The pairs.
    path : str or path
        The file.
    fit : Pairs, optional
        Pairs that the aligners were fitted to. Default: one half of `pairs`.

    Raises
    ------
    InputError
        If there is no comparison, or `path` cannot be written.
    """
    if explanation.comparison is None:
        raise InputError("the explanation has no comparison; make it with explain(pairs, comparison=compare(pairs))")
    before = HeldOutClouds(pairs, fit, normalize=bool(explanation.result.pairs["normalize"])).raw
    fig = _overview_figure(explanation, explanation.comparison, before, pairs.names)
    text_alternative = describe_overview(explanation, explanation.comparison)
    svg_text = standalone_svg(inline_svg(fig, "overview", label=text_alternative))
    with atomic_path(path) as temporary:
        temporary.write_text(svg_text, encoding="utf-8", newline="\n")


@with_report_style
def _overview_figure(
    explanation: Explanation, comparison: Comparison, before: CloudProjection, names: tuple[str, str]
) -> Any:
    width, height = OVERVIEW_SIZE
    fig = new_figure(width, height)
    clouds, budget, aligners = (add_axes(fig, left, 52, right, 62) for left, right in PANEL_MARGINS)
    panels.draw_clouds(clouds, before, names, panels.shared_limits(before))
    panels.draw_budget(budget, explanation.budget)
    panels.draw_aligners(aligners, comparison)
    questions = ("How big is the gap?", "Where does it come from?", "What does closing it do?")
    for start, question, answer in zip((24, 338, 640), questions, headline_answers(explanation), strict=True):
        fig.text(start / width, 1 - 22 / height, question, weight="bold", fontsize=14, va="center")
        fig.text(start / width, 1 - 42 / height, answer, fontsize=FONT_SIZE, va="center", alpha=0.85)
    return fig
