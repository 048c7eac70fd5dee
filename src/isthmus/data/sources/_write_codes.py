"""Rows written as codes of a quantiser: 8 bits for each coordinate, or one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.compute import arrays
from isthmus.data.sources._codes import STEPS, read_ranges
from isthmus.data.sources._registry import formats
from isthmus.data.sources._source import Source
from isthmus.data.sources._stored_rows import block_size
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path

#: The lowest code of each type.
LOWEST_CODES = {"int8": -128, "uint8": 0}
#: Rows from which the ranges of the coordinates are measured, evenly spaced.
MAX_RANGE_ROWS = 10_000


def write_codes(
    rows: Any,
    path: str | os.PathLike[str],
    /,
    *,
    ranges: Any = None,
    bits: bool = False,
    dtype: str = "int8",
    progress: Callable[[int, int, str], None] | None = None,
) -> np.ndarray | None:
    """Write rows as 8-bit codes or as signs, in blocks.

    `open_source` reads them with `ranges` and ``rounding="down"``, or with `bits`. A code counts the 255 steps between
    the minimum and the maximum of its coordinate, rounded down, as in sentence-transformers from version 6. Numbers
    outside of the range get its end. Aligned rows need ranges of their own: quantise them after `apply`.

    Parameters
    ----------
    rows : Source or array-like of shape (n, d)
        Rows of floats.
    path : str or path-like
        File of codes (.npy), which is written atomically.
    ranges : array-like of shape (2, d) or path of an .npy file, optional
        Minimum and maximum of each coordinate. Default: those of up to 10,000 rows. Rows of all modalities of one
        index take the same.
    bits : bool, default False
        Write the signs, 8 coordinates a byte, instead. They need a number of coordinates that is a multiple of 8.
    dtype : {'int8', 'uint8'}, default 'int8'
        Type of the codes, which begin at -128 or at 0.
    progress : callable, optional
        Called as progress(finished rows, all rows, 'rows').

    Returns
    -------
    numpy.ndarray of shape (2, d) or None
        The ranges, to save beside the codes. None for bits.

    Raises
    ------
    InputError
        If the rows, the ranges or the name of the file do not fit.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from isthmus.data.sources import open_source
    >>> rows = np.random.default_rng(0).normal(size=(100, 8))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "codes.npy"
    ...     ranges = write_codes(rows, path)
    ...     decoded = open_source(path, ranges=ranges, rounding="down").read(0, 100)
    >>> bool(abs(decoded - rows).max() < 0.03)
    True
    """
    is_source = isinstance(rows, Source)
    table: Any = None if is_source else np.asarray(arrays.to_numpy(rows))
    shape = tuple(rows.shape if is_source else table.shape)
    if len(shape) != 2 or not shape[0] or (table is not None and table.dtype.kind != "f"):
        raise InputError(f"got rows of shape {shape}, expected floats (n, d)")
    n_rows, width = int(shape[0]), int(shape[1])
    if Path(path).suffix.lower() != ".npy":
        raise InputError(f"{path}: expected a name that ends in .npy")
    if bits and width % 8:
        raise InputError(
            f"rows have {width} coordinates, expected a multiple of 8 for bits; append zeros, or write int8 codes"
        )
    if dtype not in LOWEST_CODES:
        raise InputError(f"dtype={dtype!r}, expected 'int8' or 'uint8'")

    def read(begin: int, end: int) -> np.ndarray:
        return np.asarray(rows.read(begin, end) if is_source else table[begin:end], dtype=np.float64)

    if not bits:
        if ranges is None:
            numbers = np.unique(np.linspace(0, n_rows - 1, min(n_rows, MAX_RANGE_ROWS)).astype(np.int64))
            sample = np.asarray(rows.take(numbers) if is_source else table[numbers])
            sample = sample[np.isfinite(sample).all(axis=1)]  # other rows are refused below
            ranges = np.stack([sample.min(axis=0), sample.max(axis=0)]) if len(sample) else np.zeros((2, width))
        ranges = read_ranges(ranges, width, str(path))
        steps = np.where(ranges[1] > ranges[0], (ranges[1] - ranges[0]) / STEPS, 1.0)
    written_type, lowest = np.dtype(np.uint8 if bits else dtype), LOWEST_CODES[dtype]
    with atomic_path(path) as temporary:
        writer = formats["npy"].writer(temporary, (n_rows, width // 8 if bits else width), written_type)
        try:
            for begin in range(0, n_rows, block_size(2 * width)):
                block = read(begin, min(begin + block_size(2 * width), n_rows))
                if not np.isfinite(block).all():
                    raise InputError(f"rows from {begin:,} hold NaN or infinite values; remove or embed them again")
                if bits:
                    writer.write(np.packbits(block > 0, axis=1))
                else:
                    codes = np.floor((block - ranges[0]) / steps) + lowest
                    writer.write(np.clip(codes, lowest, lowest + STEPS).astype(written_type))
                if progress is not None:
                    progress(begin + len(block), n_rows, "rows")
        finally:
            writer.close()
    return None if bits else ranges
