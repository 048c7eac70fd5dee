"""Means and covariances of the rows that an aligner was fitted to."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from isthmus.align._spectra import cached
from isthmus.statistics.moments import Moments


@dataclass(frozen=True, eq=False)
class Statistics:
    """Means and covariances of both modalities, without their pairing.

    Parameters
    ----------
    n_x, n_y : int
        Numbers of independent rows. Rows of y that belong to one item count once.
    mean_x, mean_y : ndarray of shape (d,)
        Means of the rows.
    cov_x, cov_y : ndarray of shape (d, d)
        Covariances with divisor n.

    Examples
    --------
    >>> import isthmus, numpy as np
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> isthmus.align.Centering().fit(X, X).statistics_.mean_x.tolist()
    [0.5, 0.5]
    """

    n_x: int
    n_y: int
    mean_x: np.ndarray
    mean_y: np.ndarray
    cov_x: np.ndarray
    cov_y: np.ndarray

    @classmethod
    def of(cls, moments: Moments) -> Statistics:
        """Return the statistics of paired moments.

        Parameters
        ----------
        moments : Moments
            NumPy moments of the pairs.

        Returns
        -------
        Statistics
            Means and covariances. An item with several rows of y counts once.
        """

        def compute() -> Statistics:
            count = moments.by_item.n_items
            return cls(count, count, moments.mean_x, moments.mean_y, moments.cov_x, moments.cov_y)

        return cached(moments, ("statistics",), compute)

    @classmethod
    def of_unpaired(cls, x: Moments, y: Moments) -> Statistics:
        """Return the statistics of unpaired rows.

        Parameters
        ----------
        x, y : Moments
            NumPy moments of the rows of each modality paired with themselves.

        Returns
        -------
        Statistics
            Means and covariances of both modalities.
        """
        return cls(x.n, y.n, x.mean_x, y.mean_x, x.cov_x, y.cov_x)

    def with_rows(self, modality: str, rows: Any, *, normalize: bool) -> Statistics:
        """Return a copy with the statistics of other rows in one modality.

        Parameters
        ----------
        modality : {'x', 'y'}
            Modality of the rows.
        rows : array of shape (n, d)
            Unpaired rows.
        normalize : bool
            Whether rows are divided by their norm first.

        Returns
        -------
        Statistics
            The statistics of `rows` for `modality`, and those of self for the other one.
        """
        moments = Moments.of(rows, rows, normalize=normalize).numpy()
        changes = {f"n_{modality}": moments.n, f"mean_{modality}": moments.mean_x, f"cov_{modality}": moments.cov_x}
        return replace(self, **changes)

    def moments(self, *, normalize: bool) -> Moments:
        """Return moments with these means and covariances and uncorrelated modalities.

        Parameters
        ----------
        normalize : bool
            Value of `Moments.normalize`.

        Returns
        -------
        Moments
            Moments for solutions that need no pairs.
        """
        n = min(self.n_x, self.n_y)
        xx, yy, xy = (
            np.outer(n * first_mean, second_mean)
            for first_mean, second_mean in (
                (self.mean_x, self.mean_x),
                (self.mean_y, self.mean_y),
                (self.mean_x, self.mean_y),
            )
        )
        xx += n * self.cov_x
        yy += n * self.cov_y
        zero_x, zero_y = np.zeros_like(self.mean_x), np.zeros_like(self.mean_y)
        return Moments(
            n, n * self.mean_x, n * self.mean_y, xx, yy, xy, 0.0, zero_x, zero_y, None, "float64", normalize
        )  # fmt: skip

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the numbers as arrays by name, for a file.

        Returns
        -------
        dict of str to ndarray
            One array per field.
        """
        return {f"fit.{f.name}": np.asarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, tables: dict[str, np.ndarray]) -> Statistics | None:
        """Rebuild the statistics from the arrays of `to_arrays`.

        Parameters
        ----------
        tables : dict of str to ndarray
            Arrays of a file.

        Returns
        -------
        Statistics or None
            None if the file holds no statistics.
        """
        values: dict[str, Any] = {f.name: tables.get(f"fit.{f.name}") for f in fields(cls)}
        if any(value is None for value in values.values()):
            return None
        return cls(**{name: value if value.ndim else value.item() for name, value in values.items()})
