"""Intrinsic dimension of one modality from the two nearest neighbours."""

from __future__ import annotations

import numpy as np

from isthmus.compute.score_matrix import TopK
from isthmus.compute.topk import topk
from isthmus.metrics._conditions import undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.dyads import dyadic_variance
from isthmus.statistics.freedom import widened_variance
from isthmus.statistics.intervals import positive_interval
from isthmus.statistics.result import NAN, Estimate

#: Rows at a distance below this times their length are duplicates, which float32 cannot distinguish.
DUPLICATE_TOLERANCE = 1e-6
#: Fewest distinct rows for an interval.
MIN_INTERVAL_ROWS = 12
#: Rows that have no dimension.
FEW_DISTANCES = "fewer than three distinct rows, or equal distances to all neighbours"
#: Neighbours among which duplicates are searched at a time.
K = 10
#: Neighbours whose distances always matter, and units of rounding by which scores can misplace a neighbour.
NEAREST, ROUNDING_UNITS = 4, 64
#: Rows whose distances are computed at a time.
BLOCK_ROWS = 512


def _right_angles() -> tuple[np.ndarray, np.ndarray, float]:
    """Return eight right angles far apart with legs 1 and 2.

    r2 / r1 is 2 at the corner, and sqrt 5 and sqrt 5 / 2 at the ends.
    """
    e = np.eye(10)
    step = 1e-4 * np.stack([np.zeros(10), e[8], 2 * e[9]])
    x = (e[:8, None] + step).reshape(24, 10)
    return x, x, 23 / (8 * np.log(5))


@metric(
    "intrinsic_dimension_{side}",
    needs_pairs=False,
    min_items=3,
    min_interval_items=MIN_INTERVAL_ROWS,
    undefined_if=("constant side",),
    conditions=(FEW_DISTANCES,),
    family="spectrum",
    unit="dimensions",
    range=(0, np.inf),
    direction="neither",
    requires="rows",
    sweeps=(Neighbours,),
    interval="normal",
    null_model="none: it is a size",
    source="Facco et al. 2017 (TwoNN), Sci. Rep. 7:12140",
    reference_case=_right_angles,
)
def twonn(context: MetricContext) -> Estimate:
    """TwoNN dimension of one modality, (N - 1) / sum log(r2 / r1).

    r1 and r2 are the Euclidean distances to the two nearest other rows, without trimming. It is measured on at most
    10,000 random items, of which each has its first row. Of equal rows (closer than 1e-6) one is kept. The interval is
    symmetric on the scale of the logarithm, for this number of rows, because the estimate itself depends on n. Ratios
    of rows count as dependent if their pairs of nearest neighbours share a row. An interval needs 12 distinct rows.
    """
    rows = context.shared(PairedRows)
    nearest = _nearest_of_distinct(rows.x, context.shared(Neighbours).xx if rows.unit else None)
    value, error = _estimate(*nearest)
    if np.isnan(value):
        return undefined(FEW_DISTANCES)
    n_distinct = len(nearest[0])
    if n_distinct < MIN_INTERVAL_ROWS:
        return Estimate(value, note=f"no interval: {n_distinct} rows are distinct, {MIN_INTERVAL_ROWS} are needed")
    # The mean logarithm 1 / value is nearly a gamma variable, whose logarithm is closer to normal.
    # The error has a t factor already. This second one is empirical: with one alone, intervals of normal rows contain
    # the value in 86, 91 and 92 % for 12, 20 and 40 rows, and with both in 90, 92 and 93 %.
    low, high = positive_interval(1 / value, widened_variance((error / value**2) ** 2, n_distinct - 1))
    return Estimate(value, 1 / high, 1 / low if low > 0 else np.inf)


def intrinsic_dimension(rows: np.ndarray, /) -> float:
    """Return the TwoNN dimension of rows (n, d), see `two_nearest`.

    >>> rng = np.random.default_rng(0)
    >>> plane = np.zeros((2000, 5))
    >>> plane[:, :2] = rng.uniform(size=(2000, 2))
    >>> bool(1.8 < intrinsic_dimension(plane) < 2.2)
    True
    """
    return two_nearest(rows)[0]


def two_nearest(rows: np.ndarray, neighbours: TopK | None = None) -> tuple[float, float]:
    """Return the TwoNN dimension of the rows (n, d) without duplicates, and its standard error.

    Both are NaN if fewer than three rows are left or all r1 = r2. `neighbours` are the nearest rows by Euclidean
    distance, if they are known (of unit rows: by cosine).
    """
    return _estimate(*_nearest_of_distinct(rows, neighbours))


