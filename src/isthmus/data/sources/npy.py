"""The .npy format of NumPy."""

from __future__ import annotations

import io
import tokenize
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from isthmus.data.sources._format import Format
from isthmus.data.sources._locations import Location
from isthmus.data.sources._registry import register
from isthmus.data.sources._source import Source
from isthmus.data.sources._writers import RawRowsWriter, Writer
from isthmus.utils import validation
from isthmus.utils.errors import InputError

#: Bytes that a header may take: NumPy refuses longer ones.
MAX_HEADER_BYTES = 10_016
#: Errors that NumPy's header parser raises on bytes that are no header.
_PARSE_ERRORS = (ValueError, EOFError, OverflowError, SyntaxError, MemoryError, RecursionError, TypeError, KeyError)


@register
class Npy(Format):
    """NumPy's .npy: memory-mapped, C or Fortran order, float16/32/64, either byte order, never unpickled."""

    name = "npy"
    suffixes = (".npy",)
    magic = b"\x93NUMPY"
    supports_resume = True

    def open_source(self, location: Location, member: str | None = None, *, min_rows: int = 2) -> Source:
        """Open the array of the file."""
        rows = memory_map(location, address=str(location), min_rows=min_rows)
        if member is not None:
            raise InputError(f"{location}::{member}: an .npy file holds one array; leave out '::{member}'")
        return Source(rows, address=str(location), format=self.name, location=location, min_rows=min_rows)

    def writer(
        self, path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source | None = None
    ) -> Writer:
        """Return a writer of an .npy file in C order."""
        return RawRowsWriter(path, header_bytes(shape, dtype), shape, dtype, start)


def memory_map(
    path: Any, *, address: str, offset: int = 0, n_bytes: int | None = None, min_rows: int = 2
) -> np.ndarray:
    """Map the array whose .npy bytes begin at `offset` of `path`, without reading it.

    `n_bytes` is the length of header and data, by default up to the end of the file.
    """
    end = path.stat().st_size if n_bytes is None else offset + n_bytes
    with path.open("rb") as file:
        file.seek(offset)
        shape, fortran, dtype = read_header(file, address)
        begin = file.tell()
    validation.check_float_dtype(dtype, address, codes=True)
    validation.check_matrix_shape(shape, address, min_rows=min_rows)
    data_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if end - begin < data_bytes:
        raise InputError(
            f"{address}: is truncated: its header states {data_bytes:,} bytes of data for shape {shape}, "
            f"{max(end - begin, 0):,} are there; copy or save the file again"
        )
    if not data_bytes:  # an empty array cannot be mapped
        return np.empty(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=begin, shape=shape, order="F" if fortran else "C")


def read_header(file: IO[bytes], address: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read shape, Fortran order and dtype from the .npy header at the position of `file`."""
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise ValueError(f"npy version {version} is only written for arrays with named fields")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy reads headers of Python 2 with a warning
            return readers[version](file)
    except (*_PARSE_ERRORS, tokenize.TokenError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(f"{address}: is not a complete .npy file ({reason}); save it with numpy.save") from None


def header_bytes(shape: tuple[int, int], dtype: np.dtype) -> bytes:
    """Return the header of an .npy file in C order."""
    buffer = io.BytesIO()
    header = {"descr": dtype.newbyteorder("<").str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()
