"""The .fbin format of the billion-scale benchmarks of nearest neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source
from isthmus.data.sources._vector_files import BinFormat
from isthmus.data.sources._writers import RawRowsWriter, Writer


@register
class Fbin(BinFormat):
    """Big-ANN's .fbin: the numbers of rows and columns as uint32, then rows of float32, memory-mapped."""

    name = "fbin"
    suffixes = (".fbin",)
    dtypes = ("float32",)
    supports_resume = True

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of the header and the rows."""
        return RawRowsWriter(path, np.array(shape, dtype="<u4").tobytes(), shape, dtype, start)
