"""The .u8bin format of the billion-scale benchmarks of nearest neighbours."""

from __future__ import annotations

import numpy as np

from isthmus.data.sources._registry import register
from isthmus.data.sources._vector_files import BinFormat


@register
class U8bin(BinFormat):
    """Big-ANN's .u8bin: the numbers of rows and columns as uint32, then rows of uint8 codes, which need their scale."""

    name = "u8bin"
    suffixes = (".u8bin",)
    dtypes = ("uint8",)
    stored = np.dtype("uint8")
