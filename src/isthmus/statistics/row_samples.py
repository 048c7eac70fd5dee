"""Samples of matching rows along a file: unit rows in blocks, and the rank of each pair among the rows around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import InvalidRowsError, RowNormalizer, to_numpy, unit_rows
from isthmus.data.sources import Source

#: Values of one modality that are read for a sample, and rows at most.
MAX_VALUES, MAX_ROWS = 2**23, 16_384
#: Consecutive rows that are read together if a file is longer.
CHUNK_ROWS = 64
#: Consecutive rows among which a pair is ranked.
BLOCK_ROWS = 32
#: Difference of two inner products of unit rows that is a tie.
TIE = 1e-6
#: Blocks whose scores are computed at a time.
_BLOCKS = 64


@dataclass(frozen=True)
class RowSample:
    """Unit rows of pairs along a file, without rows that are NaN, infinite or zero.

    Parameters
    ----------
    x, y : numpy.ndarray
        Unit rows (k, d), float32.
    numbers : numpy.ndarray
        Row numbers (k,), ascending.

    Examples
    --------
    >>> rows = Source(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]]), address="x")
    >>> RowSample.read(rows, rows, [(0, 3)]).numbers.tolist()
    [0, 2]
    """

    x: np.ndarray
    y: np.ndarray
    numbers: np.ndarray

    @classmethod
    def read(cls, x: Source, y: Source, ranges: Iterable[tuple[int, int]], /) -> RowSample:
        """Read ranges of rows of both sources.

        Parameters
        ----------
        x, y : Source
            Rows (n, d).
        ranges : iterable of tuple of int
            First row and the row after the last one of each range, ascending and disjoint.

        Returns
        -------
        RowSample
            The usable rows.
        """
        ranges = list(ranges)
        total, count = sum(stop - start for start, stop in ranges), 0
        table_x, table_y = (np.empty((total, source.shape[1]), dtype=np.float32) for source in (x, y))
        numbers = np.empty(total, dtype=np.int64)
        for start, stop in ranges:
            (unit_x, usable_x), (unit_y, usable_y) = (_unit_rows(source, start, stop) for source in (x, y))
            usable = np.flatnonzero(usable_x & usable_y)
            block = slice(count, count := count + len(usable))
            if len(usable) < len(usable_x):
                unit_x, unit_y = unit_x[usable], unit_y[usable]
            table_x[block], table_y[block], numbers[block] = unit_x, unit_y, start + usable
        return cls(table_x[:count], table_y[:count], numbers[:count])

    def centre(self, mean_x: np.ndarray, mean_y: np.ndarray) -> RowSample:
        """Subtract these means from the rows, in place: memory for a copy would take longer than the subtraction.

        Parameters
        ----------
        mean_x, mean_y : numpy.ndarray
            Means (d,).

        Returns
        -------
        RowSample
            This sample.
        """
        np.subtract(self.x, mean_x, out=self.x)
        np.subtract(self.y, mean_y, out=self.y)
        return self


def _unit_rows(source: Source, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit rows in float32, and whether each row has a direction."""
    rows = to_numpy(source.read(start, stop))
    try:
        with np.errstate(over="ignore"):
            return RowNormalizer("float32")(rows), np.ones(len(rows), dtype=bool)
    except InvalidRowsError:  # or rows of float64 that leave the range of float32
        with np.errstate(over="ignore", invalid="ignore"):
            unit = np.asarray(unit_rows(rows.astype(np.float64)), dtype=np.float32)
        return unit, np.logical_and(np.isfinite(unit).all(axis=1), unit.any(axis=1))


