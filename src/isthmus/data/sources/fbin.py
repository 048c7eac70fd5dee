"""The .fbin format of the billion-scale benchmarks of nearest neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source
from isthmus.data.sources._writers import RawRowsWriter, Writer
from isthmus.utils.errors import InputError


@register
class Fbin(Format):
    """Big-ANN's .fbin: the numbers of rows and columns as uint32, then rows of float32, memory-mapped."""

    name = "fbin"
    suffixes = (".fbin",)
    dtypes = ("float32",)
    supports_resume = True

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the rows of the file."""
        path: Any = location
        if member is not None:
            raise InputError(f"{path}::{member}: an .fbin file holds one array; leave out '::{member}'")
        size = path.stat().st_size
        n_rows, width = map(int, np.fromfile(path, dtype="<u4", count=2)) if size >= 8 else (0, 0)
        if size < 8 or size != 8 + 4 * n_rows * width:
            raise InputError(
                f"{path}: is not a complete .fbin file: it has {size:,} bytes, but its header announces {n_rows:,} x "
                f"{width:,} of float32; copy or write it again"
            )
        rows: Any = np.empty((n_rows, width), dtype=np.float32)
        if rows.size:
            rows = np.memmap(path, dtype="<f4", mode="r", offset=8, shape=(n_rows, width))
        return Source(rows, address=str(path), format=self.name, location=path, min_rows=min_rows)

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of the header and the rows."""
        return RawRowsWriter(path, np.array(shape, dtype="<u4").tobytes(), shape, dtype, start)
