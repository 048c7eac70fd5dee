"""The .ibin format of the billion-scale benchmarks of nearest neighbours."""

from __future__ import annotations

import numpy as np

from isthmus.data.sources._registry import register
from isthmus.data.sources._vector_files import BinFormat


@register
class Ibin(BinFormat):
    """Big-ANN's .ibin: the numbers of rows and columns as uint32, then rows of int32 codes, which need their scale."""

    name = "ibin"
    suffixes = (".ibin",)
    dtypes = ("int32",)
    stored = np.dtype("<i4")