def sample_ranges(n: int, dim: int, ends: np.ndarray | None = None, /) -> list[tuple[int, int]]:
    """Return ranges of rows that cover a file evenly, with rows of every shard.

    Parameters
    ----------
    n : int
        Number of rows.
    dim : int
        Width of the rows.
    ends : numpy.ndarray, optional
        Row after the last one of each shard.

    Returns
    -------
    list of tuple of int
        All rows if there are at most 16,384, else that many in ranges of 64 rows. Wide rows are fewer.

    Examples
    --------
    >>> sample_ranges(500, 8), len(sample_ranges(1_000_000, 8))
    ([(0, 500)], 256)
    """
    max_rows = max(min(MAX_ROWS, MAX_VALUES // dim), 16 * CHUNK_ROWS)
    if n <= max_rows:
        return [(0, n)]
    starts = np.linspace(0, n - CHUNK_ROWS, max_rows // CHUNK_ROWS).astype(np.int64)
    if ends is not None and 1 < len(ends) <= len(starts):
        begins = np.concatenate([[0], ends[:-1]])
        starts = np.union1d(starts, np.clip((begins + ends - CHUNK_ROWS) // 2, 0, n - CHUNK_ROWS))
    starts = starts[np.concatenate([[True], np.diff(starts) >= CHUNK_ROWS])]
    return [(int(start), int(start) + CHUNK_ROWS) for start in starts]


def local_ranks(sample: RowSample, /) -> np.ndarray:
    """Return the rank of each pair among the pairs of a row with the 31 rows around it, from -1 to 1.

    Parameters
    ----------
    sample : RowSample
        Centred rows, so that a gap does not matter.

    Returns
    -------
    numpy.ndarray
        Ranks (k,): 1 if the pair has the largest inner product in both directions, and 0 on average for a random order.
        NaN if nearly all rows around the pair are equal.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    >>> local_ranks(RowSample(rows, rows, np.arange(64))).min() > 0.5
    np.True_
    """
    k = len(sample.x)
    size = min(BLOCK_ROWS, k)
    starts = np.minimum(np.arange(0, k, size), k - size)
    ranks = np.empty(k)
    for first in range(0, len(starts), _BLOCKS):
        rows = starts[first : first + _BLOCKS, None] + np.arange(size)
        scores = sample.x[rows] @ sample.y[rows].transpose(0, 2, 1)
        # Both block means are subtracted, so that neither the class nor the length of all rows around a pair matters.
        scores -= scores.mean(axis=1, keepdims=True)
        scores -= scores.mean(axis=2, keepdims=True)
        matching = np.diagonal(scores, axis1=1, axis2=2)
        forward, backward = _ranks(matching[:, :, None] - scores, 2), _ranks(matching[:, None] - scores, 1)
        ranks[rows] = (forward + backward) / 2
    return ranks


def ranks_among(sample: RowSample, x: np.ndarray, y: np.ndarray, /) -> np.ndarray:
    """Return the rank of each pair among the pairs of a row with given rows, from -1 to 1, in both directions.

    Parameters
    ----------
    sample : RowSample
        Centred rows.
    x, y : numpy.ndarray
        Centred rows (m, d) of the two modalities that they are compared with.

    Returns
    -------
    numpy.ndarray
        Ranks (2, k) as in `local_ranks`, of each row of x and of each row of y.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    >>> ranks_among(RowSample(rows, rows, np.arange(64)), rows, rows).shape
    (2, 64)
    """
    ranks = np.empty((2, len(sample.x)))
    for start in range(0, len(sample.x), 2048):
        a, b = sample.x[start : start + 2048], sample.y[start : start + 2048]
        matching = np.einsum("ij,ij->i", a, b)[:, None]
        ranks[0, start : start + 2048] = _ranks(matching - a @ y.T, 1)
        ranks[1, start : start + 2048] = _ranks(matching - b @ x.T, 1)
    return ranks


def _ranks(differences: np.ndarray, axis: int) -> np.ndarray:
    """Return the share of positive minus that of negative differences, without ties. NaN if nearly all are ties."""
    positive = np.count_nonzero(differences > TIE, axis=axis)
    negative = np.count_nonzero(differences < -TIE, axis=axis)
    distinct = positive + negative
    with np.errstate(invalid="ignore"):
        is_ranked = 4 * distinct >= differences.shape[axis] - 1
        return np.where(is_ranked, (positive - negative) / np.maximum(distinct, 1), np.nan)
