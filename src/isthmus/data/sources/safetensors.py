"""The .safetensors format of Hugging Face."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import IO, Any

import numpy as np

from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._members import check_has_matrix, member_name, select_member
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source, from_bfloat16, same_format
from isthmus.data.sources._writers import RawRowsWriter, Writer
from isthmus.utils import errors, validation
from isthmus.utils.errors import InputError, unknown_name

_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}
#: Codes of a quantiser, which are decoded later.
_CODES = {"I8": "i1", "U8": "u1"}
_INTEGERS = {"I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1"}


@register
class Safetensors(Format):
    """Hugging Face's .safetensors: each tensor memory-mapped in place, in F16, F32, F64 or BF16."""

    name = "safetensors"
    suffixes = (".safetensors",)
    supports_resume = True

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the tensor `member` of the file, or its only matrix of floats."""
        path: Any = location
        header, begin = _read_header(path)
        ranks = {n: len(i["shape"]) for n, i in header.items() if member is None and i["dtype"] in _DTYPES}
        codes = [n for n, i in header.items() if i["dtype"] in _CODES and len(i["shape"]) == 2 and member is None]
        candidates = [n for n, rank in ranks.items() if rank == 2] or [n for n, rank in ranks.items() if rank == 3]
        check_has_matrix(path, candidates or codes, list(header), member)
        name = select_member(path, candidates or codes or list(header), member)
        address, info = f"{path}::{name}", header[name]
        if info["dtype"] not in _DTYPES | _CODES:
            raise InputError(f"{address}: has dtype {info['dtype']}, expected F16, BF16, F32 or F64; convert it first")
        validation.check_matrix_shape(info["shape"], address, min_rows=min_rows)

        def keys(key: str) -> Any:
            columns = [n for n, i in header.items() if i["dtype"] in _INTEGERS and len(i["shape"]) == 1]
            if key not in columns:
                raise unknown_name(f"tensor of keys in {path}", key, columns)
            return _memory_map(path, header[key], begin)

        bfloat16 = info["dtype"] == "BF16"
        return Source(
            _memory_map(path, info, begin),
            address=address,
            format=self.name,
            dtype="bfloat16" if bfloat16 else None,
            convert=from_bfloat16 if bfloat16 else None,
            location=path,
            member=name,
            keys=keys,
            min_rows=min_rows,
        )

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of the first tensor of a file. The other tensors are those of `source`."""
        name = "rows" if source is None else member_name(source)
        return _TensorWriter(path, shape, dtype, start, same_format(source, self.name), name)


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the table of tensors, and the byte where their data begin."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass  # the library checks the header: sizes, overlaps, bounds
    except (SafetensorError, OSError) as error:
        raise errors.incomplete_file(path, "safetensors file", error, "save it again") from None
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def _memory_map(path: Path, info: dict[str, Any], begin: int) -> np.ndarray:
    dtype, shape = np.dtype((_DTYPES | _INTEGERS)[info["dtype"]]), tuple(info["shape"])
    if 0 in shape:
        return np.empty(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=begin + info["data_offsets"][0], shape=shape)


class _TensorWriter(RawRowsWriter):
    """Write a tensor in blocks, and behind it the other tensors of the file of `template`."""

    def __init__(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, start: int, template: Source | None, name: str
    ):
        header, begin = ({}, 0) if template is None else _read_header(template.location)
        n_bytes = shape[0] * shape[1] * dtype.itemsize
        codes = {np.dtype(numpy_code).name: code for code, numpy_code in _DTYPES.items() if code != "BF16"}
        table: dict[str, Any] = {name: {"dtype": codes[dtype.name], "shape": list(shape), "data_offsets": [0, n_bytes]}}
        self._copied: list[tuple[Path, int, int]] = []
        end = n_bytes
        for tensor, info in header.items():
            if tensor != name and template is not None:
                first, last = info["data_offsets"]
                table[tensor] = {**info, "data_offsets": [end, end + last - first]}
                self._copied.append((template.location, begin + first, last - first))
                end += last - first
        text = json.dumps(table).encode()
        text = struct.pack("<Q", len(text) + -len(text) % 8) + text + b" " * (-len(text) % 8)
        super().__init__(path, text, shape, dtype, start)
        self._rows_end = len(text) + n_bytes

    def close(self) -> None:
        if self.file.tell() == self._rows_end:
            for path, begin, n_bytes in self._copied:
                _copy_bytes(path, begin, n_bytes, self.file)
        super().close()


def _copy_bytes(path: Any, begin: int, n_bytes: int, target: IO[bytes]) -> None:
    with path.open("rb") as file:
        file.seek(begin)
        while n_bytes:
            chunk = file.read(min(n_bytes, 2**20))
            target.write(chunk)
            n_bytes -= len(chunk)
