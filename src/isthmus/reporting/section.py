"""One part of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """`figure` is inline SVG, `wide` when it has several columns; `header` and `rows` a table whose first column names
    the row, its other cells numbers or, with `text_cells`, text."""

    heading: str
    paragraphs: Sequence[str] = ()
    figure: str = ""
    caption: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default_factory=list)
    wide: bool = False
    text_cells: bool = False
