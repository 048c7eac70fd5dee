"""Plain pages: a heading and sections in the style of the report."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from isthmus.reporting.section import Section
from isthmus.reporting.templates import render_template


def plain_page(title: str, facts: str, sections: Sequence[Section], *, conclusion: Sequence[str] = ()) -> str:
    """Return one self-contained HTML page that needs no network, for light and dark.

    Parameters
    ----------
    title : str
        Heading of the page.
    facts : str
        One line below the heading.
    sections : sequence of Section
        The content.
    conclusion : sequence of str
        One or two sentences with numbers, which come first.
    """
    with_figures = [(section, Markup(section.figure)) for section in sections]
    return render_template("plain.html.j2", title=title, facts=facts, sections=with_figures, conclusion=conclusion)
