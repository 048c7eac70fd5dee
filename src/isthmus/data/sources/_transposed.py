"""Warning about a file whose columns, and not its rows, are unit vectors."""

from __future__ import annotations

import warnings

import numpy as np

from isthmus.data.sources._source import Source
from isthmus.utils.errors import IsthmusWarning

#: Fewest and most rows, which are the width of the items if a file is transposed, and rows and columns that are read.
MIN_ROWS, MAX_ROWS, CHECKED = 8, 8192, 64
#: Largest deviation of the length of unit vectors, which float16 may have.
TOLERANCE = 0.01


def warn_if_transposed(source: Source) -> None:
    """Warn if there are fewer rows than columns, and the columns are unit vectors and the rows are not."""
    rows = source.rows
    n_rows, width = source.shape
    is_read = isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype.kind == "f" and source.convert is None
    if not (is_read and MIN_ROWS <= n_rows < width and n_rows <= MAX_ROWS):
        return
    row_lengths = np.linalg.norm(rows[:CHECKED].astype(np.float64), axis=1)
    if np.all(np.abs(row_lengths - 1) <= TOLERANCE):
        return
    column_lengths = np.linalg.norm(rows[:, :CHECKED].astype(np.float64), axis=0)
    if np.all(np.abs(column_lengths - 1) <= TOLERANCE):
        warnings.warn(
            f"{source.address[-100:]}: has shape {source.shape} and looks transposed, because its columns are unit "
            "vectors and its rows are not; give the transpose, array.T, whose rows are the items",
            IsthmusWarning,
            stacklevel=4,
        )
