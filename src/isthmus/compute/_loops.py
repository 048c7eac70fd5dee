"""Compiled loops over a tile of float32 scores. Each reads a row of the tile once, while it is in the cache.

NumPy calls one function after the other, and each reads and writes the whole tile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import float32, int32, uint8
from numba.cpython.unsafe.numbers import trailing_zeros

#: Coefficients of a polynomial for 2^f with f in [-1/2, 1/2]. Its error is below that of float32.
_POWERS = np.polynomial.Chebyshev.interpolate(np.exp2, 6, [-0.5, 0.5]).convert(kind=np.polynomial.Polynomial).coef
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (np.float32(coefficient) for coefficient in _POWERS)
#: Least exponent: 2 to this power is the smallest normal number.
_LEAST = np.float32(-126)
#: Added to an exponent, it leaves no bits after the point. The lowest bits of the sum are the rounded exponent.
_ROUNDER = np.float32(1.5 * 2**23)
#: Key of a place without a score, see `streaming_topk.lowest_key`.
_LOWEST = np.int64(np.iinfo(np.int64).min)
#: A cell of a tile is one number: the row in the high bits, and the column in the low ones. Division takes longer.
_HALF = np.int64(32)
_COLUMN = np.int64(2**32 - 1)
#: Flags of comparisons are bytes. A word of eight of them is skipped if it is 0, as most are.
_FLAGS, _BITS_OF_FLAG, _ONE = 8, np.uint64(3), np.uint64(1)
#: The lowest bit of each flag.
_LOWEST_BITS = np.uint64(0x0101010101010101)
#: Rows whose sums over a column are added in float32, before float64 takes them.
_STRIP = 64


#: Sums may be added in any order. Scores are numbers, or -inf.
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz", "nnan"}, "error_model": "numpy"}


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function on its first call, and keep it for other processes."""
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder for compiled code can be written
        return numba.njit(**_OPTIONS)(function)


@numba.njit(fastmath={"contract", "nsz", "nnan"}, error_model="numpy")
def _exp2(exponent):
    """Return 2 to the power of a number. Adding and subtracting `_ROUNDER`, in this order, rounds the number."""
    exponent = max(exponent, _LEAST)
    rounded = exponent + _ROUNDER
    f = exponent - (rounded - _ROUNDER)
    power = np.float32((((((_C6 * f) + _C5) * f + _C4) * f + _C3) * f + _C2) * f + _C1) * f + _C0
    scale = np.float32(rounded).view(np.int32) << int32(23)
    return np.int32(np.float32(power).view(np.int32) + scale).view(np.float32)


