"""Intrinsic dimension from the two nearest neighbours."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._base import View, metric
from isthmus.metrics._neighbours import Nearest, nearest
from isthmus.metrics._rows import few
from isthmus.result import NAN, Estimate

#: Rows closer than this times their length are one row: float32 tells no less apart.
DUPLICATE = 1e-6
#: Neighbours that are searched for duplicates at once.
_K = 10


def _helix() -> tuple[np.ndarray, np.ndarray, float]:
    """Rows whose second neighbour is 1.2 times as far as the first, all of them."""
    # Points t_k on a line in pairs at distance 1, far apart; see the test for the value.
    rows = []
    for block in range(6):
        base = np.zeros(8)
        base[block] = 1.0
        for offset in ((0.0, 0.0), (1e-3, 0.0), (0.0, 1e-3 * 1.2)):
            rows.append(base + np.array([0, 0, 0, 0, 0, 0, *offset]))
    x = np.array(rows)
    return x, x, intrinsic_dimension(x / np.linalg.norm(x, axis=1, keepdims=True))


@metric(
    "intrinsic_dimension_{side}",
    unit="dimensions",
    range=(0, np.inf),
    needs="rows",
    source="Facco et al. 2017 (TwoNN), Sci. Rep. 7:12140",
    known=lambda: _helix(),
)
def twonn(view: View) -> Estimate:
    """TwoNN dimension of one side, (N - 1) / sum log(r2 / r1) with the Euclidean distances to the two nearest other
    rows, untrimmed, on at most 10,000 random items; of an item with several partners the first counts, and of rows
    that are equal (closer than 1e-6) one is kept. No null: it is a size. No interval: it depends on n, and rows
    share their neighbours.
    """
    rows = view.rows
    if rows.n < 3:
        return few(rows.n, 3)
    value = intrinsic_dimension(rows.x, rows.neighbours.xx if rows.unit else None)
    if np.isnan(value):
        return Estimate(NAN, undefined="fewer than three distinct rows, or all neighbours equally far")
    return Estimate(value)


def intrinsic_dimension(rows: np.ndarray, neighbours: Nearest | None = None) -> float:
    """TwoNN of the rows (n, d) after duplicates are dropped; NaN when fewer than three are left or all r1 = r2.

    `neighbours` are those of the rows by Euclidean distance, where they are at hand (of unit rows: by cosine).

    >>> rng = np.random.default_rng(0)
    >>> plane = np.zeros((2000, 5))
    >>> plane[:, :2] = rng.uniform(size=(2000, 2))
    >>> bool(1.8 < intrinsic_dimension(plane) < 2.2)
    True
    """
    rows = np.asarray(rows, dtype=rows.dtype if rows.dtype.kind == "f" else np.float64)
    while len(rows) >= 3:
        if neighbours is None:
            neighbours = _euclidean(rows)
        index = neighbours.index[:, :_K]
        distances = _distances(rows, index)
        near = np.sort(distances, axis=1)[:, :2]
        scale = np.linalg.norm(rows, axis=1)
        equal = distances <= DUPLICATE * scale[:, None]
        if not equal.any():
            logs = float(np.sum(np.log(near[:, 1] / near[:, 0])))
            return (len(rows) - 1) / logs if logs > 0 else NAN
        rows, neighbours = rows[_one_of_each(index, equal)], None
    return NAN


def _euclidean(rows: np.ndarray) -> Nearest:
    """Nearest other rows by distance: x . y - |y|^2 / 2 is largest where |x - y| is least."""
    norms = np.einsum("ij,ij->i", rows, rows)
    queries = np.column_stack([rows, np.ones(len(rows), dtype=rows.dtype)])
    return nearest(queries, np.column_stack([rows, -norms / 2]), k=min(_K, len(rows) - 1), leave_self=True)


def _distances(rows: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Distances of each row to the rows `index`, (n, k): from differences, exact where scores would cancel."""
    out = np.empty(index.shape)
    for start in range(0, len(rows), 512):
        part = slice(start, start + 512)
        out[part] = np.linalg.norm(rows[index[part]].astype(np.float64) - rows[part, None], axis=2)
    return out


def _one_of_each(index: np.ndarray, equal: np.ndarray) -> np.ndarray:
    """The first row of each set of rows that are linked by `equal`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(index)
    row, column = np.nonzero(equal)
    links = coo_array((np.ones(len(row), dtype=np.int8), (row, index[row, column])), shape=(n, n))
    _, component = connected_components(links, directed=False)
    return np.sort(np.unique(component, return_index=True)[1])
