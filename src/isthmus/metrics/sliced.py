"""Sliced Wasserstein distance between the two clouds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._reference_clouds import same_centred_clouds, two_points
from isthmus.statistics.result import Estimate

#: Random directions of the projections.
DIRECTIONS = 128
#: Random swaps of the modalities behind the null.
SWAPS = 10
#: Directions whose projections are sorted at a time.
SORTED_DIRECTIONS = 16


@dataclass(frozen=True)
class Slices:
    """Projections of both modalities on the same random directions.

    Parameters
    ----------
    x, y : numpy.ndarray
        Projections, (n, directions) each, with the items in random order.
    squared_gap : float
        |mean x - mean y|^2 of the rows.
    dim : int
        Dimension of the rows.
    """

    x: np.ndarray
    y: np.ndarray
    squared_gap: float
    dim: int

    @classmethod
    def of(cls, rows: PairedRows, /, *, directions: int = DIRECTIONS, rng: int = 0) -> Slices:
        """Project on `directions` uniform unit vectors, which depend on `rng` and the dimension alone."""
        dim = rows.x.shape[1]
        vectors = np.random.default_rng(rng).normal(size=(dim, directions))
        vectors /= np.linalg.norm(vectors, axis=0)
        order = rows.random_order
        x, y = (modality[order].astype(np.float64) @ vectors for modality in (rows.x, rows.y))
        gap = rows.x.mean(axis=0, dtype=np.float64) - rows.y.mean(axis=0, dtype=np.float64)
        return cls(x, y, float(gap @ gap), dim)

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Slices:
        """Project the sampled items."""
        return cls.of(context.shared(PairedRows))

    @property
    def centred(self) -> float:
        """Mean over directions of the squared W2 distance after the means are aligned."""
        return float(self._distances[1][0])

    @property
    def squared(self) -> float:
        """Mean over all directions of the squared W2 distance.

        Along a direction u it is (gap . u)^2 plus the distance of the centred clouds. The mean of the first term over
        the sphere is |gap|^2 / d, so that it needs no random directions.
        """
        return self.squared_gap / self.dim + self.centred

    @property
    def nulls(self) -> tuple[float, float]:
        """Mean of `squared` and of `centred` if each pair swaps its modalities with probability 1/2."""
        squares, centred = (values[1:] for values in self._distances)
        return float(np.mean(centred + squares)), float(np.mean(centred))

    @cached_property
    def _distances(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean over directions of the squared difference of means, and of the distance of the centred clouds.

        The first value of each is that of the data, and the others are those after random swaps, (1 + SWAPS,) each.
        """
        rng, (n, count) = np.random.default_rng(0), self.x.shape
        swaps = np.stack([np.zeros(n, dtype=bool), *(rng.random(n) < 0.5 for _ in range(SWAPS))])
        is_first = np.concatenate([~swaps, swaps], axis=1)  # rows of x and then of y in the first cloud
        squares, variances = np.zeros(len(swaps)), np.zeros(len(swaps))
        for start in range(0, count, SORTED_DIRECTIONS):
            columns = slice(start, start + SORTED_DIRECTIONS)
            # All rows are sorted once. A swap then only selects from them.
            union = np.concatenate([self.x[:, columns], self.y[:, columns]]).T
            order = np.argsort(union, axis=1)
            ordered = np.take_along_axis(union, order, axis=1).ravel()
            for number in range(len(swaps)):
                mask = is_first[number][order].ravel()
                differences = (ordered.compress(mask) - ordered.compress(~mask)).reshape(-1, n)
                squares[number] += float(np.sum(differences.mean(axis=1) ** 2))
                variances[number] += float(np.sum(differences.var(axis=1)))
        return squares / count, np.maximum(variances / count, 0.0)


@metric(
    "sliced_wasserstein",
    needs_pairs=False,
    min_items=3,
    family="distribution",
    unit="distance",
    range=(0, 2),
    direction="lower",
    requires="rows",
    invariances=("row scale", "swap"),
    interval="none: the plug-in is biased upwards by sampling",
    null_model="modality swap",
    source="Bonneel et al. 2015, J. Math. Imaging Vis. 51",
    reference_case=lambda: (*two_points(), math.sqrt(2 / 3)),
)
def sliced_wasserstein(context: MetricContext) -> Estimate:
    """Sliced Wasserstein-2 distance, the root of the mean over directions u of W2(x . u, y . u)^2.

    The centred clouds are projected on 128 seeded directions, and the means contribute exactly |gap|^2 / d. It is
    measured on at most 10,000 random items with one pair each. The null is the root mean square if random pairs swap
    their modalities.
    """
    slices = context.shared(Slices)
    return Estimate(math.sqrt(slices.squared), null=math.sqrt(slices.nulls[0]))


@metric(
    "centred_sliced_wasserstein",
    needs_pairs=False,
    min_items=3,
    undefined_if=("constant modalities",),
    family="distribution",
    unit="distance",
    range=(0, 2),
    direction="lower",
    requires="rows",
    invariances=("row scale", "swap"),
    interval="none: the plug-in is biased upwards by sampling",
    null_model="modality swap",
    source="Bonneel et al. 2015, J. Math. Imaging Vis. 51; centring derived for this package",
    reference_case=lambda: (*same_centred_clouds(), 0.0),
)
def centred_sliced_wasserstein(context: MetricContext) -> Estimate:
    """Sliced Wasserstein-2 distance (128 seeded directions) after the means of both modalities are aligned.

    It is measured on at most 10,000 random items with one pair each. The null is the root mean square if random pairs
    swap their modalities.
    """
    slices = context.shared(Slices)
    return Estimate(math.sqrt(slices.centred), null=math.sqrt(slices.nulls[1]))