@numba.njit(error_model="numpy")
def _flags(memory, n_columns):
    """Return the flags of one row, and the number of their words. Flags behind the last column are 0."""
    memory[n_columns // _FLAGS] = 0
    return memory.view(np.uint8), (n_columns + _FLAGS - 1) // _FLAGS


@numba.njit(error_model="numpy")
def _column(w, packed):
    """Return the column of the first flag that is set in word number w."""
    return np.int64(_FLAGS * w) + np.int64(trailing_zeros(packed) >> _BITS_OF_FLAG)


@numba.njit(error_model="numpy")
def _store_cells(packed, i, w, cells, count):
    """Store the cells of row i whose flags are set in word number w, from `count` on. Return how many are stored."""
    while packed != 0:
        cells[count] = (np.int64(i) << _HALF) + _column(w, packed)
        count += 1
        packed &= packed - _ONE
    return count


@_compiled
def cells_above(scores, bounds, bounds_columns, memory, by_row, by_column):
    """Store the cells of the scores above the bound of their row, and those above the bound of their column.

    Parameters
    ----------
    scores : (n, m) float32 array
        The tile.
    bounds, bounds_columns : (n,) and (m,) float32 arrays
        Bounds of the rows and of the columns.
    memory : (m // 8 + 1,) uint64 array
        Memory for the comparisons of one row.
    by_row, by_column : (n m,) int64 arrays
        Where cells are stored, the row in the high 32 bits and the column in the low ones.

    Returns
    -------
    tuple of int
        Numbers of cells in `by_row` and in `by_column`.
    """
    n_rows, n_columns = scores.shape
    flags, n_words = _flags(memory, n_columns)
    n_by_row, n_by_column = 0, 0
    for i in range(n_rows):
        row, bound = scores[i], bounds[i]
        for j in range(n_columns):
            flags[j] = uint8(row[j] > bound) | (uint8(row[j] > bounds_columns[j]) << uint8(1))
        for w in range(n_words):
            if memory[w] != 0:
                n_by_row = _store_cells(memory[w] & _LOWEST_BITS, i, w, by_row, n_by_row)
                n_by_column = _store_cells(memory[w] >> _ONE & _LOWEST_BITS, i, w, by_column, n_by_column)
    return n_by_row, n_by_column


@_compiled
def find_neighbours(scores, top, top_columns, match, match_columns, memory, by_row, by_column, counts, counts_columns):
    """Compare each score of a tile with two thresholds of its row, and two of its column.

    Parameters
    ----------
    scores : (n, m) float32 array
        The tile.
    top, top_columns : (n,) and (m,) float32 arrays
        Thresholds of the scores whose cells are stored, in `by_row` and in `by_column`.
    match, match_columns : (n,) and (m,) float32 arrays
        Thresholds of the scores that are counted.
    memory : (m // 8 + 1,) uint64 array
        Memory for the comparisons of one row.
    by_row, by_column : (k,) int64 arrays
        Where cells are stored.
    counts : (2, n) int32 array
        How many scores of each row reach `match`, and how many reach `match_columns`.
    counts_columns : (2, m) int32 array
        The same for each column.

    Returns
    -------
    tuple of int
        Numbers of cells in `by_row` and in `by_column`. -1 if there are nearly k or more.
    """
    n_rows, n_columns = scores.shape
    flags, n_words = _flags(memory, n_columns)
    n_by_row, n_by_column = 0, 0
    for i in range(n_rows):
        row, row_top, row_match = scores[i], top[i], match[i]
        total, total_columns = int32(0), int32(0)
        for j in range(n_columns):
            score = row[j]
            reaches = int32(score >= row_match)
            total += reaches
            counts_columns[0, j] += reaches
            reaches = int32(score >= match_columns[j])
            total_columns += reaches
            counts_columns[1, j] += reaches
            flags[j] = uint8(score >= row_top) | (uint8(score >= top_columns[j]) << uint8(1))
        counts[0, i] += total
        counts[1, i] += total_columns
        for w in range(n_words):
            if memory[w] == 0:
                continue
            if n_by_row + _FLAGS > len(by_row) or n_by_column + _FLAGS > len(by_column):
                return -1, -1
            n_by_row = _store_cells(memory[w] & _LOWEST_BITS, i, w, by_row, n_by_row)
            n_by_column = _store_cells(memory[w] >> _ONE & _LOWEST_BITS, i, w, by_column, n_by_column)
    return n_by_row, n_by_column


@_compiled
def insert_keys(scores, cells, is_transposed, first, keys, thresholds):
    """Insert scores with their numbers into the largest ones of each query.

    Parameters
    ----------
    scores : (n, m) float32 array
        A tile.
    cells : (p,) int64 array
        Places in the tile.
    is_transposed : bool
        Whether the queries are the columns of the tile.
    first : int
        Number of the first row of the corpus in the tile.
    keys : (q, k) int64 array
        The largest keys of each query in descending order, see `streaming_topk.sorting_keys`.
    thresholds : (q,) float32 array
        A score that the k-th largest one of each query reaches.
    """
    k = keys.shape[1]
    for cell in cells:
        i, j = cell >> _HALF, cell & _COLUMN
        query, number = (j, i) if is_transposed else (i, j)
        score = scores[i, j]
        pattern = np.int64(np.float32(score + float32(0)).view(np.int32))
        ordered = pattern ^ ((pattern >> 31) & 0x7FFFFFFF)
        key = (ordered << 32) + (0xFFFFFFFF - (first + number))
        row = keys[query]
        if key <= row[k - 1]:
            continue
        for index in range(k - 1, 0, -1):  # no branches, which would cost more than all comparisons
            row[index] = max(min(row[index - 1], key), row[index])
        row[0] = max(row[0], key)
        if row[k - 1] != _LOWEST:
            last = np.int32(row[k - 1] >> 32)
            kth = np.int32(last ^ ((last >> 31) & int32(0x7FFFFFFF))).view(np.float32)
            thresholds[query] = max(thresholds[query], kth)


@_compiled
def insert_values(scores, cells, axis, values):
    """Insert scores in these cells of a tile into the largest ones of each query, (q, k) in descending order."""
    k = values.shape[1]
    for cell in cells:
        i, j = cell >> _HALF, cell & _COLUMN
        score, row = scores[i, j], values[j if axis == 1 else i]
        if score <= row[k - 1]:
            continue
        for index in range(k - 1, 0, -1):
            row[index] = max(min(row[index - 1], score), row[index])
        row[0] = max(row[0], score)


@_compiled
def sum_within(scores, half_rows, half_columns, factors, row_sums, column_sums, is_diagonal):
    """Add functions of the distances in a tile to the sums of its rows, (5, n), and columns, (5, m), both float64.

    The functions are the root of half of the squared distance h, exp2(factors[0] h), and exp2(factors[1] h) to the
    powers 1, 4 and 16. `half_rows` and `half_columns` are half of the squared norms. Of a tile on the diagonal, scores
    above the diagonal are looked at.
    """
    n_rows, n_columns = scores.shape
    uniform, widest = factors[0], factors[1]
    strip = np.zeros((5, n_columns), np.float32)
    for i in range(n_rows):
        row, half = scores[i], half_rows[i]
        s0, s1, s2, s3, s4 = float32(0), float32(0), float32(0), float32(0), float32(0)
        for j in range(np.uint64(i + 1 if is_diagonal else 0), np.uint64(n_columns)):
            h = max(half + half_columns[j] - row[j], float32(0))
            root, kernel, rbf_2 = np.sqrt(h), _exp2(uniform * h), _exp2(widest * h)
            rbf_1 = (rbf_2 * rbf_2) * (rbf_2 * rbf_2)
            rbf_05 = (rbf_1 * rbf_1) * (rbf_1 * rbf_1)
            s0 += root
            s1 += kernel
            s2 += rbf_2
            s3 += rbf_1
            s4 += rbf_05
            strip[0, j] += root
            strip[1, j] += kernel
            strip[2, j] += rbf_2
            strip[3, j] += rbf_1
            strip[4, j] += rbf_05
        for function, total in enumerate((s0, s1, s2, s3, s4)):
            row_sums[function, i] += total
        if i % _STRIP == _STRIP - 1 or i == n_rows - 1:
            column_sums += strip
            strip[:] = 0


@_compiled
def sum_across(scores, row_terms, column_terms, factors, row_sums, column_sums, is_diagonal):
    """Add functions of the distances in a tile to the sums of its rows, (8, n), and columns, (8, m), both float64.

    The first five functions are those of `sum_within`. The next two are the root of half of the squared distance after
    the means are aligned, and its inverse. The last one is exp2(factors[1] h)^4 times the weight of the column, or of
    the row. `row_terms` and `column_terms` have three rows: half of the squared norms, what aligning the means adds to
    h, and the weights. Of a tile on the diagonal, the diagonal is left out.
    """
    n_rows, n_columns = scores.shape
    uniform, widest = factors[0], factors[1]
    strip = np.zeros((8, n_columns), np.float32)
    for i in range(n_rows):
        row, half, shift, weight = scores[i], row_terms[0, i], row_terms[1, i], row_terms[2, i]
        s0, s1, s2, s3 = float32(0), float32(0), float32(0), float32(0)
        s4, s5, s6, s7 = float32(0), float32(0), float32(0), float32(0)
        for section in range(2 if is_diagonal else 1):  # before and after the diagonal
            first, last = i + 1 if section else 0, i if is_diagonal and not section else n_columns
            for j in range(np.uint64(first), np.uint64(last)):  # an index below 0 would count from the end
                h = half + column_terms[0, j] - row[j]
                centred = max(h + (shift + column_terms[1, j]), float32(0))
                h = max(h, float32(0))
                root, kernel, rbf_2 = np.sqrt(h), _exp2(uniform * h), _exp2(widest * h)
                rbf_1 = (rbf_2 * rbf_2) * (rbf_2 * rbf_2)
                rbf_05 = (rbf_1 * rbf_1) * (rbf_1 * rbf_1)
                distance = np.sqrt(centred)
                inverse = float32(1) / distance if distance > 0 else float32(0)  # equal rows add nothing
                s0 += root
                s1 += kernel
                s2 += rbf_2
                s3 += rbf_1
                s4 += rbf_05
                s5 += distance
                s6 += inverse
                s7 += rbf_1 * column_terms[2, j]
                strip[0, j] += root
                strip[1, j] += kernel
                strip[2, j] += rbf_2
                strip[3, j] += rbf_1
                strip[4, j] += rbf_05
                strip[5, j] += distance
                strip[6, j] += inverse
                strip[7, j] += rbf_1 * weight
        for function, total in enumerate((s0, s1, s2, s3, s4, s5, s6, s7)):
            row_sums[function, i] += total
        if i % _STRIP == _STRIP - 1 or i == n_rows - 1:
            column_sums += strip
            strip[:] = 0


@_compiled
def split_scores(scores, low, high, memory, out):
    """Store the scores above `low` and not above `high` in `out`, (n m,) float32.

    Returns
    -------
    tuple of int, int and float
        Number of scores above `high`, number of stored ones, and the largest of all. `memory` is as in `cells_above`.
    """
    n_rows, n_columns = scores.shape
    low, high = float32(low), float32(high)
    flags, n_words = _flags(memory, n_columns)
    n_above, n_stored = 0, 0
    largest = np.full(n_columns, -np.inf, np.float32)
    for i in range(n_rows):
        row, above_low, above_high = scores[i], int32(0), int32(0)
        for j in range(n_columns):
            score = row[j]
            above_low += int32(score > low)
            above_high += int32(score > high)
            flags[j] = uint8(score > low) ^ uint8(score > high)
            largest[j] = max(largest[j], score)
        n_above += above_high
        if above_low == above_high:
            continue
        for w in range(n_words):
            packed = memory[w]
            while packed != 0:
                out[n_stored] = row[_column(w, packed)]
                n_stored += 1
                packed &= packed - _ONE
    return n_above, n_stored, largest.max()
