"""Rows without a header, whose dtype and width the caller gives."""

from __future__ import annotations

from typing import Any

import numpy as np

from isthmus.data.sources._foreign import check_raw, first_bytes
from isthmus.data.sources._locations import Location, RemotePath
from isthmus.data.sources._registry import formats
from isthmus.data.sources._source import Source, from_bfloat16
from isthmus.utils.errors import InputError

#: Names that NumPy takes for 64-bit numbers, and other libraries for 32-bit ones.
AMBIGUOUS = ("float",)


def open_raw(location: Location, raw: str, *, min_rows: int = 2) -> Source:
    """Map a file of rows without a header, given `raw` such as 'float32:512': dtype and width."""
    name, _, width_text = str(raw).partition(":")
    try:
        dtype, width = np.dtype("<u2" if name == "bfloat16" else name), int(width_text)
    except (TypeError, ValueError):
        dtype, width = np.dtype(object), 0
    if name in AMBIGUOUS:
        raise InputError(
            f"raw={raw!r}: {name} has no size, expected a dtype such as float32:{width} or float64:{width}"
        )
    if not (dtype.kind == "f" or dtype.itemsize == 1 or name == "bfloat16") or dtype.kind not in "fiu" or width < 1:
        raise InputError(f"raw={raw!r}: expected a dtype and a width, such as float32:512 or int8:1024 (--raw)")
    path: Any = location
    if isinstance(location, RemotePath) or path.is_dir():
        raise InputError(f"{location}: rows without a header are read from one local file; copy or join them")
    head = first_bytes(path)
    check_raw(path, head)
    other = next((format for format in formats.values() if format.matches(head)), None)
    if other is not None:
        raise InputError(f"{location}: is a file of the format {other.name!r}; leave out --raw (raw=)")
    size, row_bytes = path.stat().st_size, width * dtype.itemsize
    if size == 0 or size % row_bytes:
        raise InputError(
            f"{location}: {size:,} bytes are no rows of {row_bytes:,} bytes ({raw}); check the dtype and width"
        )
    rows: Any = np.memmap(path, dtype=dtype, mode="r", shape=(size // row_bytes, width))
    bfloat16 = name == "bfloat16"
    return Source(
        rows,
        address=str(location),
        format=f"raw {raw}",
        dtype="bfloat16" if bfloat16 else None,
        convert=from_bfloat16 if bfloat16 else None,
        location=location,
        min_rows=min_rows,
    )
