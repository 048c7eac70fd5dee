"""Hugging Face's .safetensors: each tensor memory-mapped in place; F16, F32, F64 and BF16."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

from isthmus import checks
from isthmus.checks import InputError
from isthmus.sources._base import RowFile, Source, Writer
from isthmus.sources._members import choose, member_name

SUFFIXES = (".safetensors",)
CARRIES_ON = True
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}


def open_source(path: Path, member: str | None) -> Source:
    """The source in tensor `member` of the file `path`; the only tensor when there is one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass  # the library checks the header: sizes, overlaps, bounds
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is not a complete safetensors file ({error}); save it again") from None
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    name = choose(path, list(header), member)
    where, info = f"{path}::{name}", header[name]
    if info["dtype"] not in _DTYPES:
        raise InputError(f"{where}: has dtype {info['dtype']}, expected F16, BF16, F32 or F64; convert it first")
    checks.matrix(info["shape"], where)
    rows = np.memmap(
        path,
        dtype=_DTYPES[info["dtype"]],
        mode="r",
        offset=8 + length + info["data_offsets"][0],
        shape=tuple(info["shape"]),
    )
    if info["dtype"] == "BF16":
        return Source(rows, where=where, format="safetensors", dtype="bfloat16", convert=_bfloat16)
    return Source(rows, where=where, format="safetensors")


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes one tensor, which has the name that it has in the source (else 'rows')."""
    names = {np.dtype(code).name: name for name, code in _DTYPES.items() if name != "BF16"}
    size = shape[0] * shape[1] * dtype.itemsize
    entry = {"dtype": names[dtype.name], "shape": list(shape), "data_offsets": [0, size]}
    header = json.dumps({member_name(source): entry}).encode()
    header += b" " * (-len(header) % 8)
    return RowFile(path, struct.pack("<Q", len(header)) + header, shape, dtype, start)


def _bfloat16(bits: np.ndarray) -> np.ndarray:
    # A bfloat16 is the upper half of a float32.
    return (bits.astype(np.uint32) << 16).view(np.float32)
