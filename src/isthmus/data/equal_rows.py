"""Equal rows of one modality, found by their cells, by hashes of their bytes, and by comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows
from isthmus.compute.rows import cache_sized_slices
from isthmus.compute.threads import blas_limited
from isthmus.data.compared_rows import TOLERANCE, equal_pairs, occur_twice
from isthmus.data.hashing import hash_bytes
from isthmus.data.numbering import renumber
from isthmus.data.row_cells import N_DIRECTIONS, RowCells
from isthmus.data.sources import Source
from isthmus.utils.progress import report_progress

#: Share of keys that are equal to others from which on all rows are hashed while they are in memory.
HASHED_SHARE = 1 / 32
#: Blocks of rows between two reports of the progress. Files of fewer blocks have none.
TOLD_BLOCKS = 8


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
    Equal rows share at least one cell of `RowCells`. A row with the values of the row above is its copy, and in no
    cell. Other rows of shared cells are equal if their own cells have one key, and their bytes one 128-bit hash. The
    first row of each such set is compared with the first row of its cell, and what differs from it with the next one,
    for four rows. Cells of more different rows, as sparse rows have, are divided by hashes of rounded unit rows.

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
        for number, start in enumerate(range(0, n, size)):
            if number >= TOLD_BLOCKS and number % TOLD_BLOCKS == 0:
                report_progress(start, n, "finding equal rows", source.address)
            search.add(search.scan(to_numpy(source.read(start, start + size))))
        return search.groups(normalize=normalize)


@dataclass(frozen=True)
class ScannedRows:
    """Cells, copies and hashes of the rows of a block, as `EqualRowSearch.scan` finds them.

    Parameters
    ----------
    is_copy : numpy.ndarray
        Whether each row (m,) has the values of the row above.
    is_in_cell : numpy.ndarray
        Whether each row (m,) is in a cell.
    keys : numpy.ndarray
        Key of the box of each row in a cell (k,).
    more_keys, more_rows : numpy.ndarray
        Keys of further cells, and the places of their rows in the block.
    hashes : numpy.ndarray
        Two hashes of each row in a cell (2, k), or none (2, 0).

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[1.0, 2.0], [1.0, 2.0]])
    >>> EqualRowSearch(Source(rows, address="x")).scan(rows).is_copy.tolist()
    [False, True]
    """

    is_copy: np.ndarray
    is_in_cell: np.ndarray
    keys: np.ndarray
    more_keys: np.ndarray
    more_rows: np.ndarray
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
        self._cells = RowCells(dim, tolerance=TOLERANCE)
        self._is_copy, self._is_in_cell, self._is_hashed = (np.zeros(n, dtype=bool) for _ in range(3))
        self._keys = np.empty(n, dtype=np.uint32)
        self._more_keys, self._more_rows = [np.empty(0, dtype=np.uint32)], [np.empty(0, dtype=np.int32)]
        self._hashes = np.empty((2, 0), dtype=np.uint64)
        self._n_added, self._next_check = 0, 4 * block_rows(dim)
        self._is_hashing = not source.random_access

    def scan(self, block: np.ndarray, /) -> ScannedRows:
        """Return the cells, copies and hashes of consecutive rows (m, d). It may run in several threads."""
        block = np.asarray(block)  # slices of a memory-mapped array cost more
        is_copy, is_in_cell = np.zeros((2, len(block)), dtype=bool)
        is_hashing, n_distinct = self._is_hashing, 0
        coordinates = np.empty((N_DIRECTIONS, len(block)), dtype=np.float32)
        hashes = np.empty((2, len(block) if is_hashing else 0), dtype=np.uint64)
        for run in cache_sized_slices(block, buffers=3):
            begin = max(run.start - 1, 0)
            _mark_copies(block[begin : run.stop], is_copy[begin : run.stop])
            rows = block[run]
            if is_copy[run].any():
                rows = rows[~is_copy[run]]
                if not len(rows):
                    continue
            among_distinct = slice(n_distinct, n_distinct + len(rows))
            n_distinct += len(rows)
            coordinates[:, among_distinct] = self._cells.coordinates(rows)
            if is_hashing:
                hashes[:, among_distinct] = hash_bytes(rows)
        is_valid, keys, more_keys, more_rows = self._cells.keys(coordinates[:, :n_distinct])
        distinct = np.flatnonzero(~is_copy)
        is_in_cell[distinct] = is_valid
        hashes = hashes[:, :n_distinct]
        if not is_valid.all():
            is_copy &= is_valid[np.cumsum(~is_copy) - 1]  # copies of rows in no cell are distinct as well
            hashes = hashes[:, is_valid[: hashes.shape[1]]]
        return ScannedRows(is_copy, is_in_cell, keys, more_keys, distinct[more_rows], hashes)

    def add(self, scanned: ScannedRows, /) -> None:
        """Add the next rows of the source."""
        start = self._n_added
        self._n_added += len(scanned.is_copy)
        added = slice(start, self._n_added)
        self._is_copy[added], self._is_in_cell[added] = scanned.is_copy, scanned.is_in_cell
        in_cell = slice(None) if scanned.is_in_cell.all() else scanned.is_in_cell
        self._keys[added][in_cell] = scanned.keys
        self._more_keys.append(scanned.more_keys)
        self._more_rows.append((start + scanned.more_rows).astype(np.int32))
        if scanned.hashes.size:
            if not self._hashes.size:
                self._hashes = np.empty((2, len(self._keys)), dtype=np.uint64)
            self._is_hashed[added] = scanned.is_in_cell
            self._hashes[:, added][:, in_cell] = scanned.hashes
        if not self._is_hashing and self._n_added >= self._next_check:
            self._next_check *= 2
            ordered = np.sort(self._keys[: self._n_added][self._is_in_cell[: self._n_added]])
            n_shared = int(np.count_nonzero(ordered[1:] == ordered[:-1]))
            self._is_hashing = n_shared > HASHED_SHARE * len(ordered)

    def groups(self, *, normalize: bool = True) -> np.ndarray | None:
        """Return the result of `find_equal_rows` after all rows were added. It can be called once."""
        source, n = self._source, len(self._is_copy)
        first = np.arange(n, dtype=np.int32)
        if self._hashes.size:
            rows, first_rows = _first_of_equal((*self._hashes, self._keys), first[self._is_hashed])
            first[rows] = first_rows
        keys, rows = self._shared_cells(first)
        edges = []
        if len(rows):
            is_chosen = np.zeros(n, dtype=bool)
            is_chosen[rows] = True
            candidates = np.arange(n, dtype=np.int32)[is_chosen]
            del is_chosen
            if not self._is_hashed[candidates].all():
                self._join_rows_without_hashes(first, candidates)
                first = first[first]
            is_first = first[rows] == rows
            self._hashes, self._keys = self._hashes[:, :0].copy(), self._keys[:0].copy()  # their memory is free
            edges = list(equal_pairs(source, keys[is_first], rows[is_first]))
        if self._is_copy.any():  # of the row above
            first = first[_begins_of_runs(~self._is_copy)]
        if not edges:  # rows of equal values have equal lengths
            is_first = first == np.arange(n, dtype=np.int32)
            numbers = np.cumsum(is_first, dtype=np.int32)
            numbers -= 1
            return None if is_first.all() else numbers[first].astype(np.int64)
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        joined, others = np.concatenate(edges, axis=1)
        graph = coo_array((np.ones(len(joined), dtype=bool), (joined, others)), shape=(n, n))
        groups = renumber(connected_components(graph, directed=False)[1][first])
        groups = groups if normalize else _split_by_length(source, groups)
        return groups if int(groups.max()) + 1 < n else None

    def _shared_cells(self, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys of the cells that the first rows with their bytes share, and the row for each key."""
        is_first = first == np.arange(len(first), dtype=np.int32)
        is_first &= self._is_in_cell
        more_rows, more_keys = np.concatenate(self._more_rows), np.concatenate(self._more_keys)
        self._more_rows.clear()
        self._more_keys.clear()
        is_used = is_first[more_rows]
        more_rows, more_keys = more_rows[is_used], more_keys[is_used]
        keys = self._keys if is_first.all() else self._keys[is_first]
        is_shared = occur_twice(keys, more_keys)
        in_boxes, in_further_cells = np.split(is_shared, [len(keys)])
        rows = np.concatenate([first[is_first][in_boxes], more_rows[in_further_cells]])
        return np.concatenate([keys[in_boxes], more_keys[in_further_cells]]), rows

    def _join_rows_without_hashes(self, first: np.ndarray, rows: np.ndarray) -> None:
        """Read the rows that have no hashes, and write the first row with the bytes of each of the given rows."""
        is_unhashed = ~self._is_hashed[rows]
        if self._hashes.size:
            hashes, keys, positions = self._hashes, self._keys, rows
        else:  # room for these rows alone, which are few
            hashes, keys = np.empty((2, len(rows)), dtype=np.uint64), self._keys[rows]
            positions = np.arange(len(rows), dtype=np.int32)
        unhashed, unhashed_positions = rows[is_unhashed], positions[is_unhashed]
        del is_unhashed
        size = block_rows(self._source.shape[1])
        for start in range(0, len(unhashed), size):
            block = slice(start, start + size)
            hashes[:, unhashed_positions[block]] = hash_bytes(to_numpy(self._source.take(unhashed[block])))
        del unhashed, unhashed_positions
        ordered, first_positions = _first_of_equal((*hashes, keys), positions)
        if keys is self._keys:
            first[ordered] = first_positions
        else:
            first[rows[ordered]] = rows[first_positions]


