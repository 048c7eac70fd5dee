"""Build the figures of the report as matplotlib `Figure` objects, without pyplot and without the user's settings."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.diagnosis import CosineDecomposition
from isthmus.evaluation import Comparison
from isthmus.reporting import panels
from isthmus.reporting.drawing import WIDTH, add_axes, new_figure, with_report_style
from isthmus.reporting.samples import CloudProjection, CosineSample
from isthmus.statistics.result import Result


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
