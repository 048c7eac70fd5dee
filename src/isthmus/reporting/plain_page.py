"""A plain page: a heading, and sections of text, one figure and one table each, in the style of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

import isthmus
from isthmus.reporting.page import _environment, _palette
from isthmus.reporting.svg import FAMILY


@dataclass(frozen=True)
class Section:
    """`figure` is inline SVG, `wide` when it has several columns; `header` and `rows` a table whose first column names
    the row, its other cells numbers or, with `words`, text."""

    heading: str
    paragraphs: Sequence[str] = ()
    figure: str = ""
    caption: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default_factory=list)
    wide: bool = False
    words: bool = False


def plain_page(title: str, facts: str, sections: Sequence[Section]) -> str:
    """One self-contained page that needs no network and no JavaScript, for light and dark."""
    shown = [(section, Markup(section.figure)) for section in sections]
    return (
        _environment()
        .get_template("plain.html.j2")
        .render(
            title=title, facts=facts, sections=shown, family=FAMILY, palette=_palette(), version=isthmus.__version__
        )
    )
