"""Style of the figures: the palette and the settings of the report, with smaller type, a grid and a colour cycle."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from isthmus.reporting.drawing import ACCENT, INK, MUTED, X, Y, with_report_style

#: Colours of lines that have no colour of their own.
CYCLE = (X, Y, ACCENT, MUTED, INK)

__all__ = ["ACCENT", "CYCLE", "INK", "MUTED", "X", "Y", "figure_to_inline_svg", "plot_trajectories", "styled_figure"]


@with_report_style
def styled_figure(draw: Callable[[Any], None]) -> Any:
    """Return a matplotlib figure on which `draw` has drawn."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_settings()):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        draw(figure)
    return figure


@with_report_style
def figure_to_inline_svg(draw: Callable[[Any], None], name: str, label: str) -> str:
    """Return the figure of `draw` as an inline SVG element, with `name` as prefix of its ids and a text alternative."""
    import matplotlib

    from isthmus.reporting.svg import figure_to_svg

    with matplotlib.rc_context(_settings()):  # tick labels are made when the figure is saved
        return figure_to_svg(styled_figure(draw), name, label=label)


class _OnePanel:
    """Stand-in for a figure: one of its axes is that of the caller, and the others are drawn for nothing."""

    def __init__(self, ax: Any, position: int) -> None:
        self.ax, self.position = ax, position

    def subplots(self, n_rows: int = 1, n_columns: int = 1, **options: Any) -> Any:
        """Return axes as `Figure.subplots` does. An axis of the caller is shared with no other."""
        from matplotlib.figure import Figure

        axes = list(Figure().subplots(n_rows, n_columns, squeeze=False, **options).ravel())
        self.first = axes[0]
        axes[self.position] = self.ax
        return axes if len(axes) > 1 else self.ax


def panels_of(draw: Callable[[Any], None]) -> dict[str, Callable[[Any], None]]:
    """Return the axes of the figure that `draw` draws as functions of an axis: 'figure', or 'left' and 'right'."""
    n_panels = len(styled_figure(draw).axes)
    names = {1: ["figure"], 2: ["left", "right"]}.get(n_panels, [f"panel {i + 1}" for i in range(n_panels)])

    def draw_panel(ax: Any, position: int) -> None:
        figure = _OnePanel(ax, position)
        draw(figure)
        if not ax.get_ylabel() and position:
            ax.set_ylabel(figure.first.get_ylabel())

    return {name: functools.partial(draw_panel, position=i) for i, name in enumerate(names)}


def plot_trajectories(axes: Any, runs: dict[str, Any], quantity: str) -> None:
    """Draw one line for each run: a column of its trajectory against the step."""
    for index, (label, run) in enumerate(runs.items()):
        values = getattr(run.trajectory, quantity)
        axes.plot(run.trajectory.steps, values, label=label, color=CYCLE[index % len(CYCLE)])
    axes.set_xlabel("step")


def _settings() -> dict[str, Any]:
    from matplotlib import cycler

    return {
        "text.parse_math": True,  # for the powers of ten of logarithmic axes
        "font.size": 9.5,
        "axes.titlesize": 10.5,
        "axes.prop_cycle": cycler(color=CYCLE),
        "legend.frameon": False,
        "legend.labelcolor": INK,
        "axes.grid": True,
        "grid.color": MUTED,
        "grid.alpha": 0.25,
        "lines.linewidth": 1.8,
    }
