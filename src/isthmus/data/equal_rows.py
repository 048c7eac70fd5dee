"""Equal rows of one modality, found by hashes and confirmed by comparison."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import block_rows
from isthmus.data.hashing import hash_rows
from isthmus.data.joins import select_rows
from isthmus.data.numbering import renumber
from isthmus.data.pairs import Pairs
from isthmus.data.sources import Source

#: Fewest distinct rows of a modality that are grouped: with fewer the encoder has collapsed, or rows are classes.
MIN_DISTINCT_ROWS = 20
#: Most rows that are searched for equal ones. It takes 90 bytes a row, and 200 to 400 if most rows repeat.
MAX_ROWS = 5_000_000
#: Largest difference of a coordinate of two unit rows that are equal.
TOLERANCE = 1e-6
#: Random directions whose inner products with a unit row give its cell.
N_DIRECTIONS = 8
#: Columns whose products are summed in float32. The sums are added in float64.
CHUNK_COLUMNS = 128
#: Width of a cell in largest differences of an inner product.
CELL_WIDTH = 32
#: Rows of a cell that all other rows of the cell are compared with, one after the other.
MAX_LEADERS = 4


def find_equal_rows(source: Source, /) -> np.ndarray | None:
    """Return the number of the distinct row of each row.

    Two rows are equal if their unit rows differ by at most 1e-6 in every coordinate, so that a row and a multiple of it
    are equal. Rows that are NaN, infinite or all zero are distinct.

    Parameters
    ----------
    source : Source
        Rows (n, d), which are read once. Rows that may be equal are read again.

    Returns
    -------
    numpy.ndarray or None
        Group numbers (n,) from 0 in order of first occurrence, or None if all rows are distinct.

    Notes
    -----
    Equal unit rows differ by at most delta = 1e-6 |r|_1 in the inner product with a direction r, besides rounding. A
    cell is a box of width 32 delta in eight such products. A row within delta of the upper face of its box belongs to
    the next box as well, in every combination of directions. Equal rows thus share at least one cell. Rows of a cell
    are compared with its first row, and what differs from it with the next one. Rows that differ from four of them are
    compared by 128-bit hashes of their bytes alone.

    Examples
    --------
    >>> import numpy as np
    >>> find_equal_rows(Source(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]), address="x")).tolist()
    [0, 1, 0]
    """
    products, deltas = _inner_products(source)
    edges = list(_equal_pairs(source, products, deltas))
    if not edges:
        return None
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.concatenate(edges, axis=1)
    n = source.shape[0]
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(n, n))
    return renumber(connected_components(graph, directed=False)[1])


def group_equal_rows(pairs: Pairs, /) -> Pairs:
    """Make one item of rows that are equal, such as an image that is repeated beside each of its captions.

    Parameters
    ----------
    pairs : Pairs
        The pairs. Rows of both modalities are read once, and those that may be equal again.

    Returns
    -------
    Pairs
        Pairs whose x holds distinct rows, with an index, and whose `y_groups` number the distinct rows of y. `grouped`
        counts rows and distinct rows of the modality, or of both, with repeats. `pairs` itself if no row repeats.
        Rows of a modality are not grouped if fewer than 20 are distinct, or if they are not NumPy arrays. Rows of x
        with different labels stay apart.

    Examples
    --------
    >>> import numpy as np
    >>> x, y = np.random.default_rng(0).normal(size=(2, 60, 4))
    >>> grouped = group_equal_rows(Pairs(image=np.repeat(x[:30], 2, axis=0), text=y))
    >>> grouped.n_items, grouped.n_pairs, grouped.grouped
    (30, 60, {'image': {'rows': 60, 'distinct': 30}})
    """
    groups = _groups(pairs.x, pairs.labels)
    y_groups = _groups(pairs.y)
    y_groups = pairs.y_groups if y_groups is None else y_groups
    if groups is None and y_groups is pairs.y_groups:
        return pairs
    x, y = pairs.names
    rows_x, index, labels = pairs.x, pairs.index, pairs.labels
    if groups is not None:
        first_rows = np.unique(groups, return_index=True)[1]
        rows_x, index = select_rows(pairs.x, first_rows), groups[pairs.owner]
        labels = None if labels is None else labels[first_rows]
    grouped = type(pairs)(index=index, labels=labels, y_groups=y_groups, **{x: rows_x, y: pairs.y})
    grouped.key_join, grouped.dropped = pairs.key_join, pairs.dropped
    grouped.grouped = {
        name: {"rows": len(numbers), "distinct": int(numbers.max()) + 1}
        for name, numbers in ((x, groups), (y, y_groups))
        if numbers is not None
    }
    return grouped


def grouping_summary(pairs: Pairs, /) -> str:
    """Return a sentence about the equal rows of pairs that were grouped.

    Parameters
    ----------
    pairs : Pairs
        Pairs whose `grouped` is not None.

    Returns
    -------
    str
        The sentence.
    """
    counts = pairs.grouped or {}
    found = " and ".join(f"{c['distinct']:,} of {c['rows']:,} {name} rows" for name, c in counts.items())
    item = next(iter(counts)) if len(counts) == 1 else "item"
    intervals = "" if pairs.dependence is None else f"; {pairs.dependence}"
    return (
        f"{found} are distinct: equal rows count as one {item} with several matches{intervals}; --as-is, or "
        "open_pairs(..., group=False), takes every row as it is"
    )


def _groups(source: Source, labels: np.ndarray | None = None) -> np.ndarray | None:
    """Return the number of the distinct row of each row, or None if rows are not grouped."""
    n_rows = source.shape[0]
    if not source.is_numpy or not MIN_DISTINCT_ROWS < n_rows <= MAX_ROWS:
        return None
    groups = find_equal_rows(source)
    if groups is None:
        return None
    if labels is not None:
        classes = np.unique(labels, return_inverse=True)[1]
        groups = renumber(groups * (classes.max() + 1) + classes)
    return groups if MIN_DISTINCT_ROWS <= int(groups.max()) + 1 < n_rows else None


def _inner_products(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Return inner products of the unit rows with random directions, and the largest difference for equal rows."""
    n, dim = source.shape
    directions = np.random.default_rng(0).normal(size=(dim, N_DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    single = directions.astype(np.float32)
    products = np.empty((n, N_DIRECTIONS), dtype=np.float32)
    size = block_rows(dim)
    for start in range(0, n, size):
        block = to_numpy(source.read(start, start + size))
        with np.errstate(all="ignore"):
            rows = np.ascontiguousarray(block, dtype=np.float32)
            squares = np.einsum("ij,ij->i", rows, rows)
            if not np.all((squares > 1e-20) & (squares < 1e20)):
                rows = _scaled(block)
                squares = np.einsum("ij,ij->i", rows, rows)
            sums = np.zeros((len(rows), N_DIRECTIONS))
            for column in range(0, dim, CHUNK_COLUMNS):
                columns = slice(column, column + CHUNK_COLUMNS)
                sums += rows[:, columns] @ single[columns]
            products[start : start + len(rows)] = sums / np.sqrt(squares)[:, None]
    # A float32 sum of m products is off by at most m u |x| |r|, the norm by dim u / 2, and each operand by u.
    rounding = 2 * (CHUNK_COLUMNS + 8 + np.sqrt(dim)) * 2.0**-24
    return products, TOLERANCE * np.abs(directions).sum(axis=0) + rounding


def _scaled(block: np.ndarray) -> np.ndarray:
    """Return rows whose largest value is 1, so that their squares stay in range."""
    rows = block.astype(np.float64)
    return np.asarray(rows / np.abs(rows).max(axis=1, keepdims=True), dtype=np.float32)


def _cells(products: np.ndarray, deltas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the key of a cell and the row for each cell that a row belongs to."""
    rows = np.flatnonzero(np.isfinite(products).all(axis=1))
    keys = np.zeros(len(rows), dtype=np.uint64)
    factors = np.random.default_rng(1).integers(0, 2**63, size=N_DIRECTIONS, dtype=np.uint64) * np.uint64(2) + 1
    position = np.arange(len(rows))
    is_near = []
    for column, (delta, factor) in enumerate(zip(deltas, factors, strict=True)):
        cell = products[rows, column] / (CELL_WIDTH * delta)
        is_near.append(cell - np.floor(cell) >= 1 - 1.01 / CELL_WIDTH)
        keys += np.floor(cell).astype(np.int64).view(np.uint64) * factor
    for near, factor in zip(is_near, factors, strict=True):
        copied = near[position]
        keys = np.concatenate([keys, keys[copied] + factor])
        position = np.concatenate([position, position[copied]])
    return keys, rows[position]


def _equal_pairs(source: Source, products: np.ndarray, deltas: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs of equal rows (2, m) that connect all equal rows."""
    keys, rows = _cells(products, deltas)
    ordered = np.sort(keys)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return
    kept = np.flatnonzero(np.isin(keys, repeated))
    order = kept[np.lexsort((rows[kept], keys[kept]))]
    keys, rows = keys[order], rows[order]
    for _ in range(MAX_LEADERS):
        begins = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        leaders = np.repeat(rows[begins], np.diff(np.append(begins, len(keys))))
        is_close = np.all(np.abs(products[rows] - products[leaders]) <= 1.01 * deltas, axis=1) & (rows != leaders)
        candidates, inverse = np.unique(np.stack([leaders[is_close], rows[is_close]]), axis=1, return_inverse=True)
        is_equal = _are_equal(source, *candidates)
        if is_equal.any():
            yield candidates[:, is_equal]
        remaining = rows != leaders
        remaining[np.flatnonzero(is_close)[is_equal[inverse.ravel()]]] = False
        keys, rows = keys[remaining], rows[remaining]
        if not len(keys):
            return
    yield _same_bytes(source, np.unique(rows))


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


def _same_bytes(source: Source, rows: np.ndarray) -> np.ndarray:
    """Return pairs of a row and the first row with the same bytes, (2, m)."""
    size = block_rows(source.shape[1])
    hashes = np.empty((2, len(rows)), dtype=np.uint64)
    for start in range(0, len(rows), size):
        block = to_numpy(source.take(rows[start : start + size]))
        for seed in range(2):
            hashes[seed, start : start + size] = hash_rows(block, seed=seed)
    _, first, inverse = np.unique(hashes, axis=1, return_index=True, return_inverse=True)
    leaders = rows[first[inverse.ravel()]]
    return np.stack([leaders, rows])[:, leaders != rows]
