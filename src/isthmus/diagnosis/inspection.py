"""Inspection of embedding files: their content and their invalid rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy, unit_rows
from isthmus.compute.resources import block_rows, n_threads
from isthmus.compute.rows import cache_sized_slices, row_norms
from isthmus.compute.threads import map_ahead
from isthmus.data.equal_rows import EqualRowSearch, ScannedRows
from isthmus.data.grouping import MAX_ROWS, N_FIRST_ROWS, remember_equal_rows
from isthmus.data.joins import select_rows
from isthmus.data.sources import Source
from isthmus.statistics.degeneracy import find_collapse
from isthmus.statistics.result import NAN
from isthmus.utils.progress import report_progress

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
        Number of valid rows that equal an earlier row, among `rows_compared`, as `find_equal_rows` defines equality.
    rows_compared : int
        Number of rows, from the first on, that were compared: all up to 5,000,000, else 1,000,000.
    collapse : str
        How the rows are collapsed, judged by at most 2,000 of them: all or nearly the same, along one direction, or
        in few directions. Empty if they are not.
    ragged : int
        Number of rows of another length than most. They are read as NaN, and count in `non_finite` too.
    ragged_rows : list of int
        Numbers of the first five of them.

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
    ragged: int = 0
    ragged_rows: list[int] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns
        -------
        dict
            One entry per field, NaN as None.
        """
        return _plain_fields(self)


@dataclass(frozen=True)
class PairedCosines:
    """Cosines of row i of one source with row i of the other, over all rows that are finite and not zero.

    Parameters
    ----------
    pairs : int
        Number of these rows.
    low : float
        Smallest cosine. NaN if there are no such rows.
    mean : float
        Mean cosine.
    high : float
        Largest cosine.

    Examples
    --------
    >>> PairedCosines(2, 0.25, 0.5, 0.75).to_dict()["mean"]
    0.5
    """

    pairs: int
    low: float
    mean: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        Returns
        -------
        dict
            One entry per field, NaN as None.
        """
        return _plain_fields(self)


def inspect(source: Source, /) -> Inspection:
    """Read every row of a source once, in blocks, and describe them. Rows that may be equal are read again.

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
    return _inspect_side_by_side([source])[0][0]


def inspect_pair(x: Source, y: Source, /) -> tuple[Inspection, Inspection, PairedCosines | None]:
    """Read every row of two sources once, and describe them and the cosines of row i with row i.

    Parameters
    ----------
    x, y : Source
        Rows (n, d) of each.

    Returns
    -------
    first, second : Inspection
        As from `inspect`.
    cosines : PairedCosines or None
        None if the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = (Source(rows, address="rows") for rows in (np.eye(3), np.eye(3)[[0, 2, 1]]))
    >>> inspect_pair(x, y)[2]
    PairedCosines(pairs=3, low=0.0, mean=0.3333333333333333, high=1.0)
    """
    if x.shape != y.shape:
        return inspect(x), inspect(y), None
    (first, second), cosines = _inspect_side_by_side([x, y])
    return first, second, cosines


