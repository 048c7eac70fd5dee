"""What the figures show of the rows: two clouds on a plane, and cosines. Always a sample, never all rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.data.pairs import Pairs
from isthmus.evaluation import MAX_ITEMS as MAX_COMPARED_ITEMS
from isthmus.evaluation import Comparison, Summary
from isthmus.statistics.moments import moments_of
from isthmus.utils.errors import InputError

#: Items that axes and cosines are computed from, and items that are drawn.
ITEMS, DRAWN, LINES = 2_000, 400, 48


@dataclass(frozen=True)
class CloudProjection:
    """Rows of both sides on the plane of the mean difference (first axis) and of the widest spread (second
    axis).

    `x`, `y` are (n, 2), row i of one the partner of row i of the other; the origin lies between the means.
    """

    x: np.ndarray
    y: np.ndarray
    distance: float  # between the means

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, /) -> CloudProjection:
        """The plane of paired rows (n, d): axis 1 from mean x to mean y; axis 2 the first principal component
        of both sides, each centred on its own mean, orthogonalised to axis 1."""
        x, y = x.astype(np.float64), y.astype(np.float64)
        mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
        gap = mean_y - mean_x
        distance = float(np.linalg.norm(gap))
        first = gap / distance if distance > 1e-12 else np.eye(len(gap))[0]
        centred = np.concatenate([x - mean_x, y - mean_y])
        centred -= np.outer(centred @ first, first)
        # The principal component orthogonal to axis 1: the second axis when the first one is taken as given.
        second = np.linalg.eigh(centred.T @ centred)[1][:, -1]
        second -= (second @ first) * first
        length = np.linalg.norm(second)
        second = second / length if length > 1e-6 else np.zeros_like(first)
        second *= np.sign(second[np.argmax(np.abs(second))]) or 1.0  # the sign of an eigenvector is arbitrary
        axes = np.stack([first, second], axis=1)
        middle = (mean_x + mean_y) / 2
        return cls((x - middle) @ axes, (y - middle) @ axes, distance)

    def drawn(self, most: int = DRAWN) -> tuple[np.ndarray, np.ndarray]:
        """At most `most` pairs of points, evenly spread over the sample."""
        rows = np.linspace(0, len(self.x) - 1, min(most, len(self.x))).astype(int)
        return self.x[rows], self.y[rows]


def before_and_after(
    pairs: Pairs, /, *, row: Summary | None, fit: Pairs | None = None, normalize: bool = True
) -> tuple[CloudProjection, CloudProjection | None]:
    """The same held-out pairs raw and after the aligner of `row`, fitted anew on the other half or on `fit`.

    The second is None when there is no aligner, or when it refuses these pairs.
    """
    fitting, testing = (fit, pairs) if fit is not None else pairs.sample(MAX_COMPARED_ITEMS).split_half(rng=0)
    x, y = one_partner(testing.sample(ITEMS), normalize=normalize)
    before = CloudProjection.of(x, y)
    if row is None:
        return before, None
    aligner = type(row.aligner)(**row.aligner.get_params())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table shows them already
        try:
            aligner.fit_moments(moments_of(fitting, normalize=aligner.normalize))
            return before, CloudProjection.of(*aligner.transform(x, y))
        except InputError:
            return before, None


def one_partner(pairs: Pairs, /, *, normalize: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of the items that have a partner, each with its first one; (n, d) twice."""
    x, y = (to_numpy(side) for side in pairs.unit(normalize=normalize))
    if pairs.index is None:
        return x, y
    items, rows = np.unique(pairs.index, return_index=True)
    return x[items], y[rows]


@dataclass(frozen=True)
class Cosines:
    """Densities of cosines over `edges` (bins + 1) and their means, by kind.

    Kinds: 'paired', 'unpaired' (across the sides, different items), 'x' and 'y' (within that side).
    """

    edges: np.ndarray
    densities: dict[str, np.ndarray]
    means: dict[str, float]
    items: int

    @classmethod
    def of(cls, pairs: Pairs, /, *, normalize: bool = True, bins: int = 120) -> Cosines:
        """All cosines among at most 2,000 items."""
        x, y = one_partner(pairs.sample(ITEMS), normalize=normalize)
        across, others = x @ y.T, ~np.eye(len(x), dtype=bool)
        values = {
            "paired": np.diag(across).copy(),
            "unpaired": across[others],
            "x": (x @ x.T)[others],
            "y": (y @ y.T)[others],
        }
        ends = [np.quantile(v, [0.0005, 0.9995]) for v in values.values()]
        low, high = min(e[0] for e in ends), max(e[1] for e in ends)
        margin = max(0.03 * (high - low), 0.01)
        edges = np.linspace(max(low - margin, -1.001), min(high + margin, 1.001), bins + 1)
        densities = {}
        for kind, v in values.items():
            # Few pairs make a ragged histogram: the bins of small samples are joined.
            width = 1 if len(v) > 5_000 else 2 if len(v) > 300 else 6
            counts = np.histogram(v, edges[::width])[0]
            density = counts / len(v) / (edges[width] - edges[0])
            densities[kind] = np.repeat(density, width)
        return cls(edges, densities, {kind: float(v.mean()) for kind, v in values.items()}, len(x))


def null_angles(dim: int, ranks: tuple[int, int], /) -> np.ndarray:
    """Principal angles of random subspaces of these ranks in degrees, (draws, min(ranks)), ascending."""
    from isthmus.linalg.random_subspaces import random_principal_angles

    draws = int(np.clip(1e9 // (dim * ranks[0] * ranks[1]), 10, 40))
    return np.asarray(random_principal_angles(dim, *ranks, draws=draws, rng=0))


def held_out(comparison: Comparison, /, *, separate: bool) -> str:
    """How the table's pairs were split, as a sentence without its full stop."""
    if separate:
        return f"fitted on {comparison.n_fit:,} other pairs and judged on {comparison.n_test:,} pairs"
    halves = "one random half" if comparison.splits == 1 else f"{comparison.splits} random halves"
    return (
        f"fitted on one half ({comparison.n_fit:,} pairs) and judged on the other ({comparison.n_test:,} "
        f"pairs), "
        f"{halves}{'' if comparison.splits == 1 else ', scores averaged'}"
    )
