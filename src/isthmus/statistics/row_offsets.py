"""The offset at which rows match if one side is shifted, or lacks rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from statistics import NormalDist

import numpy as np

from isthmus.compute.arrays import compute_dtype, to_numpy, unit_rows
from isthmus.data.sources import Source

#: Consecutive rows of x that are compared with the rows of y.
MAX_QUERIES = 256
#: Fewest rows that show an offset.
MIN_QUERIES = 16
#: Largest offset that is searched.
MAX_OFFSET = 1_000_000
#: Rows of y that are read at a time. Their scores stay in the cache of one core.
_READ_ROWS = 1024
#: Parts of a range whose offsets are compared, the offsets around known ones that are searched there, and the number of
#: parts for which all offsets are searched.
STEP_PROBES, STEP_REACH, MAX_SEARCHED = 16, 1024, 4
#: Rows within which the row where an offset changes is found by the cosines of each row.
STEP_ROWS = 2048
#: Probability that an offset stands out among rows in random order.
FAMILY_LEVEL = 1e-6
#: Factor from the median absolute deviation to the standard deviation of a normal law.
_MAD_TO_SD = 1.4826


def matching_offset(x: Source, y: Source, /, first: int = 0, last: int | None = None) -> int:
    """Return the offset at which rows match if one side is shifted.

    Parameters
    ----------
    x : Source
        Rows (n, d).
    y : Source
        Rows (m, d).
    first, last : int
        Rows of x that are shifted: from the first one up to the one before `last`. Default: all. Up to 256 of them are
        read at their begin, in their middle and at their end, because the first ones may have no match.

    Returns
    -------
    int
        Row i of x matches row i + offset of y. It is 0 if no offset stands out. The sum of centred inner products at
        one offset must exceed those at all other offsets by more than chance allows.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 8))
    >>> matching_offset(Source(rows, address="x"), Source(np.roll(rows, 3, axis=0), address="y"))
    3
    """
    last = x.shape[0] if last is None else last
    count = min(last - first, MAX_QUERIES)
    if count < MIN_QUERIES or x.shape[1] != y.shape[1]:
        return 0
    for start in dict.fromkeys((first, (first + last - count) // 2, last - count)):
        if offset := _offset_of_rows(x, y, start, count):
            return offset
    return 0


def stands_at(x: Source, y: Source, offset: int, first: int, last: int, /) -> bool:
    """Return whether rows of x clearly match rows of y at an offset better than at the offset 0.

    Parameters
    ----------
    x, y : Source
        Rows (n, d).
    offset : int
        Row i of x is compared with row i + offset of y.
    first, last : int
        Range of rows of x. The 256 rows next to its middle are compared.

    Returns
    -------
    bool
        Whether the mean difference of the cosines exceeds three standard errors. False for fewer than eight rows.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(200, 8))
    >>> stands_at(Source(rows, address="x"), Source(np.roll(rows, 3, axis=0), address="y"), 3, 0, 20)
    True
    """
    first, last = max(first, -offset, 0), min(last, x.shape[0], y.shape[0], y.shape[0] - offset)
    middle = (first + last) // 2
    first, last = max(first, middle - MAX_QUERIES // 2), min(last, middle + MAX_QUERIES // 2)
    if last - first < MIN_QUERIES // 2:
        return False
    difference = _centred(y, first + offset, last + offset) - _centred(y, first, last)
    values = np.einsum("ij,ij->i", _centred(x, first, last), difference)
    return bool(values.mean() > 3 * values.std() / len(values) ** 0.5)


def offset_steps(x: Source, y: Source, offset: int, first: int, last: int, /) -> list[tuple[int, int]]:
    """Return where the offset of rows changes, because rows are missing in several places or ranges are moved.

    Parameters
    ----------
    x, y : Source
        Rows (n, d).
    offset : int
        Offset of some of these rows.
    first, last : int
        Range of rows of x.

    Returns
    -------
    list of tuple of int
        First row and offset of each part, (row of x, offset). One part if the offset never changes.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(400, 32))
    >>> shorter = np.delete(rows, [0, 150, 300], axis=0)
    >>> steps = offset_steps(Source(rows, address="x"), Source(shorter, address="y"), -1, 1, 397)
    >>> [offset for row, offset in steps]
    [-1, -2, -3]
    """
    count = min(MAX_QUERIES, max((last - first) // STEP_PROBES, 2 * MIN_QUERIES))
    if last - first < 2 * count:
        return [(first, offset)]

    def probe(start: int, offsets: Iterable[int], count: int = count) -> int | None:
        nearby = (_offset_of_rows(x, y, start, count, value - STEP_REACH, value + STEP_REACH) for value in offsets)
        return next((value for value in nearby if value is not None), None)

    starts = np.linspace(first, last - count, STEP_PROBES).astype(int).tolist()
    windows = [
        (first, 2 * MIN_QUERIES),
        *((start, count) for start in starts),
        (last - 2 * MIN_QUERIES, 2 * MIN_QUERIES),
    ]
    offsets, n_searched, probes = [offset], 0, []
    for start, size in windows:
        value = probe(start, offsets, size)
        if value is None and size == count and n_searched < MAX_SEARCHED:
            n_searched += 1
            value = _offset_of_rows(x, y, start, count)
        if value is not None:
            probes.append((start, value))
            offsets = [value, *(old for old in offsets if abs(old - value) > STEP_REACH)]
    steps = [(first, probes[0][1])] if probes else [(first, offset)]
    pending = list(itertools.pairwise(probes))[::-1]
    while pending:
        (low, before), (high, after) = pending.pop()
        if before == after:
            continue
        middle = (low + high) // 2
        between = probe(middle, (before, after)) if high - low > STEP_ROWS else None
        if between is None:
            end = min(high + count, last)
            steps.append((_first_row_at(x, y, low, end, before, after), after))
        else:
            pending += [((middle, between), (high, after)), ((low, before), (middle, between))]
    return steps


def _first_row_at(x: Source, y: Source, low: int, high: int, before: int, after: int) -> int:
    """Return the row of x between two rows from which on it matches y better at the offset `after`."""
    low = max(low, -min(before, after), 0)
    high = min(high, x.shape[0], y.shape[0] - max(before, after))
    if high <= low:
        return low
    rows = _centred(x, low, high)
    rows = rows - rows.mean(axis=0)
    difference = _centred(y, low + before, high + before) - _centred(y, low + after, high + after)
    sums = np.cumsum(np.einsum("ij,ij->i", rows, difference))
    return low + int(np.argmax(np.concatenate([[0.0], sums])))


def _offset_of_rows(
    x: Source, y: Source, first: int, count: int, low: int = -MAX_OFFSET, high: int = MAX_OFFSET
) -> int | None:
    """Return the offset of `count` rows of x between two offsets, or None if none stands out."""
    last = first + count
    begin, end = max(first + low, 0), min(last + high, y.shape[0])
    if end - begin < MIN_QUERIES:
        return None
    queries = _centred(x, first, last)
    dtype = max(compute_dtype(x.dtype), compute_dtype(y.dtype))
    queries = (queries - queries.mean(axis=0)).astype(dtype)
    sums = np.zeros(end - begin + count - 1)
    for start in range(begin, end, _READ_ROWS):
        stop = min(start + _READ_ROWS, end)
        scores = queries @ _centred(y, start, stop, dtype).T
        sums[start - begin : stop - begin + count - 1] += _diagonal_sums(scores)
    # Entry e holds the row pairs (first + i, begin + j) with j - i = e - (count - 1).
    terms = np.minimum(np.minimum(np.arange(1, len(sums) + 1), np.arange(len(sums), 0, -1)), min(count, end - begin))
    means = np.where(4 * terms >= count, (sums - np.median(sums)) / np.sqrt(terms), 0.0)
    entry = _outstanding(means)
    return None if entry is None else entry - (count - 1) + begin - first


def _centred(source: Source, start: int, stop: int, dtype: str = "float64") -> np.ndarray:
    """Return unit rows, with zeros for rows that have no direction."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows = unit_rows(to_numpy(source.read(start, stop)).astype(dtype))
    is_finite = np.isfinite(rows).all(axis=1)
    if not is_finite.all():
        rows[~is_finite] = 0
    return rows


def _diagonal_sums(scores: np.ndarray) -> np.ndarray:
    """Return the sum of each diagonal of a matrix (q, b), from the last row on: (b + q - 1,).

    >>> _diagonal_sums(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [3.0, 5.0, 2.0]
    """
    q, b = scores.shape
    # Row r of the reversed matrix starts r places later if the rows of a padded matrix are cut one place too short.
    padded = np.concatenate([scores[::-1], np.zeros((q, q))], axis=1).ravel()
    return np.asarray(padded[: q * (b + q - 1)].reshape(q, b + q - 1).sum(axis=0))


def _outstanding(values: np.ndarray) -> int | None:
    """Return the position of the value that exceeds all others beyond chance, or None."""
    spread = _MAD_TO_SD * float(np.median(np.abs(values - np.median(values))))
    second, best = np.argsort(values)[-2:]
    limit = -NormalDist().inv_cdf(FAMILY_LEVEL / len(values)) * spread
    stands_out = values[best] > limit and values[best] - values[second] > limit * 3 / 4
    return int(best) if spread > 0 and stands_out else None
