"""Equal rows of one modality, found by hashes and confirmed by comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows
from isthmus.compute.threads import blas_limited
from isthmus.data.hashing import hash_bytes
from isthmus.data.numbering import renumber
from isthmus.data.sources import Source

#: Largest difference of a coordinate of two unit rows that are equal.
TOLERANCE = 1e-6
#: Random directions whose inner products with a unit row give its cell.
N_DIRECTIONS = 6
#: Evenly spaced columns that the inner products use, if rows have twice as many or more.
USED_COLUMNS = 64
#: Width of a cell in largest differences of an inner product.
CELL_WIDTH = 32
#: Rows of a cell that all other rows of the cell are compared with, one after the other.
MAX_LEADERS = 4
#: Share of keys that are equal to others from which on all rows are hashed while they are in memory.
HASHED_SHARE = 1 / 16
#: Ranges of keys that are ordered one after the other, so that one range of them is copied at a time.
KEY_RANGES = 8


def find_equal_rows(source: Source, /, *, normalize: bool = True) -> np.ndarray | None:
    """Return the number of the distinct row of each row.

    Two rows are equal if their unit rows differ by at most 1e-6 in every coordinate. So a row and a multiple of it are
    equal. Rows that are NaN, infinite or all zero are distinct.

    Parameters
    ----------
    source : Source
        Rows (n, d), which are read once. Rows that may be equal are read again, unless they copy the row above.
    normalize : bool
        Whether rows of different lengths may be equal. Default: True.

    Returns
    -------
    numpy.ndarray or None
        Group numbers (n,) from 0 in order of first occurrence, or None if all rows are distinct.

    Notes
    -----
    Two unit rows that are equal differ by at most delta = 1e-6 |r|_1 in the inner product with a direction r, besides
    rounding. A cell is a box of width 32 delta in six such products. A row within delta of the upper face of its box
    belongs to the next box as well, in every combination of directions. Equal rows thus share at least one cell.

    A row with the values of the row above is its copy, and in no cell. Other rows of shared cells with the same 128-bit
    hash of their bytes are equal. The first row of each such set is compared with the first row of its cell, and what
    differs from it with the next one, for four rows.

    Examples
    --------
    >>> import numpy as np
    >>> find_equal_rows(Source(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]), address="x")).tolist()
    [0, 1, 0]
    """
    search = EqualRowSearch(source)
    n, dim = source.shape
    size = 2 * block_rows(dim)
    with blas_limited(1):  # its products are small
        for start in range(0, n, size):
            search.add(search.scan(to_numpy(source.read(start, start + size))))
        return search.groups(normalize=normalize)


@dataclass(frozen=True)
class ScannedRows:
    """Cells, copies and hashes of the rows of a block, as `EqualRowSearch.scan` finds them.

    Parameters
    ----------
    is_copy : numpy.ndarray
        Whether each row has the values of the row above (m,).
    keys, rows : numpy.ndarray
        Key of each cell, and the place of its row in the block.
    hashed : numpy.ndarray
        The places of the rows whose hashes were computed, ascending.
    hashes : numpy.ndarray
        Two hashes of each of these rows (2, h).

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[1.0, 2.0], [1.0, 2.0]])
    >>> EqualRowSearch(Source(rows, address="x")).scan(rows).is_copy.tolist()
    [False, True]
    """

    is_copy: np.ndarray
    keys: np.ndarray
    rows: np.ndarray
    hashed: np.ndarray
    hashes: np.ndarray


class EqualRowSearch:
    """Search for the equal rows of a source whose blocks of rows come from the caller.

    Blocks may be scanned in several threads, and are added in their order. Rows that are NaN, infinite or all zero, and
    copies of the row above, are in no cell. Hashes are computed while rows are in memory if many rows share a cell so
    far, or if rows are expensive to read again.

    Parameters
    ----------
    source : Source
        Rows (n, d). Those that may be equal are read again at the end.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])
    >>> search = EqualRowSearch(Source(rows, address="x"))
    >>> for start in (0, 2):
    ...     search.add(search.scan(rows[start : start + 2]))
    >>> search.groups().tolist()
    [0, 1, 0]
    """

    def __init__(self, source: Source, /) -> None:
        n, dim = source.shape
        self._source = source
        self._columns = slice(None, None, max(dim // USED_COLUMNS, 1))
        n_used = len(range(dim)[self._columns])
        directions = np.random.default_rng(0).normal(size=(n_used, N_DIRECTIONS))
        directions /= np.linalg.norm(directions, axis=0)
        self._directions = directions.astype(np.float32)
        # A float32 sum of m products is off by at most m u |x| |r|, the norm by dim u / 2, and each operand by u.
        rounding = 2 * (n_used + 8 + np.sqrt(dim)) * 2.0**-24
        self._deltas = TOLERANCE * np.abs(directions).sum(axis=0) + rounding
        self._keys, self._rows = [np.empty(0, dtype=np.uint32)], [np.empty(0, dtype=np.int32)]
        self._hashed = [np.empty(0, dtype=np.int32)]
        self._hashes = [[np.empty(0, dtype=np.uint64)], [np.empty(0, dtype=np.uint64)]]
        self._is_copy = np.zeros(n, dtype=bool)
        self._n_added, self._next_check = 0, 4 * block_rows(dim)
        self._is_hashing = not source.random_access

    def scan(self, block: np.ndarray, /) -> ScannedRows:
        """Return the cells, copies and hashes of consecutive rows (m, d). It may run in several threads."""
        is_copy = np.zeros(len(block), dtype=bool)
        _mark_copies(block, is_copy)
        distinct = np.flatnonzero(~is_copy)
        rows = block if len(distinct) == len(block) else block[distinct]
        used, squares = _used_columns(rows, self._columns)
        with np.errstate(all="ignore"):
            products = used @ self._directions / np.sqrt(squares)[:, None]
        keys, positions = _cells(products, self._deltas)
        if len(rows) < len(block):  # copies of rows in no cell are distinct as well
            in_cell = np.zeros(len(rows), dtype=bool)
            in_cell[positions] = True
            is_copy &= in_cell[np.cumsum(~is_copy) - 1]
        hashed, hashes = (
            (distinct, _hashes(rows)) if self._is_hashing else (distinct[:0], np.empty((2, 0), dtype=np.uint64))
        )
        # A few keys are equal by chance in their upper halves, and their rows are compared.
        upper_keys = (keys >> np.uint64(32)).astype(np.uint32)
        return ScannedRows(is_copy, upper_keys, distinct[positions], hashed, hashes)

    def add(self, scanned: ScannedRows, /) -> None:
        """Add the next rows of the source."""
        start = self._n_added
        self._n_added += len(scanned.is_copy)
        self._is_copy[start : self._n_added] = scanned.is_copy
        self._keys.append(scanned.keys)
        self._rows.append((start + scanned.rows).astype(np.int32))
        if len(scanned.hashed):
            self._hashed.append((start + scanned.hashed).astype(np.int32))
            for blocks, hashes in zip(self._hashes, scanned.hashes, strict=True):
                blocks.append(hashes)
        if not self._is_hashing and self._n_added >= self._next_check:
            self._next_check *= 4
            ordered = np.sort(np.concatenate(self._keys))
            n_shared = int(np.count_nonzero(ordered[1:] == ordered[:-1]))
            self._is_hashing = n_shared > HASHED_SHARE * len(ordered)

    def groups(self, *, normalize: bool = True) -> np.ndarray | None:
        """Return the result of `find_equal_rows` after all rows were added. It can be called once."""
        source, is_copy, n = self._source, self._is_copy, len(self._is_copy)
        keys = _joined(self._keys)
        in_shared_cell = _in_shared_cell(keys)
        keys, rows = keys[in_shared_cell], _joined(self._rows)[in_shared_cell]
        del in_shared_cell
        first = np.arange(n, dtype=np.int32)
        edges = []
        if len(rows):
            _join_equal_bytes(first, source, rows, self._hashed, self._hashes)
            is_first = first[rows] == rows
            edges = list(_equal_pairs(source, keys[is_first], rows[is_first]))
        if is_copy.any():  # of the row above
            first = first[np.maximum.accumulate(np.where(is_copy, np.int32(0), np.arange(n, dtype=np.int32)))]
        if not edges:  # rows of equal values have equal lengths
            is_first = first == np.arange(n, dtype=np.int32)
            return None if is_first.all() else (np.cumsum(is_first) - 1)[first]
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        joined, others = np.concatenate(edges, axis=1)
        graph = coo_array((np.ones(len(joined), dtype=bool), (joined, others)), shape=(n, n))
        groups = renumber(connected_components(graph, directed=False)[1][first])
        groups = groups if normalize else _split_by_length(source, groups)
        return groups if int(groups.max()) + 1 < n else None


def _split_by_length(source: Source, groups: np.ndarray) -> np.ndarray:
    """Return groups whose rows also have the same length, to a share of `TOLERANCE`."""
    repeated = np.flatnonzero(np.bincount(groups)[groups] > 1)
    lengths = np.zeros(len(groups))
    size = block_rows(source.shape[1])
    for start in range(0, len(repeated), size):
        rows = repeated[start : start + size]
        lengths[rows] = np.linalg.norm(to_numpy(source.take(rows)).astype(np.float64), axis=1)
    order = np.lexsort((lengths, groups))
    is_new = np.diff(groups[order], prepend=-1) > 0
    is_new[1:] |= np.diff(lengths[order]) > TOLERANCE * lengths[order][1:]
    numbers = np.empty(len(groups), dtype=np.int64)
    numbers[order] = np.cumsum(is_new) - 1
    return renumber(numbers)


def _mark_copies(block: np.ndarray, is_copy: np.ndarray) -> None:
    """Mark the rows whose values are those of the row above."""
    positions = np.flatnonzero(block[1:, 0] == block[:-1, 0])
    if 2 * len(positions) > len(block):
        is_copy[1:] = (block[1:] == block[:-1]).all(axis=1)
    elif len(positions):
        is_copy[positions + 1] = (block[positions + 1] == block[positions]).all(axis=1)


def _joined(blocks: list[np.ndarray]) -> np.ndarray:
    """Return the joined blocks, and empty their list, so that their memory is free."""
    joined = np.concatenate(blocks)
    blocks.clear()
    return joined


def _in_shared_cell(keys: np.ndarray) -> np.ndarray:
    """Return whether each key occurs more than once."""
    ordered = np.sort(keys)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    is_repeated = np.zeros(len(keys), dtype=bool)
    del ordered
    begins_like_repeated = np.zeros(2**16, dtype=bool)
    begins_like_repeated[repeated >> np.uint32(16)] = True
    n_beginnings = 2**16 // KEY_RANGES
    for begin in range(0, 2**16 if len(repeated) else 0, n_beginnings):
        is_candidate = np.zeros(2**16, dtype=bool)
        in_range = slice(begin, begin + n_beginnings)
        is_candidate[in_range] = begins_like_repeated[in_range]
        positions = np.flatnonzero(is_candidate[keys >> np.uint32(16)]).view(np.uint64)
        # The place stands below the key, so that one sort orders both.
        packed = keys[positions].astype(np.uint64)
        packed <<= np.uint64(32)
        packed |= positions
        packed.sort()
        is_like_next = packed[1:] ^ packed[:-1] < np.uint64(2**32)
        packed &= np.uint64(2**32 - 1)
        places = packed.view(np.int64)
        is_repeated[places[1:][is_like_next]] = True
        is_repeated[places[:-1][is_like_next]] = True
    return is_repeated


def _hashes(block: np.ndarray) -> np.ndarray:
    """Return two hashes of each row (2, n): of all columns, and of some."""
    columns = np.ascontiguousarray(block[:, :: max(block.shape[1] // USED_COLUMNS, 1)])
    return np.stack([hash_bytes(block, seed=2), hash_bytes(columns, seed=3)])


def _used_columns(block: np.ndarray, columns: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return some columns of the rows of a block in float32, and the squared lengths of the rows on their scale."""
    with np.errstate(all="ignore"):
        rows = np.ascontiguousarray(block, dtype=np.float32)
        squares = _squared_lengths(rows)
        if not np.all((squares > 1e-20) & (squares < 1e20)):
            rows = _scaled(block)
            squares = _squared_lengths(rows)
    return np.ascontiguousarray(rows[:, columns]), squares


