"""Style of the figures: the palette and the settings of the report, with smaller type, a grid and a colour cycle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from isthmus.reporting.drawing import ACCENT, INK, MUTED, X, Y, with_report_style

#: Colours of lines that have no colour of their own.
CYCLE = (X, Y, ACCENT, MUTED, INK)

__all__ = ["ACCENT", "CYCLE", "INK", "MUTED", "X", "Y", "plot_trajectories", "styled_figure"]


@with_report_style
def styled_figure(draw: Callable[[Any], None]) -> Any:
    """Return a matplotlib figure on which `draw` has drawn."""
    import matplotlib
    from matplotlib import cycler
    from matplotlib.figure import Figure

    settings = {
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
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(7.2, 3.4), layout="constrained")
        draw(figure)
    return figure


def plot_trajectories(axes: Any, runs: dict[str, Any], quantity: str) -> None:
    """Draw one line for each run: a column of its trajectory against the step."""
    for index, (label, run) in enumerate(runs.items()):
        values = getattr(run.trajectory, quantity)
        axes.plot(run.trajectory.steps, values, label=label, color=CYCLE[index % len(CYCLE)])
    axes.set_xlabel("step")
