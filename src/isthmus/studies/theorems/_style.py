"""How figures look. Text and axes use one colour that the page replaces by the colour of its text."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

#: stands for "the colour of the text around the figure"
INK = "#112233"
#: mid-tones that are readable on white and on near-black (after Okabe and Ito, 2008)
BLUE, ORANGE, GREEN, PINK, GREY = "#3b82c4", "#d9742b", "#2a9d7f", "#c2639b", "#8a8f98"
CYCLE = (BLUE, ORANGE, GREEN, PINK, GREY)


def style() -> AbstractContextManager[Any]:
    """matplotlib settings for the figures of this package."""
    import matplotlib
    from matplotlib import cycler

    return matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans"],
            "font.size": 9.5,
            "axes.titlesize": 10.5,
            "axes.prop_cycle": cycler(color=CYCLE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.facecolor": "none",
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "legend.frameon": False,
            "legend.labelcolor": INK,
            "axes.grid": True,
            "grid.color": GREY,
            "grid.alpha": 0.25,
            "lines.linewidth": 1.8,
            **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
        }
    )


def trace(axes: Any, runs: dict[str, Any], quantity: str, *, log: bool = False) -> None:
    """One line per run: a column of its trajectory against the step."""
    for index, (label, run) in enumerate(runs.items()):
        values = getattr(run.trajectory, quantity)
        axes.plot(run.trajectory.steps, values, label=label, color=CYCLE[index % len(CYCLE)])
    if log:
        axes.set_yscale("log")
    axes.set_xlabel("step")