def _nearest_of_distinct(rows: np.ndarray, neighbours: TopK | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest rows of each row and their distances, both (m, k), after removal of duplicates.

    Both have no rows if fewer than three are distinct.
    """
    rows = np.asarray(rows, dtype=rows.dtype if rows.dtype.kind == "f" else np.float64)
    while len(rows) >= 3:
        if neighbours is None:
            neighbours = _nearest_by_distance(rows)
        nearest_rows = neighbours.index[:, :K]
        distances = _nearest_distances(rows, nearest_rows)
        lengths = np.linalg.norm(rows, axis=1)
        is_duplicate = distances <= DUPLICATE_TOLERANCE * lengths[:, None]
        if not is_duplicate.any():
            return nearest_rows, distances
        rows, neighbours = rows[_first_of_duplicates(nearest_rows, is_duplicate)], None
    return np.empty((0, 2), dtype=np.int64), np.empty((0, 2))


def _estimate(index: np.ndarray, distances: np.ndarray) -> tuple[float, float]:
    """Return (N - 1) / sum log(r2 / r1) and its standard error over pairs of nearest neighbours."""
    n = len(index)
    if n == 0:
        return NAN, NAN
    order = np.argsort(distances, axis=1, kind="stable")[:, :2]
    two_distances = np.take_along_axis(distances, order, axis=1)
    logs = np.log(two_distances[:, 1] / two_distances[:, 0])
    total = float(logs.sum())
    if total <= 0:
        return NAN, NAN
    first = np.take_along_axis(index, order, axis=1)[:, 0]
    variance = dyadic_variance(np.arange(n), first, logs - logs.mean(), n)
    return (n - 1) / total, (n - 1) / total**2 * float(np.sqrt(variance))


def _nearest_by_distance(rows: np.ndarray) -> TopK:
    """Return the nearest other rows by distance: |x - y| is smallest where x . y - |y|^2 / 2 is largest."""
    norms = np.einsum("ij,ij->i", rows, rows)
    queries = np.column_stack([rows, np.ones(len(rows), dtype=rows.dtype)])
    return topk(queries, np.column_stack([rows, -norms / 2]), k=min(K, len(rows) - 1), exclude_self=True)


def _nearest_distances(rows: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return the distances (n, k) of each row to its nearest rows `index`. They are inf where they cannot matter.

    The neighbours are ordered by scores, which are rounded. The last ones are therefore needed only if the second
    distance is not clearly below that of the last computed one.
    """
    distances = np.full(index.shape, np.inf)
    distances[:, :NEAREST] = _distances(rows, index[:, :NEAREST])
    if index.shape[1] > NEAREST:
        squares = np.sort(distances[:, :NEAREST], axis=1) ** 2
        slack = ROUNDING_UNITS * float(np.finfo(rows.dtype).eps) * float(np.max(np.einsum("ij,ij->i", rows, rows)))
        open_rows = np.flatnonzero(~(squares[:, -1] > squares[:, 1] + slack))
        distances[open_rows, NEAREST:] = _distances(rows[open_rows], index[open_rows, NEAREST:], rows)
    return distances


def _distances(rows: np.ndarray, index: np.ndarray, corpus: np.ndarray | None = None) -> np.ndarray:
    """Return the distances of each row to the rows `index` (n, k), from differences, where scores would cancel."""
    corpus = rows if corpus is None else corpus
    distances = np.empty(index.shape)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        differences = corpus[index[block]].astype(np.float64)
        differences -= rows[block, None]
        distances[block] = np.sqrt(np.einsum("ijk,ijk->ij", differences, differences))
    return distances


def _first_of_duplicates(index: np.ndarray, is_duplicate: np.ndarray) -> np.ndarray:
    """Return the number of the first row of each set of duplicates."""
    row, place = np.nonzero(is_duplicate)
    return np.sort(np.unique(_components(len(index), row, index[row, place]), return_index=True)[1])


def _components(n: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the number of the connected component of each of n rows if rows a[i] and b[i] are linked, (n,)."""
    from scipy.sparse import coo_array  # imported late: scipy.sparse takes a tenth of a second
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(n, n))
    return connected_components(links, directed=False)[1]
