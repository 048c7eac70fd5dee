"""Lines, lists and tables of the terminal: they fit its width. A pipe gets each message on one line."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import typer

#: Most characters of a message, and the ends of sentences at which a longer one is split.
MAX_MESSAGE, SENTENCE_END = 300, re.compile(r"(?<=[^.]\.)(?<!et al\.) (?=[A-Z0-9`])")
#: Characters to which a line of a table may grow where there is no terminal.
MAX_TABLE_WIDTH = 10_000
#: Characters from which a column is text that may wrap, and the fewest that it wraps to.
TEXT_WIDTH, MIN_TEXT_WIDTH = 30, 24
#: Blanks between two columns.
GAP = 2
#: Blank at which no line breaks.
JOINT = "\N{NO-BREAK SPACE}"


def terminal_width() -> int | None:
    """Return the characters in a line of the terminal, or None if the output is a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrap_line(line: str, width: int | None) -> list[str]:
    """Return a line as lines of at most `width` characters. The later ones are indented by two more blanks."""
    indent = line[: len(line) - len(line.lstrip())]
    if width is None or len(line) <= width:
        return [line]
    hanging = indent + "  "
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    text = line[len(indent) :].replace(" %", f"{JOINT}%")  # no line starts with the sign of a percentage
    lines = textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=hanging, **options)
    return [wrapped.replace(JOINT, " ") for wrapped in lines]


def split_message(text: str, max_length: int = MAX_MESSAGE) -> list[str]:
    """Return sentences as messages of at most `max_length` characters, as far as no sentence is longer.

    >>> split_message("One is here. Two are there. This is more.", 30)
    ['One is here. Two are there.', 'This is more.']
    """
    messages: list[str] = []
    for sentence in SENTENCE_END.split(text):
        if messages and len(messages[-1]) + 1 + len(sentence) <= max_length:
            messages[-1] += f" {sentence}"
        else:
            messages.append(sentence)
    return messages


def print_line(line: str = "") -> None:
    """Print a line, split where a message ends and wrapped at the width of a terminal."""
    indent = line[: len(line) - len(line.lstrip())]
    first, *further = split_message(line, MAX_MESSAGE - len(indent))
    for message in (first, *(f"{indent}{text}" for text in further)):
        for part in wrap_line(message, terminal_width()):  # the terminal itself would break words
            typer.echo(part)


def print_bullets(sentences: Sequence[str]) -> None:
    """Print each message as a list item, wrapped at the width of a terminal."""
    for sentence in sentences:
        for message in split_message(sentence, MAX_MESSAGE - len("- ")):
            print_line(f"- {message}")


def print_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    units: Sequence[int] | None = None,
    optional: Sequence[str] = (),
    text: int = -1,
) -> list[str]:
    """Print columns under a header. The first and the last column are left-aligned, the others right-aligned.

    If the table is wider than the terminal, long texts wrap in one column. If this is not enough, the table is printed
    in several blocks, each with the first column.

    Parameters
    ----------
    header : sequence of str
        Titles of the columns.
    rows : sequence of sequence of str
        Cells of each row.
    units : sequence of int, optional
        Numbers of columns after the first one that stay together. Default: each column is one unit.
    optional : sequence of str
        Titles of columns that are left out, in this order, while the table is wider than the terminal.
    text : int, default -1
        The column that may wrap, 0 or -1.

    Returns
    -------
    list of str
        Titles of the columns that were left out.
    """
    width = terminal_width()
    cells = [list(header), *map(list, rows)]
    hidden: list[str] = []
    for title in optional:
        if width is None or _table_width(_widths(cells)) <= width:
            break
        column = cells[0].index(title)
        cells = [[*row[:column], *row[column + 1 :]] for row in cells]
        hidden.append(title)
    for number, columns in enumerate(_blocks(cells, units or [1] * (len(cells[0]) - 1), width, text)):
        if number:
            typer.echo("")
        block = [[row[column] for column in columns] for row in cells]
        for line in _table_lines(block, width, text):
            typer.echo(line)
    return hidden


def _blocks(cells: Sequence[Sequence[str]], units: Sequence[int], width: int | None, text: int) -> Iterator[list[int]]:
    """Yield the columns of each block. The first column starts every block."""
    widths = _widths(cells)
    if width is None or _table_width(widths) <= width or _wraps(widths, width, text):
        yield list(range(len(widths)))
        return
    block, first = [0], 1
    for size in units:
        unit = list(range(first, first + size))
        first += size
        if len(block) > 1 and sum(widths[column] + GAP for column in (*block, *unit)) - GAP > width:
            yield block
            block = [0]
        block += unit
    yield block


def _wraps(widths: Sequence[int], width: int, text: int) -> bool:
    """Return whether the column holds text for which the other columns leave enough characters."""
    return widths[text] >= TEXT_WIDTH and width - (_table_width(widths) - widths[text]) >= MIN_TEXT_WIDTH


def _widths(cells: Sequence[Sequence[str]]) -> list[int]:
    from rich.cells import cell_len

    return [max(map(cell_len, column)) for column in zip(*cells, strict=True)]


def _table_width(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _table_lines(cells: Sequence[Sequence[str]], width: int | None, text: int) -> list[str]:
    """Return the lines of a table, the header first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    widths = _widths(cells)
    wraps = width is not None and _table_width(widths) > width and _wraps(widths, width, text)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="none")
    for position, title in enumerate(cells[0]):
        is_last = position == len(cells[0]) - 1
        justify: Any = "left" if position == 0 or is_last else "right"
        is_text = position == text % len(cells[0])
        table.add_column(Text(title), justify=justify, no_wrap=not (wraps and is_text), overflow="fold")
    for row in cells[1:]:
        table.add_row(*(Text(cell) for cell in row))
    # Cells must not be cut, so a table that does not wrap takes the width that it needs.
    console = Console(highlight=False, color_system=None, width=MAX_TABLE_WIDTH)
    console.width = width if wraps and width is not None else console.measure(table).maximum + 1
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]