def _inspect_side_by_side(sources: Sequence[Source]) -> tuple[list[Inspection], PairedCosines | None]:
    """Read the rows of one source, or of two of one shape, and return what is known of them and of their cosines."""
    n_rows, width = sources[0].shape
    size = max(block_rows(width) // len(sources), 1)
    tallies, cosines = [_Tally(source) for source in sources], _Range()
    searches = [tally.search for tally in tallies]
    n_compared = tallies[0].n_compared

    def inspect_rows(numbered: tuple[int, list[np.ndarray]]) -> tuple[list[_Block], np.ndarray | None]:
        start, tables = numbered
        blocks = [
            _inspect_block(rows, search, n_compared - start) for rows, search in zip(tables, searches, strict=True)
        ]
        norms = [block.norms for block in blocks]
        return blocks, _paired_cosines(tables[0], tables[1], norms[0] * norms[1]) if len(tables) == 2 else None

    def blocks() -> Iterator[tuple[int, list[np.ndarray]]]:
        for number, start in enumerate(range(0, n_rows, size)):
            if number % PROGRESS_BLOCKS == 0:
                report_progress(start, n_rows, "reading rows")
            yield start, [to_numpy(source.read(start, start + size)) for source in sources]

    for start, (inspected, block_cosines) in zip(
        range(0, n_rows, size), map_ahead(inspect_rows, blocks(), n_threads()), strict=True
    ):
        for tally, block in zip(tallies, inspected, strict=True):
            tally.add(start, block)
        if block_cosines is not None:
            cosines.add(block_cosines)
    reports = [tally.inspection() for tally in tallies]
    low, mean, high = cosines.values
    return reports, PairedCosines(cosines.count, low, mean, high) if len(sources) == 2 else None


class _Range:
    """Smallest, mean and largest of values that come in blocks."""

    def __init__(self) -> None:
        self.low, self.high, self.total, self.count = math.inf, -math.inf, 0.0, 0

    def add(self, values: np.ndarray) -> None:
        """Add a block of values."""
        if len(values):
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            self.total, self.count = self.total + float(values.sum()), self.count + len(values)

    @property
    def values(self) -> tuple[float, float, float]:
        """The three numbers, NaN without values."""
        return (self.low, self.total / self.count, self.high) if self.count else (NAN, NAN, NAN)


class _Tally:
    """Counts of one source, block by block."""

    def __init__(self, source: Source) -> None:
        n_rows = source.shape[0]
        self.source = source
        self.n_compared = n_rows if n_rows <= MAX_ROWS else N_FIRST_ROWS
        compared = source if self.n_compared == n_rows else select_rows(source, np.arange(self.n_compared))
        self.search = EqualRowSearch(compared)
        self.norms = _Range()
        self.non_finite: list[np.ndarray] = []
        self.zero: list[np.ndarray] = []

    def add(self, start: int, block: _Block) -> None:
        """Add a block, given the number of its first row."""
        self.non_finite.append(start + block.non_finite)
        self.zero.append(start + np.flatnonzero(block.norms == 0))
        self.norms.add(block.norms[block.norms > 0])
        if block.scanned is not None:
            self.search.add(block.scanned)

    def inspection(self) -> Inspection:
        """Return the inspection of the source."""
        source = self.source
        groups = self.search.groups()
        if self.n_compared == source.shape[0]:
            remember_equal_rows(source, groups)
        duplicates = 0 if groups is None else self.n_compared - int(groups.max()) - 1
        non_finite_rows, zero_rows = np.concatenate(self.non_finite), np.concatenate(self.zero)
        ragged_rows = np.empty(0, dtype=np.int64) if source.ragged is None else source.ragged.numbers
        low, mean, high = self.norms.values
        return Inspection(
            where=source.address,
            format=source.format,
            rows=source.shape[0],
            width=source.shape[1],
            dtype=source.dtype,
            norm_low=low,
            norm_mean=mean,
            norm_high=high,
            non_finite=len(non_finite_rows),
            non_finite_rows=non_finite_rows[:MAX_LISTED_ROWS].tolist(),
            zero=len(zero_rows),
            zero_rows=zero_rows[:MAX_LISTED_ROWS].tolist(),
            duplicates=duplicates,
            rows_compared=self.n_compared,
            collapse=_collapse(source),
            ragged=len(ragged_rows),
            ragged_rows=ragged_rows[:MAX_LISTED_ROWS].tolist(),
        )


@dataclass(frozen=True)
class _Block:
    """Norms of the rows, NaN where a value is not finite, numbers of those rows, and what finds equal rows."""

    norms: np.ndarray
    non_finite: np.ndarray
    scanned: ScannedRows | None


def _paired_cosines(x: np.ndarray, y: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the cosines of row i of `x` with row i of `y`, without rows of length zero or NaN."""
    products = np.empty(len(x))
    for rows in cache_sized_slices(x):
        first, second = (
            table[rows] if table.dtype.kind == "f" and table.itemsize > 2 else table[rows].astype(np.float32)
            for table in (x, y)
        )
        products[rows] = np.einsum("ij,ij->i", first, second)
    usable = (lengths > 0) & np.isfinite(products)
    cosines: np.ndarray = products[usable] / lengths[usable]
    return cosines


def _inspect_block(rows: np.ndarray, search: EqualRowSearch, n_compared: int) -> _Block:
    """Return what is counted of a block of rows, of which the first `n_compared` are searched for equal rows."""
    norms = row_norms(rows)
    suspects = np.flatnonzero(~np.isfinite(norms))  # a finite norm has finite values
    non_finite = suspects[~np.isfinite(rows[suspects]).all(axis=1)]
    norms[non_finite] = np.nan
    return _Block(norms, non_finite, search.scan(rows[:n_compared]) if n_compared > 0 else None)


def _collapse(source: Source) -> str:
    """Return how a sample of the rows is collapsed, or ''."""
    n_rows = source.shape[0]
    numbers = np.linspace(0, n_rows - 1, min(n_rows, MAX_SAMPLED_ROWS)).astype(np.int64)
    rows = to_numpy(source.take(numbers)).astype(np.float64)
    rows = rows[np.isfinite(rows).all(axis=1) & rows.any(axis=1)]
    return "" if len(rows) < MIN_ROWS else find_collapse(unit_rows(rows), PurePath(source.address).name)


def _plain_fields(report: Inspection | PairedCosines) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(report).items()}
