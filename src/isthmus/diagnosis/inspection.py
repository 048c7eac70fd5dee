"""Inspection of embedding files: their content and their invalid rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.resources import block_rows, n_threads
from isthmus.compute.rows import row_norms
from isthmus.compute.threads import map_ahead
from isthmus.data.hashing import hash_rows
from isthmus.data.sources import Source
from isthmus.statistics.degeneracy import find_collapse
from isthmus.statistics.result import NAN
from isthmus.utils.progress import report_progress

#: Rows that are compared for duplicates. Eight bytes of each are kept.
MAX_COMPARED_ROWS = 10_000_000
#: Rows that are searched for a collapse, and the fewest for it.
MAX_SAMPLED_ROWS, MIN_ROWS = 2_000, 6
#: Blocks after which the progress is reported.
PROGRESS_BLOCKS = 16
#: Row numbers that an inspection lists.
MAX_LISTED_ROWS = 5


@dataclass(frozen=True)
class Inspection:
    """Sizes, norms and invalid rows of one source.

    Parameters
    ----------
    where : str
        File and member.
    format : str
        Name of the format.
    rows : int
        Number of rows n.
    width : int
        Number of columns d.
    dtype : str
        Name of the dtype.
    norm_low : float
        Smallest Euclidean norm of a valid row. NaN if no row is valid.
    norm_mean : float
        Mean norm of the valid rows.
    norm_high : float
        Largest norm of a valid row.
    non_finite : int
        Number of rows with NaN or infinite values.
    non_finite_rows : list of int
        Numbers of the first five of them.
    zero : int
        Number of rows that are all zero.
    zero_rows : list of int
        Numbers of the first five of them.
    duplicates : int
        Number of rows that equal an earlier row, among `rows_compared`.
    rows_compared : int
        Number of rows, from the first on, that were compared.
    collapse : str
        How the rows are collapsed, judged by at most 2,000 of them: all or nearly the same, along one direction, or
        in few directions. Empty if they are not.

    Examples
    --------
    >>> import numpy as np
    >>> report = inspect(Source(np.array([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]]), address="x"))
    >>> report.norm_mean, report.zero_rows, report.duplicates
    (5.0, [2], 1)
    """

    where: str
    format: str
    rows: int
    width: int
    dtype: str
    norm_low: float
    norm_mean: float
    norm_high: float
    non_finite: int
    non_finite_rows: list[int]
    zero: int
    zero_rows: list[int]
    duplicates: int
    rows_compared: int
    collapse: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns
        -------
        dict
            One entry per field, NaN as None.
        """
        return _plain_fields(self)


def inspect(source: Source, /) -> Inspection:
    """Read every row of a source once, in blocks, and describe them.

    Parameters
    ----------
    source : Source
        Rows (n, d).

    Returns
    -------
    Inspection
        Sizes, norms, invalid rows and duplicates.

    Examples
    --------
    >>> import numpy as np
    >>> inspect(Source(np.eye(3), address="x")).norm_high
    1.0
    """
    low, high, total, n_valid = math.inf, -math.inf, 0.0, 0
    non_finite: list[np.ndarray] = []
    zero: list[np.ndarray] = []
    hashes: list[np.ndarray] = []
    size = block_rows(source.shape[1])
    starts = range(0, source.shape[0], size)

    def blocks() -> Iterator[tuple[int, np.ndarray]]:
        for number, start in enumerate(starts):
            if number % PROGRESS_BLOCKS == 0:
                report_progress(start, source.shape[0], "reading rows")
            yield start, to_numpy(source.read(start, start + size))

    for start, block in zip(starts, map_ahead(_inspect_block, blocks(), n_threads()), strict=True):
        non_finite.append(start + block.non_finite)
        zero.append(start + np.flatnonzero(block.norms == 0))
        valid_norms = block.norms[block.norms > 0]
        if len(valid_norms):
            low, high = min(low, float(valid_norms.min())), max(high, float(valid_norms.max()))
            total, n_valid = total + float(valid_norms.sum()), n_valid + len(valid_norms)
        if block.hashes is not None:
            hashes.append(block.hashes)
    compared = np.concatenate(hashes)
    non_finite_rows, zero_rows = np.concatenate(non_finite), np.concatenate(zero)
    return Inspection(
        where=source.address,
        format=source.format,
        rows=source.shape[0],
        width=source.shape[1],
        dtype=source.dtype,
        norm_low=low if n_valid else NAN,
        norm_mean=total / n_valid if n_valid else NAN,
        norm_high=high if n_valid else NAN,
        non_finite=len(non_finite_rows),
        non_finite_rows=non_finite_rows[:MAX_LISTED_ROWS].tolist(),
        zero=len(zero_rows),
        zero_rows=zero_rows[:MAX_LISTED_ROWS].tolist(),
        duplicates=len(compared) - len(np.unique(compared)),
        rows_compared=len(compared),
        collapse=_collapse(source),
    )


@dataclass(frozen=True)
class _Block:
    """Norms of the rows, NaN where a value is not finite, numbers of those rows, and hashes."""

    norms: np.ndarray
    non_finite: np.ndarray
    hashes: np.ndarray | None


def _inspect_block(numbered: tuple[int, np.ndarray]) -> _Block:
    """Return what is counted of a block of rows, given its first row number and the rows."""
    start, rows = numbered
    norms = row_norms(rows)
    suspects = np.flatnonzero(~np.isfinite(norms))  # a finite norm has finite values
    non_finite = suspects[~np.isfinite(rows[suspects]).all(axis=1)]
    norms[non_finite] = np.nan
    return _Block(norms, non_finite, hash_rows(rows) if start < MAX_COMPARED_ROWS else None)


def _collapse(source: Source) -> str:
    """Return how a sample of the rows is collapsed, or ''."""
    n_rows = source.shape[0]
    numbers = np.linspace(0, n_rows - 1, min(n_rows, MAX_SAMPLED_ROWS)).astype(np.int64)
    rows = to_numpy(source.take(numbers)).astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1) & rows.any(axis=1)]
    return "" if len(rows) < MIN_ROWS else find_collapse(unit_rows(rows), PurePath(source.address).name)


def _plain_fields(report: Inspection) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(report).items()}