def _first_of_equal(codes: Sequence[np.ndarray], positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first position with equal codes for each of some positions.

    Parameters
    ----------
    codes : sequence of numpy.ndarray
        Codes (n,) by position. The first ones are uint64.
    positions : numpy.ndarray
        Positions (m,) in ascending order, int32.

    Returns
    -------
    ordered, first : numpy.ndarray
        The positions (m,) in another order, and the first one with the codes of each.
    """
    # The lowest bits of the first code make room for the position, so that one sort orders both.
    position_bits = np.uint64((1 << max(len(codes[0]) - 1, 1).bit_length()) - 1)
    packed = codes[0][positions]
    packed &= ~position_bits
    packed |= positions.view(np.uint32)
    packed.sort()
    packed &= position_bits
    ordered = packed.astype(np.int32)  # those of one code are in ascending order
    del packed
    is_begin = np.zeros(len(ordered), dtype=bool)
    is_begin[:1] = True
    for code in codes:
        values = code[ordered]
        is_begin[1:] |= values[1:] != values[:-1]
        del values
    return ordered, ordered[_begins_of_runs(is_begin)]


def _begins_of_runs(is_begin: np.ndarray) -> np.ndarray:
    """Return the position at which the run of each element begins, int32."""
    positions = np.arange(len(is_begin), dtype=np.int32)
    positions[~is_begin] = 0
    return np.maximum.accumulate(positions, out=positions)


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
