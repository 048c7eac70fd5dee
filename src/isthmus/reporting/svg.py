"""From a matplotlib figure to an SVG that lives inside a page: its colours, its style, its ids."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec

# Figures are drawn in the colours of the light scheme; in the page each becomes a CSS variable, so that the
# reader's scheme decides. Chosen for contrast above 4.5 on both backgrounds and for telling apart with any
# colour vision.
INK, PAPER = "#1d2228", "#fcfbf9"
X, Y, ACCENT, MUTED = "#0b5fa5", "#b5420a", "#0b766c", "#7d858e"
VARIABLES = {
    INK: "currentColor", PAPER: "var(--paper)", X: "var(--x)", Y: "var(--y)", ACCENT: "var(--accent)",
    MUTED: "var(--muted)",
}  # fmt: skip
DARK = {INK: "#e8eaed", PAPER: "#15181c", X: "#6db3f2", Y: "#f6935a", ACCENT: "#4cc9b4", MUTED: "#8b949e"}

#: Points in a figure are pixels of its natural size; a page that is 358 px wide shows 400 of them.
WIDTH = 400
FONT = 11.5
FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif"

_RC: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, selected and read aloud
    "text.parse_math": False,  # a $ in a name is a dollar sign
    "text.usetex": False,
    "font.size": FONT,
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
    """Run a drawing function in the style of the report; the user's settings neither matter nor change."""
    import functools

    @functools.wraps(function)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Any:
        from matplotlib import style

        with style.context(["default", _RC]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # the reader's font draws the text, not ours
            return function(*args, **kwargs)

    return styled


def new_figure(width: float = WIDTH, height: float = 280) -> Any:
    """An empty figure of this size in points."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72)


def add_axes(fig: Any, left: float, bottom: float, right: float, top: float) -> Any:
    """Axes with these margins in points: fixed, because the reader's font is not known here."""
    width, height = fig.get_size_inches() * 72
    return fig.add_axes(
        (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    )


@with_report_style
def inline_svg(fig: Any, name: str, /, *, label: str) -> str:
    """The figure as an `<svg>` element with the text alternative `label`, its ids beginning with `name`."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        fig.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    view = re.search(r'viewBox="([^"]+)"', text)
    assert view is not None
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    body = _series(_own_ids(body, name))
    # Versions of matplotlib name the fonts in `font:` or in `font-family:`.
    body = re.sub(r"font: ([^;\"]*?)'[^;\"]*", rf"font: \1{FAMILY}", body)
    body = re.sub(r"font-family: [^;\"]*", f"font-family: {FAMILY}", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, variable)
    body = re.sub(r"\n\s*", "\n", body).strip()
    return f'<svg viewBox="{view[1]}" role="img" aria-label="{html.escape(label)}">\n{body}\n</svg>'


def standalone_svg(svg: str, /) -> str:
    """An inline SVG as a file of its own, with the colours of both schemes and a background to stand on."""

    def scheme(colours: dict[str, str]) -> str:
        names = "".join(f"{v[4:-1]}:{colours[k]};" for k, v in VARIABLES.items() if v.startswith("var("))
        return f"svg{{color:{colours[INK]};{names}}}"

    style = f"<style>{scheme({k: k for k in VARIABLES})}@media (prefers-color-scheme: dark){{{scheme(DARK)}}}</style>"
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert view is not None
    size = f'xmlns="http://www.w3.org/2000/svg" width="{view[1]}" height="{view[2]}"'
    head, body = svg.split(">", 1)
    background = f'<rect width="{view[1]}" height="{view[2]}" rx="10" style="fill: var(--paper)"/>'
    return f"{head.replace('<svg', f'<svg {size}', 1)}>\n{style}\n{background}{body}\n"


#: So many marks of one look in a row become one path; a mark then takes a tenth of its bytes.
SERIES = 8
_MARK = re.compile(r'<use href="#([^"]+)" x="([-\d.]+)" y="([-\d.]+)" style="([^"]*)"/>\s*')


def _series(body: str) -> str:
    """Marks of one look that follow each other become the vertices of one path that wears them as SVG markers."""
    runs: list[list[re.Match[str]]] = []
    for found in _MARK.finditer(body):
        if runs and runs[-1][-1].end() == found.start() and runs[-1][0].group(1, 4) == found.group(1, 4):
            runs[-1].append(found)
        else:
            runs.append([found])
    out, end = [], 0
    for number, run in enumerate(run for run in runs if len(run) >= SERIES):
        mark, style = run[0].group(1, 4)
        name = f"{mark}-{number}"
        points = " ".join(f"{float(vertex[2]):.1f} {float(vertex[3]):.1f}" for vertex in run)
        out += [
            body[end : run[0].start()],
            f'<marker id="{name}" overflow="visible" markerUnits="userSpaceOnUse">',
            f'<use href="#{mark}" style="{style}"/></marker>\n',
            f'<path d="M{points}" style="fill: none; stroke: none; marker: url(#{name})"/>\n',
        ]
        end = run[-1].end()
    return "".join(out) + body[end:]


def _own_ids(body: str, name: str) -> str:
    """Ids that nothing refers to are dropped, the others begin with `name`: a page has one space for them."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))

    def renamed(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    body = re.sub(r'\sid="([^"]+)"', renamed, body)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