def _squared_lengths(rows: np.ndarray) -> np.ndarray:
    """Return the squared length of each row. `vecdot` of NumPy 2 is faster."""
    return np.asarray(np.vecdot(rows, rows) if hasattr(np, "vecdot") else np.einsum("ij,ij->i", rows, rows))


def _scaled(block: np.ndarray) -> np.ndarray:
    """Return rows whose largest value is 1, so that their squares stay in range."""
    rows = block.astype(np.float64)
    return np.asarray(rows / np.abs(rows).max(axis=1, keepdims=True), dtype=np.float32)


def _join_equal_bytes(
    first: np.ndarray, source: Source, rows: np.ndarray, hashed: list[np.ndarray], hashes: list[list[np.ndarray]]
) -> None:
    """Write the first row with the bytes of each of some rows. Rows without a hash are read again.

    The lists of blocks are emptied, so that their memory is free.
    """
    is_chosen = np.zeros(len(first), dtype=bool)
    is_chosen[rows] = True
    rows = np.flatnonzero(is_chosen).astype(np.int32)
    is_hashed = np.zeros(len(first), dtype=bool)
    hashed_rows = _joined(hashed)
    is_hashed[hashed_rows] = True
    is_used = is_chosen[hashed_rows]
    del hashed_rows, is_chosen
    unhashed = np.flatnonzero(~is_hashed[rows])
    codes = []
    for blocks in hashes:
        code = _joined(blocks)[is_used]
        if len(unhashed):
            known, code = code, np.empty(len(rows), dtype=np.uint64)
            code[is_hashed[rows]] = known
            del known
        codes.append(code)
        del code
    del is_hashed, is_used
    size = block_rows(source.shape[1])
    for start in range(0, len(unhashed), size):
        positions = unhashed[start : start + size]
        codes[0][positions], codes[1][positions] = _hashes(to_numpy(source.take(rows[positions])))
    # The lowest bits of the first hash make room for the place of the row, so that one sort orders both.
    place_bits = np.uint64((1 << max(len(rows) - 1, 1).bit_length()) - 1)
    packed = codes[0] & ~place_bits
    packed |= np.arange(len(rows), dtype=np.uint32)
    packed.sort()
    packed &= place_bits
    order = packed.astype(np.int32)
    del packed
    is_repeat = np.ones(len(rows) - 1, dtype=bool)
    while codes:
        ordered = codes.pop()[order]
        is_repeat &= ordered[1:] == ordered[:-1]
        del ordered
    begins = np.flatnonzero(np.concatenate([[True], ~is_repeat]))
    rows = rows[order]  # those of one hash are in ascending order
    first[rows] = np.repeat(rows[begins], np.diff(np.append(begins, len(rows))))


