"""NumPy's .npy: memory-mapped, C or Fortran order, float16/32/64, either byte order; never unpickled."""

from __future__ import annotations

import io
import tokenize
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from isthmus.data.sources._base import Put, RowFile, Source, Writer
from isthmus.utils import validation
from isthmus.utils.errors import InputError

SUFFIXES = (".npy",)
MAGIC = b"\x93NUMPY"
CARRIES_ON = True
#: Bytes that a header may take: NumPy refuses longer ones.
LONGEST_HEADER = 10_016
#: What NumPy's header parser raises on bytes that are no header.
_BROKEN = (ValueError, EOFError, OverflowError, SyntaxError, MemoryError, RecursionError, TypeError, KeyError)


def mapped(path: Path, *, where: str, offset: int = 0, size: int | None = None, min_rows: int = 2) -> np.ndarray:
    """Map the array whose .npy bytes begin at `offset` of `path` and end after `size` bytes."""
    end = path.stat().st_size if size is None else offset + size
    with path.open("rb") as file:
        file.seek(offset)
        shape, fortran, dtype = read_header(file, where)
        begin = file.tell()
    validation.check_float_dtype(dtype, where)
    validation.check_matrix_shape(shape, where, min_rows=min_rows)
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if end - begin < needed:
        raise InputError(
            f"{where}: is truncated: its header announces {needed:,} bytes of data for shape {shape}, "
            f"{max(end - begin, 0):,} are there; copy or save the file again"
        )
    if not needed:  # nothing cannot be mapped
        return np.empty(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=begin, shape=shape, order="F" if fortran else "C")


def read_header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    readers: dict[tuple[int, int], Any] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise ValueError(f"npy version {version} is only written for arrays with named fields")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers of Python 2 are read, and warned of
            return readers[version](file)
    except (*_BROKEN, tokenize.TokenError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(f"{where}: is not a complete .npy file ({reason}); save it with numpy.save") from None


def open_source(place: Path, member: str | None, min_rows: int = 2) -> Source:
    """The source in the .npy file `place`, which holds one array and therefore has no members."""
    if member is not None:
        raise InputError(f"{place}::{member}: an .npy file holds one array; leave out '::{member}'")
    rows = mapped(place, where=str(place), min_rows=min_rows)
    return Source(rows, where=str(place), format="npy", place=place, min_rows=min_rows)


def writer(path: Path, shape: tuple[int, int], dtype: np.dtype, *, start: int = 0, source: Source) -> Writer:
    """Writes an .npy file of this shape and dtype in C order."""
    return RowFile(path, header(shape, dtype), shape, dtype, start)


def header(shape: tuple[int, int], dtype: np.dtype) -> bytes:
    """The first bytes of an .npy file."""
    text = io.BytesIO()
    about = {"descr": dtype.newbyteorder("<").str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(text, about)
    return text.getvalue()


def into(rows: np.ndarray) -> Put:
    """The function that puts a block of rows at its place in the mapped `rows`."""

    def put(start: int, block: np.ndarray) -> None:
        rows[start : start + len(block)] = block

    return put
