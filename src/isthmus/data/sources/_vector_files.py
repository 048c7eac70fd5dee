"""Files of the benchmarks of nearest neighbours: .fbin and .fvecs, and the same layouts with other numbers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._source import Source
from isthmus.utils.errors import InputError


class BinFormat(Format):
    """The numbers of rows and columns as uint32, then the rows, memory-mapped."""

    stored: ClassVar[np.dtype] = np.dtype("<f4")

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the rows of the file."""
        path: Any = location
        refuse_member(self, location, member)
        size, item = path.stat().st_size, self.stored.itemsize
        n_rows, width = map(int, np.fromfile(path, dtype="<u4", count=2)) if size >= 8 else (0, 0)
        if size < 8 or size != 8 + item * n_rows * width:
            raise InputError(
                f"{path}: is not a complete {self.suffixes[0]} file: it has {size:,} bytes, but its header states "
                f"{n_rows:,} x {width:,} of {self.dtypes[0]}; copy or write it again"
            )
        rows: Any = np.empty((n_rows, width), dtype=self.stored)
        if rows.size:
            rows = np.memmap(path, dtype=self.stored, mode="r", offset=8, shape=(n_rows, width))
        return Source(rows, address=str(path), format=self.name, location=path, min_rows=min_rows)


class VecsFormat(Format):
    """The width as int32 before each row, memory-mapped."""

    announces_length = False
    stored: ClassVar[np.dtype] = np.dtype("<f4")

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the rows of the file. The width that each row repeats is checked."""
        path: Any = location
        refuse_member(self, location, member)
        size, item = path.stat().st_size, self.stored.itemsize
        width = int(np.fromfile(path, dtype="<i4", count=1)[0]) if size >= 4 else 0
        if width < 1 or size % (4 + item * width):
            raise InputError(
                f"{path}: is not a complete {self.suffixes[0]} file: {size:,} bytes are no rows of the width "
                f"{width:,} that the first row states; copy or write it again"
            )
        content = np.memmap(path, dtype=[("width", "<i4"), ("row", self.stored, (width,))], mode="r")
        other = np.flatnonzero(content["width"] != width)
        if len(other):
            raise InputError(
                f"{path}: row {other[0]:,} (counted from 0) has another width than {width:,}; write the file again"
            )
        return Source(content["row"], address=str(path), format=self.name, location=path, min_rows=min_rows)


def refuse_member(format: Format, location: Location, member: str | None) -> None:
    """Raise `InputError` if an array is selected in a file of a format that holds one."""
    if member is not None:
        raise InputError(f"{location}::{member}: files of {format.suffixes[0]} hold one array; leave out '::{member}'")
