"""One-to-one rows: what measures of neighbours and of all pairs of rows look at, and the work that they share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.compute.resources import current
from isthmus.statistics.result import NAN, Estimate

if TYPE_CHECKING:
    from isthmus.data.pairs import OpenSpec, Pairs
    from isthmus.metrics._neighbours import Neighbours
    from isthmus.metrics._pairwise_sums import PairwiseSums
    from isthmus.metrics.separability import Probe
    from isthmus.metrics.sliced import Slices


class PairedRows:
    """Items as rows x[i] and y[i], (n, d) each, NumPy: of an item with several partners the first one.

    Everything that is expensive is computed once, also when the sides are swapped.

    >>> import numpy as np
    >>> rows = PairedRows(np.eye(3), np.eye(3)[[1, 2, 0]])
    >>> rows.n, rows.swapped().x[0].tolist()
    (3, [0.0, 1.0, 0.0])
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, *, labels: Any = None, unit: bool = True):
        self.x = x
        self.y = y
        self.labels = labels
        self.unit = unit
        self._origin: PairedRows | None = None
        self._open_spec: OpenSpec | None = None

    @classmethod
    def of(cls, pairs: Pairs, /, *, normalize: bool = True) -> PairedRows:
        """The items of `pairs` that have a partner; all of them are held in memory: sample before."""
        x, y = (to_numpy(side) for side in pairs.unit(normalize=normalize))
        labels = pairs.labels
        if pairs.index is not None:
            items, first = np.unique(pairs.index, return_index=True)
            x, y = x[items], y[first]
            labels = None if labels is None else labels[items]
        rows = cls(x, y, labels=labels, unit=normalize)
        rows._open_spec = pairs.open_spec
        return rows

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.x)

    def swapped(self) -> PairedRows:
        """The same rows with x and y exchanged."""
        other = PairedRows(self.y, self.x, labels=self.labels, unit=self.unit)
        other._origin = self
        return other

    @cached_property
    def random_order(self) -> np.ndarray:
        """The numbers of the items in a random order that does not depend on the order in which they came.

        Items are sorted by their paired cosine before they are shuffled with a fixed seed: random splits and
        permutations are then the same for the same items.
        """
        if self._origin is not None:
            return self._origin.random_order
        cosines = np.einsum("ij,ij->i", self.x, self.y, dtype=np.float64)
        return np.argsort(cosines, kind="stable")[np.random.default_rng(0).permutation(self.n)]

    def non_matching_rows(self, shuffles: int = 20) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Row numbers (i, j), i != j, that pair every x with the y of another item, for some shuffles.

        A random order is turned by 1, -1, 2, -2 ... places: with each shuffle comes its inverse, so that swapping the
        sides changes nothing.
        """
        order = self.random_order
        for number in range(min(shuffles, 2 * (self.n - 1))):
            turn = (1 + number // 2) * (-1) ** number
            yield order, np.roll(order, turn)

    @cached_property
    def neighbours(self) -> Neighbours:
        """The nearest rows of every row on both sides (`_neighbours.Neighbours`); found by the cluster in use when
        its workers can open the same rows."""
        from isthmus.metrics._neighbours import MOST, Neighbours

        if self._origin is not None:
            return self._origin.neighbours.swapped()
        cluster = current().cluster
        if cluster is not None and self._open_spec is not None:
            return Neighbours.joined(*cluster.neighbours(self._open_spec, self.n, normalize=self.unit, k=MOST))
        return Neighbours.of(self.x, self.y)

    @cached_property
    def probe(self) -> Probe:
        """Held-out decision values of a linear probe for the modality (`separability.Probe`)."""
        from isthmus.metrics.separability import Probe

        return Probe.of(self)

    @cached_property
    def slices(self) -> Slices:
        """Both sides along random directions (`sliced.Slices`)."""
        from isthmus.metrics.sliced import Slices

        return Slices.of(self)

    @cached_property
    def pairwise(self) -> PairwiseSums:
        """Sums of functions of all distances (`_pairwise_sums.PairwiseSums`)."""
        from isthmus.metrics._pairwise_sums import PairwiseSums

        return PairwiseSums.of(self) if self._origin is None else self._origin.pairwise.swapped()


def too_few_items(n: int, least: int) -> Estimate:
    """The estimate when there are too few items."""
    return Estimate(NAN, undefined=f"{n} item{'s' if n != 1 else ''} with a partner, at least {least} are needed")
