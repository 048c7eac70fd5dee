"""Palette, matplotlib style and axes with fixed margins that all figures of the package share."""

from __future__ import annotations

import functools
import importlib.resources
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
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

#: Default width of a figure in points, that of a figure on a phone in pixels, where text then has `FONT_SIZE` pixels.
WIDTH = 358
#: Font size of all text in points, as in the style sheet.
FONT_SIZE = 12
#: Font family of figures and pages.
FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif"

#: Style sheet of all figures, the file report.mplstyle beside this module.
STYLE_SHEET = "isthmus.reporting.report"
#: Resolution of figures that the plot functions make.
DPI = 144
#: Argument of `matplotlib.style.use`: a name, a path, settings, or a list of these.
Sheet = str | os.PathLike[str] | Mapping[str, Any] | Sequence[Any]

_sheet: ContextVar[Sheet | None] = ContextVar("style sheet of plot functions", default=STYLE_SHEET)

P = ParamSpec("P")


@functools.cache
def _report_settings() -> Any:
    """Return the settings of the style sheet. The file is parsed once."""
    from matplotlib import rc_params_from_file

    with importlib.resources.as_file(importlib.resources.files("isthmus.reporting") / "report.mplstyle") as path:
        return rc_params_from_file(path, use_default_template=False)


@contextmanager
def style(sheet: Sheet | None = STYLE_SHEET) -> Iterator[None]:
    """Draw figures of the block in the style of the report, in another style, or in the settings of the caller.

    Axes that the block makes have this style, and so have those that the plot functions make. Outside of such a block,
    plot functions without `ax` use the style of the report.

    Parameters
    ----------
    sheet : str, path, mapping or list, optional
        Style as in `matplotlib.style.use`. Default: that of the report. None keeps the settings of the caller.

    Yields
    ------
    None
        Nothing.

    Examples
    --------
    >>> import isthmus
    >>> result = isthmus.measure(isthmus.demo.load("plain", split="test"))
    >>> with isthmus.plot.style("ggplot"):
    ...     ax = isthmus.plot.spectra(result)
    >>> ax.get_facecolor()[:3] == isthmus.plot.spectra(result).get_facecolor()[:3]
    False
    """
    token = _sheet.set(sheet)
    try:
        with _settings_of(sheet):
            yield
    finally:
        _sheet.reset(token)


def _settings_of(sheet: Sheet | None) -> AbstractContextManager[None]:
    """Return the context of a style sheet on top of the defaults of matplotlib, or of nothing for None."""
    if sheet is None:
        return nullcontext()
    from matplotlib import style as matplotlib_style

    sheets = list(sheet) if isinstance(sheet, Sequence) and not isinstance(sheet, str) else [sheet]
    settings = [_report_settings() if entry == STYLE_SHEET else entry for entry in sheets]
    context: AbstractContextManager[None] = matplotlib_style.context(["default", *settings])
    return context


def with_report_style(function: Callable[P, Any]) -> Callable[P, Any]:
    """Return `function` wrapped so that it draws in the style of the report and leaves the user's settings alone."""

    @functools.wraps(function)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Any:
        with _settings_of(STYLE_SHEET), warnings.catch_warnings():
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


def apply_layout(ax: Any) -> None:
    """Move the axes to where the layout of their figure puts them, so that their size is known."""
    figure = ax.figure.canvas.figure
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()


def draw_on(draw: Callable[..., None], ax: Any, *arguments: Any, height: float = 280) -> Any:
    """Call `draw(ax, *arguments)` and return the axes. If `ax` is None, they are new, in the style of `style`."""
    if ax is not None:
        draw(ax, *arguments)
        return ax
    with _settings_of(_sheet.get()):
        new_axes = _shown_figure(WIDTH, height).add_subplot()
        draw(new_axes, *arguments)
    return new_axes


def _shown_figure(width: float, height: float) -> Any:
    """Return a figure of this size in points, which notebooks and `plt.show` display if pyplot is in use."""
    options: dict[str, Any] = {"figsize": (width / 72, height / 72), "dpi": DPI, "layout": "constrained"}
    ipython = sys.modules.get("IPython")
    if "matplotlib.pyplot" in sys.modules or (ipython is not None and ipython.get_ipython() is not None):
        import matplotlib
        from matplotlib import pyplot

        with matplotlib.rc_context({"figure.max_open_warning": 0}):
            return pyplot.figure(**options)
    from matplotlib.figure import Figure

    return Figure(**options)
