"""A plain page: a heading, and sections of text, one figure and one table each, in the style of the report."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from isthmus.reporting.page import _environment, _palette
from isthmus.reporting.section import Section
from isthmus.reporting.svg import FAMILY
from isthmus.utils.version import __version__


def plain_page(title: str, facts: str, sections: Sequence[Section]) -> str:
    """One self-contained page that needs no network and no JavaScript, for light and dark."""
    shown = [(section, Markup(section.figure)) for section in sections]
    return (
        _environment()
        .get_template("plain.html.j2")
        .render(title=title, facts=facts, sections=shown, family=FAMILY, palette=_palette(), version=__version__)
    )
