"""Sample the rows for the figures: two clouds on a plane, and cosines. The figures never use all rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import row_dot, to_numpy
from isthmus.data.pairs import Pairs
from isthmus.linalg.leading import leading_eigenvector
from isthmus.linalg.random_subspaces import random_principal_angles

#: Items that axes and cosines are computed from, items that are visible, and pairs that are joined by a line.
MAX_ITEMS, MAX_POINTS, MAX_LINES = 2_000, 400, 48
#: Multiplications that the random principal angles of a page may cost.
RANDOM_ANGLE_COST = 1e9
#: Numbers of cosines below which two, and six, bins of a density are joined, so that few pairs give no ragged curve.
JOIN_TWO_BELOW, JOIN_SIX_BELOW = 5_000, 300


def visible_rows(n_rows: int, max_points: int = MAX_POINTS) -> np.ndarray:
    """Return at most `max_points` row numbers, evenly spread."""
    return np.linspace(0, n_rows - 1, min(max_points, n_rows)).astype(int)


@dataclass(frozen=True)
class CloudProjection:
    """Rows of both modalities on the plane of the mean difference (axis 1) and of the widest spread (axis 2).

    `x` and `y` are (n, 2), and their rows i are a matching pair. The origin lies between the means, whose distance is
    `distance`.
    """

    x: np.ndarray
    y: np.ndarray
    distance: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, /) -> CloudProjection:
        """Project paired rows (n, d).

        Axis 1 points from mean x to mean y. Axis 2 is the first principal component of both modalities, each centred on
        its own mean, made orthogonal to axis 1.
        """
        x, y = x.astype(np.float64), y.astype(np.float64)
        mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
        gap = mean_y - mean_x
        distance = float(np.linalg.norm(gap))
        first_axis = gap / distance if distance > 1e-12 else np.eye(len(gap))[0]
        centred = np.concatenate([x - mean_x, y - mean_y])
        centred -= np.outer(centred @ first_axis, first_axis)
        second_axis = leading_eigenvector(centred.T @ centred)
        second_axis -= (second_axis @ first_axis) * first_axis
        length = np.linalg.norm(second_axis)
        second_axis = second_axis / length if length > 1e-6 else np.zeros_like(first_axis)
        # The sign of an eigenvector is arbitrary, so that its largest entry is made positive.
        second_axis *= np.sign(second_axis[np.argmax(np.abs(second_axis))]) or 1.0
        axes = np.stack([first_axis, second_axis], axis=1)
        middle = (mean_x + mean_y) / 2
        return cls((x - middle) @ axes, (y - middle) @ axes, distance)

    def visible_points(self, max_points: int = MAX_POINTS) -> tuple[np.ndarray, np.ndarray]:
        """Return at most `max_points` pairs of points, evenly spread over the sample."""
        rows = visible_rows(len(self.x), max_points)
        return self.x[rows], self.y[rows]


def one_pair_per_item(pairs: Pairs, /, *, normalize: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return unit rows (n, d) of the first pair of each item, where pairs that share rows are one item."""
    x, y = (to_numpy(rows) for rows in pairs.unit(normalize=normalize))
    if pairs.index is None and pairs.y_groups is None:
        return x, y
    items, rows = pairs.first_pairs
    return x[items], y[rows]


@dataclass(frozen=True)
class CosineSample:
    """Densities and means of the cosines among `items` items of the modalities `names`, by kind.

    `edges` are the bins + 1 edges of the densities. Kinds are 'paired' (all `pairs` matching pairs of these items),
    'unpaired' (non-matching pairs across the modalities), and 'x' and 'y' (different items within a modality). The
    last three use one random pair of each item.
    """

    names: tuple[str, str]
    edges: np.ndarray
    densities: dict[str, np.ndarray]
    means: dict[str, float]
    items: int
    pairs: int

    @classmethod
    def of(cls, pairs: Pairs, /, *, normalize: bool = True, bins: int = 120) -> CosineSample:
        """Return the cosines among at most 2,000 items."""
        sample = pairs.sample(MAX_ITEMS)
        x, y = (to_numpy(rows) for rows in sample.unit(normalize=normalize))
        matching = np.asarray(row_dot(x[sample.owner], y))
        items, rows = _random_pairs(sample)
        x, y = x[items], y[rows]
        different_items = ~np.eye(len(x), dtype=bool)
        cosines = {
            "paired": matching,
            "unpaired": (x @ y.T)[different_items],
            "x": (x @ x.T)[different_items],
            "y": (y @ y.T)[different_items],
        }
        extremes = [np.quantile(values, [0.0005, 0.9995]) for values in cosines.values()]
        low, high = min(e[0] for e in extremes), max(e[1] for e in extremes)
        margin = max(0.03 * (high - low), 0.01)
        edges = np.linspace(max(low - margin, -1.001), min(high + margin, 1.001), bins + 1)
        densities = {}
        for kind, values in cosines.items():
            width = 1 if len(values) > JOIN_TWO_BELOW else 2 if len(values) > JOIN_SIX_BELOW else 6
            counts = np.histogram(values, edges[::width])[0]
            density = counts / len(values) / (edges[width] - edges[0])
            densities[kind] = np.repeat(density, width)
        means = {kind: float(values.mean()) for kind, values in cosines.items()}
        return cls(pairs.names, edges, densities, means, len(x), len(matching))


def _random_pairs(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return item and row of y of a random pair of each unit of `Pairs.first_pairs`."""
    if pairs.n_pairs == len(pairs.first_pairs[1]) or (pairs.dependence is not None and pairs.y_groups is not None):
        return pairs.first_pairs
    order = np.random.default_rng(0).permutation(pairs.n_pairs)
    rows = order[np.unique(pairs.sampling_units[pairs.owner[order]], return_index=True)[1]]
    return pairs.owner[rows], rows


def random_subspace_angles(dim: int, ranks: tuple[int, int], /) -> np.ndarray:
    """Return principal angles of random subspaces of these ranks in degrees, (draws, min(ranks)), ascending."""
    draws = int(np.clip(RANDOM_ANGLE_COST // (dim * ranks[0] * ranks[1]), 10, 40))
    return np.asarray(random_principal_angles(dim, *ranks, draws=draws, rng=0))
