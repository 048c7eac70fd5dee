"""The format .txt."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

import numpy as np

from isthmus.data.sources import _tables
from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source
from isthmus.utils.errors import InputError
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
        try:
            rows = spooled_rows(_blocks(location))
        except (ValueError, OverflowError) as error:
            reason = re.sub(r"; use `usecols`.*", "", str(error).splitlines()[0])[:160]
            raise InputError(
                f"{address[-120:]}: is no table of numbers ({reason}); expected as many numbers in each line"
            ) from None
        if rows is None:
            raise InputError(f"{address[-120:]}: is empty, expected numbers in lines of text")
        _tables.warn_of_missing_end(location)
        return Source(rows, address=address, format=self.name, location=location, min_rows=min_rows)


def _blocks(location: Location) -> Iterator[np.ndarray]:
    """Yield the rows in blocks of lines. Raise ValueError for a line that holds other numbers than the first."""
    with location.open("r", encoding="utf-8") as file, warnings.catch_warnings():  # type: ignore[call-arg]
        warnings.simplefilter("ignore")  # NumPy warns of an empty rest
        delimiter = "," if "," in file.readline() else None
        file.seek(0)
        n_rows, width = 0, None
        while len(block := np.loadtxt(file, ndmin=2, max_rows=BLOCK_LINES, delimiter=delimiter)):
            if width is not None and block.shape[1] != width:
                raise ValueError(f"the number of columns changed from {width} to {block.shape[1]} after row {n_rows:,}")
            n_rows, width = n_rows + len(block), block.shape[1]
            yield block
