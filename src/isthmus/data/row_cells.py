"""Cells of unit rows, by which rows that are nearly equal are found."""

from __future__ import annotations

import numpy as np

#: Random directions whose inner products with a unit row give its cell.
N_DIRECTIONS = 6
#: Evenly spaced columns that the inner products use, if rows have twice as many or more.
USED_COLUMNS = 64
#: Width of a cell in largest differences of an inner product.
CELL_WIDTH = 32


class RowCells:
    """Cells of rows, such that rows share one if their unit rows differ by at most `tolerance` in every coordinate.

    Parameters
    ----------
    dim : int
        Number of columns.
    tolerance : float
        Largest difference of a coordinate of two unit rows that are equal.

    Notes
    -----
    Two unit rows that are equal differ by at most delta = tolerance |r|_1 in the inner product with a direction r,
    besides rounding. A cell is a box of width 32 delta in six such products. A row within delta of the upper face of
    its box belongs to the next box as well, in every combination of directions. Equal rows thus share at least one
    cell. A key is 32 bits of a hash of the box, so that a few boxes have the key of another one.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[1.0, 2.0], [3.0, 4.0], [2.0, 4.0], [0.0, 0.0]])
    >>> cells = RowCells(2, tolerance=1e-6)
    >>> is_in_cell, keys, *_ = cells.keys(cells.coordinates(rows))
    >>> is_in_cell.tolist(), bool(keys[0] == keys[2])
    ([True, True, True, False], True)
    """

    def __init__(self, dim: int, /, *, tolerance: float) -> None:
        self._columns = slice(None, None, max(dim // USED_COLUMNS, 1))
        n_used = len(range(dim)[self._columns])
        directions = np.random.default_rng(0).normal(size=(n_used, N_DIRECTIONS))
        directions /= np.linalg.norm(directions, axis=0)
        # A float32 sum of m products is off by at most m u |x| |r|, the norm by dim u / 2, and each operand by u.
        rounding = 2 * (n_used + 8 + np.sqrt(dim)) * 2.0**-24
        deltas = tolerance * np.abs(directions).sum(axis=0) + rounding
        self._directions = (directions / (CELL_WIDTH * deltas)).astype(np.float32)
        factors = np.random.default_rng(1).integers(0, 2**63, size=N_DIRECTIONS, dtype=np.uint64)
        self._factors = factors * np.uint64(2) + 1

    def coordinates(self, rows: np.ndarray, /) -> np.ndarray:
        """Return the inner products (6, m) of one or more unit rows with the directions, in widths of a cell."""
        with np.errstate(all="ignore"):
            products, squares = self._project(rows)
            if not (squares.min() > 1e-20 and squares.max() < 1e20):  # NaN is neither
                extreme = np.flatnonzero(~((squares > 1e-20) & (squares < 1e20)))
                products[extreme], squares[extreme] = self._project(_scaled(rows[extreme]))
            products /= np.sqrt(squares)[:, None]
        return products.T

    def _project(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the inner products (m, 6) of rows with the directions, and the squared lengths of the rows."""
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        return np.ascontiguousarray(rows[:, self._columns]) @ self._directions, _squared_lengths(rows)

    def keys(self, coordinates: np.ndarray, /) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the keys of the cells of rows.

        Parameters
        ----------
        coordinates : numpy.ndarray
            Result of `coordinates` for m rows (6, m), which is overwritten.

        Returns
        -------
        is_in_cell : numpy.ndarray
            False for each row (m,) that is NaN, infinite or all zero.
        keys : numpy.ndarray
            Key of the box of each row in a cell (k,), uint32.
        more_keys, more_rows : numpy.ndarray
            Keys of the further cells of rows, and the numbers of these rows among the m rows.
        """
        is_in_cell = np.isfinite(coordinates.sum(axis=0))
        rows = np.flatnonzero(is_in_cell)
        if len(rows) < len(is_in_cell):
            coordinates = coordinates[:, rows]
        keys = np.zeros(len(rows), dtype=np.uint64)
        for direction, factor in enumerate(self._factors):
            boxes = np.floor(coordinates[direction])
            coordinates[direction] -= boxes
            keys += boxes.astype(np.int64).view(np.uint64) * factor
        more_keys, positions = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
        for values, factor in zip(coordinates, self._factors, strict=True):
            is_near = values >= 1 - 1.01 / CELL_WIDTH
            near_rows, near_cells = np.flatnonzero(is_near), np.flatnonzero(is_near[positions])
            more_keys = np.concatenate([more_keys, more_keys[near_cells] + factor, keys[near_rows] + factor])
            positions = np.concatenate([positions, positions[near_cells], near_rows])
        return is_in_cell, _upper_half(keys), _upper_half(more_keys), rows[positions]


def _upper_half(keys: np.ndarray) -> np.ndarray:
    """Return the upper 32 bits of each key."""
    return np.asarray((keys >> np.uint64(32)).astype(np.uint32))


def _squared_lengths(rows: np.ndarray) -> np.ndarray:
    """Return the squared length of each row. `vecdot` of NumPy 2 is faster."""
    return np.asarray(np.vecdot(rows, rows) if hasattr(np, "vecdot") else np.einsum("ij,ij->i", rows, rows))


def _scaled(rows: np.ndarray) -> np.ndarray:
    """Return rows whose largest value is 1, so that their squares stay in range."""
    rows = rows.astype(np.float64)
    return np.asarray(rows / np.abs(rows).max(axis=1, keepdims=True), dtype=np.float32)
