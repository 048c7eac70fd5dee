"""Rows in memory, one of each modality per item."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.data.open_spec import OpenSpec
from isthmus.data.pairs import Pairs
from isthmus.metrics._context import MetricContext

#: Shuffled pairings behind a null.
SHUFFLES = 20


class PairedRows:
    """Items as matching rows x[i] and y[i]. An item of several pairs has the first of them.

    Pairs that share rows are one item: an image with its captions, or a caption with its images.

    Parameters
    ----------
    x, y : numpy.ndarray
        Rows, (n, d) each.
    labels : numpy.ndarray or None
        A class for each item, (n,).
    unit : bool
        True if all rows have length 1.
    open_spec : OpenSpec or None
        Arguments that open the same pairs in another process.

    Examples
    --------
    >>> import numpy as np
    >>> rows = PairedRows(np.eye(3), np.eye(3)[[1, 2, 0]])
    >>> rows.n, rows.swapped().x[0].tolist()
    (3, [0.0, 1.0, 0.0])
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        labels: Any = None,
        unit: bool = True,
        open_spec: OpenSpec | None = None,
    ):
        self.x = x
        self.y = y
        self.labels = labels
        self.unit = unit
        self.open_spec = open_spec

    @classmethod
    def of(cls, pairs: Pairs, /, *, normalize: bool = True) -> PairedRows:
        """Return the items of `pairs` that have a matching row. All of them are held in memory.

        Parameters
        ----------
        pairs : Pairs
            The pairs.
        normalize : bool, default True
            Divide rows by their norms.

        Returns
        -------
        PairedRows
            One pair for each item.
        """
        x, y = (to_numpy(rows) for rows in pairs.unit(normalize=normalize))
        labels = pairs.labels
        if pairs.index is not None or pairs.y_groups is not None:
            items, rows = pairs.first_pairs
            x, y = x[items], y[rows]
            labels = None if labels is None else labels[items]
        return cls(x, y, labels=labels, unit=normalize, open_spec=pairs.open_spec)

    @classmethod
    def from_context(cls, context: MetricContext, /) -> PairedRows:
        """Return the sampled items.

        Parameters
        ----------
        context : MetricContext
            The data.

        Returns
        -------
        PairedRows
            One pair for each of at most 10,000 items.
        """
        return cls.of(context.sample, normalize=context.normalize)

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.x)

    def swapped(self) -> PairedRows:
        """Return the same rows with x and y exchanged.

        Returns
        -------
        PairedRows
            The rows.
        """
        return PairedRows(self.y, self.x, labels=self.labels, unit=self.unit)

    @cached_property
    def random_order(self) -> np.ndarray:
        """Numbers of the items in a random order, (n,).

        Items are sorted by their paired cosine and then shuffled with a fixed seed. The same items therefore get the
        same splits and shuffles, whatever order they came in.
        """
        cosines = np.einsum("ij,ij->i", self.x, self.y, dtype=np.float64)
        return np.argsort(cosines, kind="stable")[np.random.default_rng(0).permutation(self.n)]

    def non_matching_rows(self, shuffles: int = SHUFFLES) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield row numbers (i, j), i != j, that pair every x with the y of another item, one for each shuffle.

        The shuffles are cyclic shifts by 1, -1, 2, -2 ... of one random order. Each shuffle comes with its inverse,
        so that swapping x and y gives the same shuffles.

        Parameters
        ----------
        shuffles : int
            Largest number of shuffles.

        Yields
        ------
        tuple of array
            Row numbers of x and of y, (n,) each.
        """
        order = self.random_order
        for number in range(min(shuffles, 2 * (self.n - 1))):
            shift = (1 + number // 2) * (-1) ** number
            yield order, np.roll(order, shift)
