"""The .bvecs format of the benchmarks of nearest neighbours."""

from __future__ import annotations

import numpy as np

from isthmus.data.sources._registry import register
from isthmus.data.sources._vector_files import VecsFormat


@register
class Bvecs(VecsFormat):
    """TEXMEX's .bvecs: the width as int32 before each row of uint8 codes, which need their scale."""

    name = "bvecs"
    suffixes = (".bvecs",)
    dtypes = ("uint8",)
    stored = np.dtype(np.uint8)
