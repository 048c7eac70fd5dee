"""The .fvecs format of the benchmarks of nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source
from isthmus.utils.errors import InputError


@register
class Fvecs(Format):
    """TEXMEX's .fvecs: the width as int32 before each row of float32, memory-mapped."""

    name = "fvecs"
    suffixes = (".fvecs",)
    dtypes = ("float32",)

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the rows of the file. The width that each row repeats is checked."""
        path: Any = location
        if member is not None:
            raise InputError(f"{path}::{member}: an .fvecs file holds one array; leave out '::{member}'")
        size = path.stat().st_size
        width = int(np.fromfile(path, dtype="<i4", count=1)[0]) if size >= 4 else 0
        if width < 1 or size % (4 * (width + 1)):
            raise InputError(
                f"{path}: is not a complete .fvecs file: {size:,} bytes are no rows of the width {width:,} that the "
                "first one announces; copy or write it again"
            )
        content = np.memmap(path, dtype="<f4", mode="r", shape=(size // (4 * (width + 1)), width + 1))
        other = np.flatnonzero(content.view("<i4")[:, 0] != width)
        if len(other):
            raise InputError(f"{path}: row {other[0]:,} (counted from 0) announces another width than {width:,}")
        return Source(content[:, 1:], address=str(path), format=self.name, location=path, min_rows=min_rows)
