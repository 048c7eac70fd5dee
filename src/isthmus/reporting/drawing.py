"""Palette, matplotlib style and axes with fixed margins that all figures of the package share."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec

# Figures are drawn in the colours of the light scheme. In a page each colour becomes a CSS variable, so that the
# colour scheme of the reader applies. The colours have a contrast above 4.5 on both backgrounds and can be told
# apart with any colour vision.
INK, PAPER = "#1d2228", "#fcfbf9"
X, Y, ACCENT, MUTED = "#0b5fa5", "#b5420a", "#0b766c", "#7d858e"
#: Colour of the light scheme -> CSS value in a page.
VARIABLES = {
    INK: "currentColor", PAPER: "var(--paper)", X: "var(--x)", Y: "var(--y)", ACCENT: "var(--accent)",
    MUTED: "var(--muted)",
}  # fmt: skip
#: Colour of the light scheme -> colour of the dark scheme.
DARK = {INK: "#e8eaed", PAPER: "#15181c", X: "#6db3f2", Y: "#f6935a", ACCENT: "#4cc9b4", MUTED: "#8b949e"}

#: Default width of a figure in points. A page that is 358 px wide shows a figure of 400 points completely.
WIDTH = 400
#: Font size of labels in points, and that of annotations.
FONT_SIZE, SMALL_FONT_SIZE = 11.5, 10.5
#: Font family of figures and pages.
FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif"

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text, so that it can be searched, selected and read aloud
    "text.parse_math": False,  # a dollar sign in a name is no formula
    "text.usetex": False,
    "font.size": FONT_SIZE,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.unicode_minus": True,
    "path.simplify": True,
}

P = ParamSpec("P")


def with_report_style(function: Callable[P, Any]) -> Callable[P, Any]:
    """Return `function` wrapped so that it draws in the style of the report and leaves the user's settings alone."""

    @functools.wraps(function)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Any:
        from matplotlib import style

        with style.context(["default", _STYLE]), warnings.catch_warnings():
            # The browser draws the text with its own fonts, so that a glyph missing in matplotlib's font is harmless.
            warnings.filterwarnings("ignore", message="Glyph")
            return function(*args, **kwargs)

    return styled


def new_figure(width: float = WIDTH, height: float = 280) -> Any:
    """Return an empty matplotlib `Figure` of this size in points."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72)


def add_axes(fig: Any, left: float, bottom: float, right: float, top: float) -> Any:
    """Return new axes of `fig` with these margins in points, fixed because the font of the reader is not known."""
    width, height = fig.get_size_inches() * 72
    return fig.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


def draw_on(draw: Callable[..., None], ax: Any, *arguments: Any, height: float = 280) -> Any:
    """Call `draw(ax, *arguments)`, on new axes in the style of the report if `ax` is None, and return the axes."""
    if ax is not None:
        draw(ax, *arguments)
        return ax

    @with_report_style
    def on_new_axes() -> Any:
        new_axes = add_axes(new_figure(WIDTH, height), 88, 42, 12, 8)
        draw(new_axes, *arguments)
        return new_axes

    return on_new_axes()
