"""The format .txt."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

import numpy as np

from isthmus.data.sources import _tables
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._ragged_rows import RaggedRows, usual_length
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source
from isthmus.utils.errors import InputError, with_row_numbers
from isthmus.utils.files import spooled_rows

#: Lines that are parsed at a time.
BLOCK_LINES = 4096


@register
class Text(Format):
    """Numbers in lines of text (.txt), between spaces, tabs or commas, as numpy.savetxt writes them."""

    name = "text"
    suffixes = (".txt",)
    dtypes = ("float64",)
    is_shard = False
    announces_length = False

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Parse the lines in blocks. Each number equals ``float(text)``."""
        address = str(location)
        if member is not None:
            raise InputError(f"{address[-120:]}::{member}: a .txt file holds one array; leave out '::{member}'")
        _tables.check_blank_lines(location)
        ragged = RaggedRows(address)
        try:
            rows = spooled_rows(_blocks(location, ragged))
        except InputError:
            raise
        except (ValueError, OverflowError) as error:
            reason = re.sub(r"; use `usecols`.*", "", str(error).splitlines()[0])[:160]
            raise InputError(
                f"{address[-120:]}: is no table of numbers ({reason}); expected as many numbers in each line"
            ) from None
        if rows is None:
            raise InputError(f"{address[-120:]}: is empty, expected numbers in lines of text")
        _tables.warn_of_missing_end(location)
        source = Source(rows, address=address, format=self.name, location=location, min_rows=min_rows)
        source.ragged = ragged
        return source


def _blocks(location: Location, ragged: RaggedRows) -> Iterator[np.ndarray]:
    """Yield the rows in blocks of lines. Lines of another number of values than most are NaN, and recorded."""
    with location.open("r", encoding="utf-8-sig") as file, warnings.catch_warnings():  # type: ignore[call-arg]
        warnings.simplefilter("ignore")  # NumPy warns of an empty rest
        delimiter = "," if "," in file.readline() else None
        file.seek(0)
        n_rows, width = 0, None
        while lines := [str(line) for line in islice(file, BLOCK_LINES)]:
            block = _rows_of_lines(lines, delimiter, width, n_rows, ragged)
            if len(block):
                n_rows, width = n_rows + len(block), block.shape[1]
                yield block


def _rows_of_lines(
    lines: list[str], delimiter: str | None, width: int | None, first: int, ragged: RaggedRows
) -> np.ndarray:
    """Return the numbers in lines as rows of the given width, or of that of most lines."""
    with suppress(ValueError):
        block = np.loadtxt(lines, ndmin=2, delimiter=delimiter)
        if not len(block) or width in (None, block.shape[1]):
            return block
    contents = np.char.strip(np.char.partition(np.array(lines), "#")[:, 0])
    contents = contents[contents != ""]
    lengths = np.asarray(np.frompyfunc(len, 1, 1)(np.char.split(contents, delimiter)), dtype=np.int64)
    width = usual_length(lengths, ragged.address) if width is None else width
    unequal = np.flatnonzero(lengths != width)
    usual = np.flatnonzero(lengths == width)
    rows = np.full((len(contents), width), np.nan)
    if len(usual):
        try:
            rows[usual] = np.loadtxt(contents[usual], ndmin=2, delimiter=delimiter)
        except ValueError as error:  # it counts rows among those that it gets
            raise ValueError(with_row_numbers(str(error), lambda row: first + int(usual[row]))) from None
    ragged.add(first, unequal, lengths[unequal])
    return rows
