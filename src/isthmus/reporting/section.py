"""Section of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """Section of a page with text, at most one figure and at most one table.

    Parameters
    ----------
    heading : str
        Heading.
    paragraphs : sequence of str
        Text before the figure.
    figure : str
        Inline SVG, from `isthmus.reporting.svg.inline_svg`.
    caption : str
        Caption of the figure.
    header : sequence of str
        Heads of the columns of the table.
    rows : sequence of sequence of str
        Cells. The first column names the row.
    wide : bool, default False
        Whether the figure has several columns.
    text_cells : bool, default False
        Whether the cells are text and not numbers.
    folded : bool, default False
        Whether a reader unfolds the section.
    short : str
        Name in the contents. Default: the heading.
    code : str
        Commands to copy, under the heading "In the shell".

    Examples
    --------
    >>> Section("Angles", ["Degrees."], header=("", "text"), rows=[("image", "72.0")]).heading
    'Angles'
    """

    heading: str
    paragraphs: Sequence[str] = ()
    figure: str = ""
    caption: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default_factory=list)
    wide: bool = False
    text_cells: bool = False
    folded: bool = False
    short: str = ""
    code: str = ""
