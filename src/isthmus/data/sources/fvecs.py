"""The .fvecs format of the benchmarks of nearest neighbours."""

from __future__ import annotations

from isthmus.data.sources._registry import register
from isthmus.data.sources._vector_files import VecsFormat


@register
class Fvecs(VecsFormat):
    """TEXMEX's .fvecs: the width as int32 before each row of float32, memory-mapped."""

    name = "fvecs"
    suffixes = (".fvecs",)
    dtypes = ("float32",)
