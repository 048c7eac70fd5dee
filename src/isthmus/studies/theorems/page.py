"""One self-contained page of all experiments: table, figures, moving picture; no network, no other file."""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from isthmus.studies.theorems._experiment import ExperimentResult, Row, experiments, registry
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path
from isthmus.utils.version import __version__

#: called with (number done, number in all, name of what comes next or "")
Progress = Callable[[int, int, str], None]


def run_all(
    out_dir: str | os.PathLike[str],
    /,
    *,
    names: Sequence[str] | None = None,
    quick: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Run the experiments (all, or those in `names`) and write `theory.html` into `out_dir`; its path.

    About four minutes on two cores, half a minute with `quick`. The page holds its figures and its moving
    picture; it needs no network. It is written under a temporary name first, so an interrupted run leaves no
    half page.

    Raises `InputError` for unknown names and for an `out_dir` that is a file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = run_all(folder, names=["certificate"], quick=True)
    ...     page.name, "<svg" in page.read_text(encoding="utf-8")
    ('theory.html', True)
    """
    folder = check_folder(out_dir)
    return write(collect(names, quick=quick, progress=progress), folder)


def collect(
    names: Sequence[str] | None, /, *, quick: bool = False, progress: Progress | None = None
) -> list[ExperimentResult]:
    """Results of the experiments in `names` (None: all), telling `progress` before each and at the end.

    >>> [result.verdict for result in collect(["certificate"], quick=True)]
    ['holds']
    """
    # A name that is wrong is refused before anything runs.
    chosen = list(experiments().values()) if names is None else [registry[name] for name in names]
    results = []
    for done, entry in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen), entry.name)
        results.append(entry(quick=quick))
    if progress is not None:
        progress(len(chosen), len(chosen), "")
    return results


def write(results: Sequence[ExperimentResult], out_dir: str | os.PathLike[str], /) -> Path:
    """Write the page of these results as `theory.html` into `out_dir`, whole or not at all; its path.

    Raises `InputError` if `out_dir` is a file.
    """
    folder = check_folder(out_dir)
    text = render(results)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "theory.html"
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def check_folder(out_dir: str | os.PathLike[str], /) -> Path:
    """`out_dir` as a path; `InputError` if it is a file."""
    folder = Path(out_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder for the page.")
    return folder


def render(results: Sequence[ExperimentResult], /) -> str:
    """The page of these results as one HTML text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    from isthmus.studies.theorems._animation import scenes

    environment = Environment(
        loader=PackageLoader("isthmus.studies.theorems", "."),
        autoescape=select_autoescape(default_for_string=True, default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number)
    return environment.get_template("page.html.j2").render(
        experiments=[
            {
                "result": result,
                "headline": _headline(result),
                "tone": _tone(result),
                "passed": sum(row.passed for row in result.rows),
                "svg": figure_svg(result),
            }
            for result in results
        ],
        # "</" would end the script element that holds the data.
        scenes=json.dumps(scenes(), separators=(",", ":")).replace("</", "<\\/"),
        version=__version__,
        seconds=sum(result.seconds for result in results),
    )


def figure_svg(result: ExperimentResult, /) -> str:
    """The figure as inline SVG in the colour of the text around it, with ids of its own and a description."""
    import matplotlib

    from isthmus.studies.theorems._style import INK, style

    buffer = io.StringIO()
    with style(), matplotlib.rc_context({"svg.hashsalt": result.name}):
        result.figure().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(re.escape(INK), "currentColor", svg, flags=re.IGNORECASE)
    mark = f"{result.name}-"
    svg = re.sub(r'\bid="', f'id="{mark}', svg)
    svg = re.sub(r'href="#', f'href="#{mark}', svg)
    svg = svg.replace("url(#", f"url(#{mark}")
    head, rest = svg.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{_attribute(result.picture)}">{rest}'


def _headline(result: ExperimentResult) -> Row:
    """The row that decides: the first that failed, else the first."""
    return next((row for row in result.rows if not row.passed), result.rows[0])


def _tone(result: ExperimentResult) -> str:
    if result.verdict.startswith("fails"):
        return "fails"
    return "limits" if result.verdict != "holds" else "holds"


def number(value: Any) -> str:
    """A number with as many digits as help a reader; words pass through."""
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "undefined"
    if value == 0:
        return "0"
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa}·10{_superscript(int(exponent))}".replace("-", "−")
    text = f"{value:.5f}".rstrip("0").rstrip(".") if abs(value) < 100 else f"{value:.4g}"
    return text.replace("-", "−")


def _superscript(value: int) -> str:
    return str(value).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
