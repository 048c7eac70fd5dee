"""Aligned rows as codes of a quantiser, which are computed block by block without a file of floats."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.align._cluster import RowForm
from isthmus.data.sources import Source, write_codes
from isthmus.utils.errors import InputError
from isthmus.utils.files import atomic_path
from isthmus.utils.paths import check_writable

#: Kinds of codes.
KINDS = ("int8", "uint8", "binary")


class AlignedRows:
    """Rows of a source in the form of an aligner, which are computed when they are read.

    Parameters
    ----------
    form : RowForm
        Form of the rows.
    source : Source
        Rows of one modality.
    """

    def __init__(self, form: RowForm, source: Source):
        self.form, self.source = form, source
        first = form.rows(source.read(0, 1))
        self.shape, self.dtype = (source.shape[0], first.shape[1]), first.dtype
        self.random_access = source.random_access

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key[0] if isinstance(key, tuple) else key
        rows = self.source.read(key.start, key.stop) if isinstance(key, slice) else self.source.take(key)
        return self.form.rows(rows)


def ranges_path(path: str | os.PathLike[str]) -> Path:
    """Return the name of the file of ranges beside a file of codes.

    >>> str(ranges_path("images.npy"))
    'images.ranges.npy'
    """
    return Path(path).with_suffix(".ranges.npy")


def write_aligned_codes(
    form: RowForm,
    source: Source,
    path: Path,
    codes: str,
    ranges: Any,
    progress: Callable[[int, int, str], None] | None,
) -> tuple[int, int]:
    """Write the rows of a source in the form of an aligner as codes, and return the shape of the aligned rows.

    Unless `ranges` are given, those of these rows are written beside the codes.
    """
    if codes not in KINDS:
        raise InputError(f"codes={codes!r}, expected {', '.join(KINDS)} (--codes)")
    is_binary = codes == "binary"
    if is_binary and ranges is not None:
        raise InputError("ranges are for int8 and uint8 codes, and binary codes are signs; leave the ranges out")
    if not is_binary and ranges is None:
        check_writable(ranges_path(path))
    aligned = AlignedRows(form, source)
    rows = Source(aligned, address=source.address, min_rows=0)
    options: dict[str, Any] = {"bits": True} if is_binary else {"dtype": codes, "ranges": ranges}
    measured = write_codes(rows, path, **options, progress=progress)
    if measured is not None and ranges is None:
        with atomic_path(ranges_path(path)) as temporary, temporary.open("wb") as file:
            np.save(file, measured)
    return aligned.shape
