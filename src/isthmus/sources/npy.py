"""NumPy's .npy: memory-mapped, C or Fortran order, float16/32/64, either byte order; never unpickled."""

from __future__ import annotations

import tokenize
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from isthmus import checks
from isthmus.checks import InputError
from isthmus.sources._base import Source, Write

SUFFIXES = (".npy",)
MAGIC = b"\x93NUMPY"
#: Whether a writer can go on with an unfinished file, and whether it writes a folder.
RESUMES, FOLDER = True, False
#: Bytes that a header may take: NumPy refuses longer ones.
LONGEST_HEADER = 10_016
#: What NumPy's header parser raises on bytes that are no header.
_BROKEN = (ValueError, EOFError, OverflowError, SyntaxError, MemoryError, RecursionError, TypeError, KeyError)


def mapped(path: Path, *, where: str, offset: int = 0, size: int | None = None, least: int = 2) -> np.ndarray:
    """The array (at least `least` rows) whose .npy bytes begin at `offset` of `path` and end after `size` bytes, mapped
    and not read."""
    end = path.stat().st_size if size is None else offset + size
    with path.open("rb") as file:
        file.seek(offset)
        shape, fortran, dtype = header(file, where)
        begin = file.tell()
    checks.floats(dtype, where)
    checks.matrix(shape, where, least=least)
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if end - begin < needed:
        raise InputError(
            f"{where}: is truncated: its header announces {needed:,} bytes of data for shape {shape}, "
            f"{max(end - begin, 0):,} are there; copy or save the file again"
        )
    if not needed:  # nothing cannot be mapped
        return np.empty(shape, dtype=dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=begin, shape=shape, order="F" if fortran else "C")


def header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
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


def open_source(place: Path, member: str | None, least: int = 2) -> Source:
    """The source in the .npy file `place`, which holds one array and therefore has no members."""
    if member is not None:
        raise InputError(f"{place}::{member}: an .npy file holds one array; leave out '::{member}'")
    rows = mapped(place, where=str(place), least=least)
    return Source(rows, where=str(place), format="npy", place=place, least=least)


@contextmanager
def writer(
    part: Path, *, like: Source | None, dtype: np.dtype, shape: tuple[int, int], new: bool = True
) -> Iterator[Write]:
    """Writes blocks of rows anywhere into a mapped file, which is there already unless it is `new`."""
    if new:
        rows = np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
    else:
        rows = np.lib.format.open_memmap(part, mode="r+")
    yield into(rows)
    rows.flush()


def into(rows: np.ndarray) -> Write:
    """The function that puts a block of rows at a place of the mapped `rows` and sees it on the disk."""

    def write(start: int, block: np.ndarray) -> None:
        rows[start : start + len(block)] = block

    return write
