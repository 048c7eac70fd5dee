"""Hugging Face's .safetensors: each tensor memory-mapped in place; F16, F32, F64 and BF16."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from isthmus.data.sources._base import RowFile, Source, Writer, alike, bfloat16
from isthmus.data.sources._members import choose, member_name
from isthmus.utils import validation
from isthmus.utils.errors import InputError, unknown_name

SUFFIXES = (".safetensors",)
MAGIC = None  # the file begins with a number
CARRIES_ON = True
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}
_INTEGERS = {"I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1"}


def open_source(place: Path, member: str | None, min_rows: int = 2) -> Source:
    """The source in tensor `member` of the file `place`; the only matrix when there is one."""
    header, begin = _header(place)
    fit = [n for n, i in header.items() if member is None and i["dtype"] in _DTYPES and len(i["shape"]) == 2]
    name = choose(place, fit or list(header), member)
    where, info = f"{place}::{name}", header[name]
    if info["dtype"] not in _DTYPES:
        raise InputError(f"{where}: has dtype {info['dtype']}, expected F16, BF16, F32 or F64; convert it first")
    validation.check_matrix_shape(info["shape"], where, min_rows=min_rows)
    rows = _mapped(place, info, begin)

    def keys(key: str) -> Any:
        fit = [n for n, i in header.items() if i["dtype"] in _INTEGERS and len(i["shape"]) == 1]
        if key not in fit:
            raise unknown_name(f"tensor of keys in {place}", key, fit)
        return _mapped(place, header[key], begin)

    about: dict[str, Any] = {"where": where, "format": "safetensors", "place": place, "member": name, "keys": keys}
    if info["dtype"] == "BF16":
        return Source(rows, dtype="bfloat16", convert=bfloat16, min_rows=min_rows, **about)
    return Source(rows, min_rows=min_rows, **about)


def _header(place: Path) -> tuple[dict[str, Any], int]:
    """What the file says of its tensors, and where their bytes begin."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(place, framework="np"):
            pass  # the library checks the header: sizes, overlaps, bounds
    except (SafetensorError, OSError) as error:
        raise InputError(f"{place}: is not a complete safetensors file ({error}); save it again") from None
    with place.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def _mapped(place: Path, info: dict[str, Any], begin: int) -> np.ndarray:
    dtype, shape = np.dtype((_DTYPES | _INTEGERS)[info["dtype"]]), tuple(info["shape"])
    if 0 in shape:
        return np.empty(shape, dtype=dtype)
    return np.memmap(place, dtype=dtype, mode="r", offset=begin + info["data_offsets"][0], shape=shape)


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes the rows as the first tensor of a new file; the others are those of a source of this format."""
    return _Tensors(path, shape, dtype, start, alike(source, "safetensors"), member_name(source))


class _Tensors(RowFile):
    """A tensor that is written in blocks, and behind it the other tensors of the file `like`."""

    def __init__(self, path: Path, shape: tuple[int, int], dtype: np.dtype, start: int, like: Source | None, name: str):
        header, begin = ({}, 0) if like is None else _header(like.place)
        size = shape[0] * shape[1] * dtype.itemsize
        names = {np.dtype(code).name: known for known, code in _DTYPES.items() if known != "BF16"}
        table: dict[str, Any] = {name: {"dtype": names[dtype.name], "shape": list(shape), "data_offsets": [0, size]}}
        self._others: list[tuple[Path, int, int]] = []
        end = size
        for other, about in header.items():
            if other != name and like is not None:
                first, last = about["data_offsets"]
                table[other] = {**about, "data_offsets": [end, end + last - first]}
                self._others.append((like.place, begin + first, last - first))
                end += last - first
        text = json.dumps(table).encode()
        text = struct.pack("<Q", len(text) + -len(text) % 8) + text + b" " * (-len(text) % 8)
        super().__init__(path, text, shape, dtype, start)
        self._end = len(text) + size

    def close(self) -> None:
        if self.file.tell() == self._end:
            for place, begin, size in self._others:
                _copy(place, begin, size, self.file)
        super().close()


def _copy(place: Any, begin: int, size: int, target: IO[bytes]) -> None:
    with place.open("rb") as source:
        source.seek(begin)
        while size:
            piece = source.read(min(size, 2**20))
            target.write(piece)
            size -= len(piece)
