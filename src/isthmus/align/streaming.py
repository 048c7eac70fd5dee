"""Apply an aligner to embeddings on disk, block by block, in constant memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from isthmus import checks
from isthmus.align._base import Aligner
from isthmus.arrays import to_numpy
from isthmus.checks import InputError
from isthmus.files import replacing
from isthmus.pairs import block_rows, find_bad_rows
from isthmus.sources import Source


def apply(aligner: Aligner, source: Source, path: str | os.PathLike[str], /, *, side: str) -> tuple[int, int]:
    """Write the aligned rows of `source` to the .npy file `path`, in order; returns its shape.

    `side` is 'x', 'y' or the name of the modality that the aligner was fitted on. The file appears whole or not at
    all. Errors: `InputError` for a side, width or output that does not fit, and for rows without a direction.
    """
    path = checks.writable(path)
    if path.suffix != ".npy":
        raise InputError(f"{path}: aligned rows are written as .npy; give a name that ends in .npy")
    if _same_file(source.where, path):
        raise InputError(f"{path}: is the file that is being read; choose another output")
    transform = (aligner.transform_x, aligner.transform_y)[side_number(aligner, side)]
    rows, size = source.shape[0], block_rows(source.shape[1])
    try:
        first = to_numpy(transform(to_numpy(source.read(0, min(size, rows)))))
        with replacing(path) as part:
            out = np.lib.format.open_memmap(part, mode="w+", dtype=first.dtype, shape=(rows, first.shape[1]))
            out[: len(first)] = first
            for start in range(size, rows, size):
                out[start : start + size] = transform(to_numpy(source.read(start, start + size)))
            out.flush()
    except InputError:
        non_finite, zero = find_bad_rows(source)
        if len(non_finite) or len(zero):
            raise checks.bad_rows(source.where, non_finite, zero) from None
        raise
    return rows, first.shape[1]


def side_number(aligner: Aligner, side: str) -> int:
    """0 for the first modality, 1 for the second."""
    known = {"x": 0, "y": 1}
    if aligner.names_ is not None:
        known.update({name: number for number, name in enumerate(aligner.names_)})
    if side not in known:
        names = (
            f"this aligner was fitted on {' and '.join(aligner.names_)}" if aligner.names_ else "its sides are x and y"
        )
        raise InputError(f"unknown side {side!r}: {names}")
    return known[side]


def _same_file(where: str, path: Path) -> bool:
    return path.exists() and Path(where).is_file() and path.samefile(where)
