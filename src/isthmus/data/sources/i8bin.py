"""The .i8bin format of the billion-scale benchmarks of nearest neighbours."""

from __future__ import annotations

import numpy as np

from isthmus.data.sources._registry import register
from isthmus.data.sources._vector_files import BinFormat


@register
class I8bin(BinFormat):
    """Big-ANN's .i8bin: the numbers of rows and columns as uint32, then rows of int8 codes, which need their scale."""

    name = "i8bin"
    suffixes = (".i8bin",)
    dtypes = ("int8",)
    stored = np.dtype("int8")
