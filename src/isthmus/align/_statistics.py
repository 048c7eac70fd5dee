"""What an aligner remembers of the rows that it was fitted on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from isthmus.statistics.moments import Moments


@dataclass(frozen=True, eq=False)
class Statistics:
    """Numbers of independent rows, means (d,) and covariances (d, d; with 1/n) of both sides; no pairing."""

    n_x: int
    n_y: int
    mean_x: np.ndarray
    mean_y: np.ndarray
    cov_x: np.ndarray
    cov_y: np.ndarray

    @classmethod
    def of(cls, moments: Moments) -> Statistics:
        """Those of NumPy `moments`; items with several partners count once."""
        count = moments.by_item.n_items
        return cls(count, count, moments.mean_x, moments.mean_y, moments.cov_x, moments.cov_y)

    @classmethod
    def of_sides(cls, x: Moments, y: Moments) -> Statistics:
        """Those of unpaired rows: the NumPy moments of each side with itself."""
        return cls(x.n, y.n, x.mean_x, y.mean_x, x.cov_x, y.cov_x)

    def with_side(self, side: str, rows: Any, *, normalize: bool) -> Statistics:
        """The same with the statistics of unpaired `rows` on the side 'x' or 'y'."""
        alone = Moments.of(rows, rows, normalize=normalize).numpy()
        return replace(
            self, **{f"n_{side}": alone.n, f"mean_{side}": alone.mean_x, f"cov_{side}": alone.cov_x}
        )  # fmt: skip

    def moments(self, *, normalize: bool) -> Moments:
        """Moments with these means and covariances and independent sides, for solutions that need no pairs."""
        n = min(self.n_x, self.n_y)
        xx, yy, xy = (
            n * (cov + np.outer(a, b))
            for cov, a, b in (
                (self.cov_x, self.mean_x, self.mean_x),
                (self.cov_y, self.mean_y, self.mean_y),
                (0.0, self.mean_x, self.mean_y),
            )
        )
        zero_x, zero_y = np.zeros_like(self.mean_x), np.zeros_like(self.mean_y)
        return Moments(
            n, n * self.mean_x, n * self.mean_y, xx, yy, xy, 0.0, zero_x, zero_y, None, "float64", normalize
        )  # fmt: skip

    def tables(self) -> dict[str, np.ndarray]:
        """Arrays by name, for a file."""
        return {f"fit.{f.name}": np.asarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_tables(cls, tables: dict[str, np.ndarray]) -> Statistics | None:
        """What `tables` gave; None for a file that was written without."""
        found: dict[str, Any] = {f.name: tables.get(f"fit.{f.name}") for f in fields(cls)}
        if any(value is None for value in found.values()):
            return None
        return cls(**{k: v if v.ndim else v.item() for k, v in found.items()})
