"""Sliced Wasserstein distance: the clouds compared along random directions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from isthmus.metrics._conditions import too_few_items
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.result import Estimate

DIRECTIONS = 128
#: Random swaps of the sides behind the null.
SWAPS = 10


@dataclass(frozen=True)
class Slices:
    """Both sides along the same random directions, (n, directions) each, items in random order."""

    x: np.ndarray
    y: np.ndarray
    squared_gap: float  # |mean x - mean y|^2
    dim: int

    @classmethod
    def of(cls, rows: PairedRows, /, *, directions: int = DIRECTIONS, rng: int = 0) -> Slices:
        """Project on `directions` uniform unit vectors; the same ones for the same `rng` and width."""
        dim = rows.x.shape[1]
        vectors = np.random.default_rng(rng).normal(size=(dim, directions))
        vectors /= np.linalg.norm(vectors, axis=0)
        order = rows.random_order
        x, y = (side[order].astype(np.float64) @ vectors for side in (rows.x, rows.y))
        gap = rows.x.mean(axis=0, dtype=np.float64) - rows.y.mean(axis=0, dtype=np.float64)
        return cls(x, y, float(gap @ gap), dim)

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Slices:
        """Project the sampled items."""
        return cls.of(context.shared(PairedRows))

    @cached_property
    def centred(self) -> float:
        """Mean over directions of the squared W2 distance after the means are aligned."""
        return _centred(self.x, self.y)

    @property
    def squared(self) -> float:
        """Mean over all directions of the squared W2 distance.

        Along a direction u it is (gap . u)^2 plus that of the centred clouds, and the mean of the first part over the
        sphere is |gap|^2 / d: it is not left to the random directions.
        """
        return self.squared_gap / self.dim + self.centred

    @cached_property
    def nulls(self) -> tuple[float, float]:
        """Mean of `squared` and of `centred` when each pair swaps its sides with probability 1/2."""
        rng = np.random.default_rng(0)
        whole, centred = [], []
        for _ in range(SWAPS):
            swap = rng.random(len(self.x)) < 0.5
            x, y = np.where(swap[:, None], self.y, self.x), np.where(swap[:, None], self.x, self.y)
            part = _centred(x, y)
            centred.append(part)
            whole.append(part + float(np.mean((x.mean(axis=0) - y.mean(axis=0)) ** 2)))
        return float(np.mean(whole)), float(np.mean(centred))


def _centred(x: np.ndarray, y: np.ndarray) -> float:
    differences = np.sort(x, axis=0) - np.sort(y, axis=0)
    return max(float(np.mean(np.var(differences, axis=0))), 0.0)


def _apart() -> tuple[np.ndarray, np.ndarray]:
    return np.tile([1.0, 0.0, 0.0], (30, 1)), np.tile([0.0, 1.0, 0.0], (30, 1))


@metric(
    "sliced_wasserstein",
    family="distribution",
    unit="distance",
    range=(0, 2),
    direction="lower",
    requires="rows",
    invariances=("row scale", "swap"),
    interval="none: the plug-in is biased upwards by sampling",
    null_model="modality swap",
    source="Bonneel et al. 2015, J. Math. Imaging Vis. 51",
    reference_case=lambda: (*_apart(), math.sqrt(2 / 3)),
)
def sliced_wasserstein(context: MetricContext) -> Estimate:
    """Sliced Wasserstein-2 distance: root of the mean over directions of the squared W2 distance of the projections,
    128 seeded directions for the centred part and |gap|^2 / d exactly for the means; on at most 10,000 random items
    with one partner each. The null is the root mean square when random pairs swap their sides.
    """
    if context.shared(PairedRows).n < 3:
        return too_few_items(context.shared(PairedRows).n, 3)
    s = context.shared(Slices)
    return Estimate(math.sqrt(s.squared), null=math.sqrt(s.nulls[0]))


@metric(
    "centred_sliced_wasserstein",
    family="distribution",
    unit="distance",
    range=(0, 2),
    direction="lower",
    requires="rows",
    invariances=("row scale", "swap"),
    interval="none: the plug-in is biased upwards by sampling",
    null_model="modality swap",
    source="Bonneel et al. 2015, J. Math. Imaging Vis. 51; centring derived for this package",
    reference_case=lambda: (*_apart(), 0.0),
)
def centred_sliced_wasserstein(context: MetricContext) -> Estimate:
    """Sliced Wasserstein-2 distance (128 seeded directions) that is left after the means of both sides are aligned; on
    at most 10,000 random items with one partner each. The null is the root mean square when random pairs swap their
    sides.
    """
    if context.shared(PairedRows).n < 3:
        return too_few_items(context.shared(PairedRows).n, 3)
    s = context.shared(Slices)
    return Estimate(math.sqrt(s.centred), null=math.sqrt(s.nulls[1]))
