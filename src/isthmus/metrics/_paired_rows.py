"""Rows in memory, one of each modality per item."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from isthmus.compute.arrays import to_numpy
from isthmus.data.open_spec import OpenSpec
from isthmus.data.pairs import Pairs
from isthmus.metrics._context import MetricContext

#: Shuffled pairings behind a null.
SHUFFLES = 20
#: Rows of x whose scores with the rows of y around them are computed at a time.
BAND_ROWS = 256
#: Rounding error of a squared distance in float64 as a share of the squared lengths.
ROUNDING = 1e-14


class PairedRows:
    """Items as matching rows x[i] and y[i]. An item of several pairs has the first of them.

    Pairs that share rows are one item: an image with its captions, or a caption with its images.

    Parameters
    ----------
    x, y : numpy.ndarray
        Rows, (n, d) each. If one is float32 and the other float64, both become float64.
    labels : numpy.ndarray or None
        A class for each item, (n,).
    unit : bool
        True if all rows have length 1.
    open_spec : OpenSpec or None
        Arguments that open the same pairs in another process.
    is_one_to_one : bool
        True if these are all rows of the items.

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
        is_one_to_one: bool = True,
    ):
        dtype = np.result_type(x, y)  # sums of products are stored in it
        self.x = x.astype(dtype, copy=False)
        self.y = y.astype(dtype, copy=False)
        self.labels = labels
        self.unit = unit
        self.open_spec = open_spec
        self.is_one_to_one = is_one_to_one

    @classmethod
    def of(
        cls, pairs: Pairs, /, *, normalize: bool = True, rows: tuple[np.ndarray, np.ndarray] | None = None
    ) -> PairedRows:
        """Return the items of `pairs` that have a matching row. All of them are held in memory.

        Parameters
        ----------
        pairs : Pairs
            The pairs.
        normalize : bool, default True
            Divide rows by their norms.
        rows : tuple of numpy.ndarray, optional
            Rows of x and of y, if they have been read already.

        Returns
        -------
        PairedRows
            One pair for each item.
        """
        x, y = rows or (to_numpy(modality) for modality in pairs.unit(normalize=normalize))
        labels = pairs.labels
        is_one_to_one = pairs.index is None and pairs.y_groups is None
        if not is_one_to_one:
            items, y_rows = pairs.first_pairs
            x, y = x[items], y[y_rows]
            labels = None if labels is None else labels[items]
        return cls(x, y, labels=labels, unit=normalize, open_spec=pairs.open_spec, is_one_to_one=is_one_to_one)

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
        return cls.of(context.sample, normalize=context.normalize, rows=context.sample_rows)

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
        return PairedRows(self.y, self.x, labels=self.labels, unit=self.unit, is_one_to_one=self.is_one_to_one)

    @cached_property
    def random_order(self) -> np.ndarray:
        """Numbers of the items in a random order, (n,).

        Items are sorted by their paired cosine and then shuffled with a fixed seed. The same items therefore get the
        same splits and shuffles, whatever order they came in.
        """
        cosines = np.einsum("ij,ij->i", self.x, self.y, dtype=np.float64)
        return np.argsort(cosines, kind="stable")[np.random.default_rng(0).permutation(self.n)]

    @cached_property
    def non_matching_scores(self) -> np.ndarray:
        """Inner products x_i . y_j with i != j, which pair every x with the y of another item, (shuffles, n).

        The shuffles are cyclic shifts by 1, -1, 2, -2 ... of one random order, at most `SHUFFLES`. Each shuffle comes
        with its inverse, so that swapping x and y gives the same shuffles. All of them lie in a band of the matrix of
        scores, which is computed in blocks in float64.
        """
        n, order = self.n, self.random_order
        shifts = [(1 + number // 2) * (-1) ** number for number in range(min(SHUFFLES, 2 * (n - 1)))]
        width = max(shifts, default=0)
        scores = np.empty((len(shifts), n))
        for start in range(0, n, BAND_ROWS):
            rows = np.arange(start, min(start + BAND_ROWS, n))
            columns = np.arange(start - width, rows[-1] + 1 + width) % n
            band = self.x[order[rows]].astype(np.float64) @ self.y[order[columns]].astype(np.float64).T
            for number, shift in enumerate(shifts):
                scores[number, rows] = band[rows - start, rows - start + width - shift]
        return scores

    @property
    def non_matching_distances(self) -> np.ndarray:
        """Distances of the pairs of `non_matching_scores`, (shuffles, n)."""
        n, order = self.n, self.random_order
        squares_x, squares_y = (
            np.einsum("ij,ij->i", modality, modality, dtype=np.float64)[order] for modality in (self.x, self.y)
        )
        distances = np.empty_like(self.non_matching_scores)
        for number, scores in enumerate(self.non_matching_scores):
            lengths = squares_x + squares_y[(np.arange(n) - (1 + number // 2) * (-1) ** number) % n]
            squares = lengths - 2 * scores
            distances[number] = np.sqrt(np.where(squares > ROUNDING * lengths, squares, 0))  # equal rows have 0
        return distances
