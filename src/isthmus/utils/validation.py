"""Checks of arguments and files, with their messages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from isthmus.utils.errors import InputError

#: What to give where rows are read.
EMBEDDINGS = (
    "the path of an embedding file (.npy, .parquet, .h5 ...; see `isthmus list sources`) or of a folder of shards"
)


def check_readable(path: str | os.PathLike[str], expected: str = EMBEDDINGS) -> Path:
    """`path` as a `Path` that exists and can be read; `expected` says what to give where there is none."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder; give {expected}")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: cannot be read; check its permissions")
    return path


def check_writable(path: str | os.PathLike[str]) -> Path:
    """`path` as a `Path` whose folder exists and takes new files; nothing is created."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: is a folder, a file name was expected")
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"{path}: cannot be written because the folder {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise InputError(f"{path}: cannot be written; check the permissions of {folder}")
    return path


def check_float_dtype(dtype: np.dtype, where: str) -> None:
    """Refuse a dtype that is not float16, float32 or float64."""
    if dtype.kind == "O":
        raise InputError(f"{where}: holds Python objects (pickled), which are never loaded; save a plain float array")
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise InputError(f"{where}: has dtype {dtype}, expected float16, float32 or float64; convert it with .astype")


def check_matrix_shape(shape: Sequence[int], where: str, *, min_rows: int = 2) -> None:
    """Refuse a shape that is not (n, d) with n >= `min_rows` (0 for a shard, else 2) and d >= 2."""
    shape = tuple(int(s) for s in shape)
    if len(shape) != 2:
        raise InputError(f"{where}: has shape {shape}, expected two dimensions (rows, width)")
    if shape[0] < 0 or shape[0] == 0 < min_rows:
        raise InputError(f"{where}: is empty (shape {shape}), expected at least two rows")
    if shape[0] == 1 < min_rows:
        raise InputError(f"{where}: has one row (shape {shape}), expected at least two")
    if shape[0] and shape[1] < 2:
        raise InputError(f"{where}: has width {shape[1]}, expected at least two columns")


def check_same_length(n_x: int, n_y: int, where_x: str, where_y: str) -> None:
    """Refuse two sides of different lengths."""
    if n_x != n_y:
        raise InputError(
            f"{where_x} has {n_x:,} rows and {where_y} has {n_y:,}: row i of one must be the partner of "
            "row i of the other; give files of one length, or the index of several partners (--index FILE.npy)"
        )


def check_labels(shape: tuple[int, ...], rows: int, name: str) -> None:
    """Refuse labels, an array of this shape, that are not one for each row."""
    if shape != (rows,):
        came = f"{shape[0]:,} entries" if len(shape) == 1 else f"shape {shape}"
        raise InputError(f"labels has {came}, expected one for each of the {rows:,} rows of {name}")


def check_same_dim(d_x: int, d_y: int, where_x: str, where_y: str) -> None:
    """Refuse two sides of different widths."""
    if d_x != d_y:
        raise InputError(
            f"{where_x} has width {d_x} and {where_y} has width {d_y}: both must come from the shared "
            "space of one model"
        )


def format_rows(rows: np.ndarray, most: int = 5) -> str:
    """'row 3', 'rows 3, 8', 'rows 3, 8, 9, 10, 11 and 20 more'."""
    shown = ", ".join(str(int(r)) for r in rows[:most])
    more = f" and {len(rows) - most:,} more" if len(rows) > most else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"


def invalid_rows(where: str, non_finite: np.ndarray, zero: np.ndarray, *, paired: bool = True) -> InputError:
    """The error for rows that have no direction, in one of two files of pairs or in a file by itself."""
    bad, one, several = (
        (non_finite, "holds NaN or infinite values", "hold NaN or infinite values")
        if len(non_finite)
        else (zero, "is all zeros and has no direction", "are all zeros and have no direction")
    )
    return InputError(
        f"{where}: {format_rows(bad)} (counted from 0) of the file {several if len(bad) > 1 else one}; "
        f"remove {'these pairs from both files' if paired else 'them'} or embed them again"
    )