def _cells(products: np.ndarray, deltas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the key of a cell and the row for each cell that a row belongs to."""
    rows = np.flatnonzero(np.isfinite(products.sum(axis=1)))
    factors = np.random.default_rng(1).integers(0, 2**63, size=N_DIRECTIONS, dtype=np.uint64) * np.uint64(2) + 1
    places = (products if len(rows) == len(products) else products[rows]) / (CELL_WIDTH * deltas).astype(np.float32)
    cells = np.floor(places)
    places -= cells
    keys = np.einsum("ij,j->i", cells.astype(np.int64).view(np.uint64), factors)
    is_near = places >= 1 - 1.01 / CELL_WIDTH
    position = np.arange(len(rows))
    for near, factor in zip(is_near.T, factors, strict=True):
        copied = np.flatnonzero(near[position])
        keys = np.concatenate([keys, keys[copied] + factor])
        position = np.concatenate([position, position[copied]])
    return keys, rows[position]


def _equal_pairs(source: Source, keys: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs of equal rows (2, m) that connect the equal rows of each cell."""
    in_shared_cell = np.flatnonzero(_in_shared_cell(keys))
    if not len(in_shared_cell):
        return
    order = in_shared_cell[np.lexsort((rows[in_shared_cell], keys[in_shared_cell]))]
    keys, rows = keys[order], rows[order].astype(np.int64)
    for _ in range(MAX_LEADERS):
        begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        leaders = np.repeat(rows[begins], np.diff(np.append(begins, len(keys))))
        is_other = rows != leaders
        candidates, inverse = np.unique(leaders[is_other] * source.shape[0] + rows[is_other], return_inverse=True)
        candidates = np.stack(np.divmod(candidates, source.shape[0]))
        is_equal = _are_equal(source, *candidates)
        if is_equal.any():
            yield candidates[:, is_equal]
        remaining = np.flatnonzero(is_other)[~is_equal[inverse.ravel()]]
        keys, rows = keys[remaining], rows[remaining]
        if not len(keys):
            return


def _are_equal(source: Source, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return which pairs of rows have unit rows that differ by at most `TOLERANCE`."""
    is_equal = np.zeros(len(first), dtype=bool)
    size = block_rows(source.shape[1])
    for start in range(0, len(first), size):
        numbers, inverse = np.unique(
            np.concatenate([first[start : start + size], second[start : start + size]]), return_inverse=True
        )
        rows = to_numpy(source.take(numbers)).astype(np.float64)
        rows /= np.abs(rows).max(axis=1, keepdims=True)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        a, b = np.split(inverse.ravel(), 2)
        is_equal[start : start + size] = np.abs(rows[a] - rows[b]).max(axis=1) <= TOLERANCE
    return is_equal
