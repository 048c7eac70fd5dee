"""Intrinsic dimension from the two nearest neighbours."""

from __future__ import annotations

import numpy as np

from isthmus.compute.score_matrix import TopK
from isthmus.compute.topk import topk
from isthmus.metrics._conditions import too_few_items
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._neighbours import Neighbours
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.intervals import normal_interval
from isthmus.statistics.result import NAN, Estimate

#: Rows closer than this times their length are one row: float32 tells no less apart.
DUPLICATE = 1e-6
#: Neighbours that are searched for duplicates at once.
_K = 10


def _corners() -> tuple[np.ndarray, np.ndarray, float]:
    """Eight right angles far apart, legs 1 and 2: r2 / r1 is 2 at the corner, sqrt 5 and sqrt 5 / 2 at the ends."""
    e = np.eye(10)
    step = 1e-4 * np.stack([np.zeros(10), e[8], 2 * e[9]])
    x = (e[:8, None] + step).reshape(24, 10)
    return x, x, 23 / (8 * np.log(5))


@metric(
    "intrinsic_dimension_{side}",
    family="spectrum",
    unit="dimensions",
    range=(0, np.inf),
    direction="neither",
    requires="rows",
    interval="normal",
    null_model="none: it is a size",
    source="Facco et al. 2017 (TwoNN), Sci. Rep. 7:12140",
    reference_case=_corners,
)
def twonn(context: MetricContext) -> Estimate:
    """TwoNN dimension of one side, (N - 1) / sum log(r2 / r1) with the Euclidean distances to the two nearest other
    rows, untrimmed, on at most 10,000 random items; of an item with several partners the first counts, and of rows
    that are equal (closer than 1e-6) one is kept.

    The interval is that of a normal mean logarithm, for this number of rows: the estimate itself depends on n. Rows
    that are linked by nearest neighbours count as dependent.
    """
    rows = context.shared(PairedRows)
    if rows.n < 3:
        return too_few_items(rows.n, 3)
    value, error = two_nearest(rows.x, context.shared(Neighbours).xx if rows.unit else None)
    if np.isnan(value):
        return Estimate(NAN, undefined="fewer than three distinct rows, or all neighbours equally far")
    # The mean logarithm 1 / value is nearer to normal than the value.
    low, high = normal_interval(1 / value, (error / value**2) ** 2)
    return Estimate(value, 1 / high, 1 / low if low > 0 else np.inf)


def intrinsic_dimension(rows: np.ndarray, /) -> float:
    """TwoNN dimension of rows (n, d), see `two_nearest`.

    >>> rng = np.random.default_rng(0)
    >>> plane = np.zeros((2000, 5))
    >>> plane[:, :2] = rng.uniform(size=(2000, 2))
    >>> bool(1.8 < intrinsic_dimension(plane) < 2.2)
    True
    """
    return two_nearest(rows)[0]


def two_nearest(rows: np.ndarray, neighbours: TopK | None = None) -> tuple[float, float]:
    """TwoNN of the rows (n, d) after duplicates are dropped, and its standard error.

    NaN when fewer than three rows are left or all r1 = r2.

    `neighbours` are those of the rows by Euclidean distance, where they are at hand (of unit rows: by cosine).
    """
    rows = np.asarray(rows, dtype=rows.dtype if rows.dtype.kind == "f" else np.float64)
    while len(rows) >= 3:
        if neighbours is None:
            neighbours = _euclidean(rows)
        index = neighbours.index[:, :_K]
        distances = _distances(rows, index)
        scale = np.linalg.norm(rows, axis=1)
        equal = distances <= DUPLICATE * scale[:, None]
        if not equal.any():
            return _estimate(index, distances)
        rows, neighbours = rows[_one_of_each(index, equal)], None
    return NAN, NAN


def _estimate(index: np.ndarray, distances: np.ndarray) -> tuple[float, float]:
    """(N - 1) / sum log(r2 / r1) and its standard error, the sets of rows linked by nearest neighbours independent."""
    n = len(index)
    order = np.argsort(distances, axis=1, kind="stable")[:, :2]
    near = np.take_along_axis(distances, order, axis=1)
    logs = np.log(near[:, 1] / near[:, 0])
    total = float(logs.sum())
    if total <= 0:
        return NAN, NAN
    first = np.take_along_axis(index, order, axis=1)[:, 0]
    sums = np.bincount(_linked(n, np.arange(n), first), weights=logs - logs.mean())
    spread = float(np.sqrt(sums @ sums * len(sums) / max(len(sums) - 1, 1)))
    return (n - 1) / total, (n - 1) / total**2 * spread


def _euclidean(rows: np.ndarray) -> TopK:
    """Nearest other rows by distance: x . y - |y|^2 / 2 is largest where |x - y| is least."""
    norms = np.einsum("ij,ij->i", rows, rows)
    queries = np.column_stack([rows, np.ones(len(rows), dtype=rows.dtype)])
    return topk(queries, np.column_stack([rows, -norms / 2]), k=min(_K, len(rows) - 1), exclude_self=True)


def _distances(rows: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Distances of each row to the rows `index`, (n, k): from differences, exact where scores would cancel."""
    out = np.empty(index.shape)
    for start in range(0, len(rows), 512):
        part = slice(start, start + 512)
        out[part] = np.linalg.norm(rows[index[part]].astype(np.float64) - rows[part, None], axis=2)
    return out


def _one_of_each(index: np.ndarray, equal: np.ndarray) -> np.ndarray:
    """The first row of each set of rows that are linked by `equal`."""
    row, column = np.nonzero(equal)
    return np.sort(np.unique(_linked(len(index), row, index[row, column]), return_index=True)[1])


def _linked(n: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The number of the set that each of n rows belongs to when rows a[i] and b[i] are linked, (n,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(n, n))
    return connected_components(links, directed=False)[1]
