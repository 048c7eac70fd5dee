"""Smooth functions of the eigenvalues of a second moment matrix: their standard error and their bias."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from isthmus.statistics.influence import InfluenceSample


class SpectralErrors:
    """Eigenvalues `values` (d,), descending, with `directions` (d, d), and the rows that they come from.

    `centre` is the mean of a covariance, None for an uncentred second moment. Weighting up an item with projections
    z (rows minus centre, onto the directions) moves eigenvalue k by z_k^2 - lambda_k and, in second order, by
    sum_l (z_k z_l)^2 / (lambda_k - lambda_l): first-order perturbation theory is exact for the influence function.
    """

    def __init__(
        self,
        values: np.ndarray,
        directions: np.ndarray,
        scored: InfluenceSample | None,
        *,
        centre: np.ndarray | None = None,
    ):
        self.values = values
        self.directions = directions
        self.scored = scored
        self.centre = centre

    @cached_property
    def rows(self) -> np.ndarray:
        """Projections of the sampled rows of x, (k, d)."""
        assert self.scored is not None
        x = self.scored.x if self.centre is None else self.scored.x - self.centre
        return x @ self.directions

    @cached_property
    def squares(self) -> np.ndarray:
        return self.rows**2

    @cached_property
    def fourth(self) -> np.ndarray:
        """Sum over items of (sum over pairs of z_k z_l)^2, over n^2, of z_k^2 - lambda_k on the diagonal; (d, d)."""
        s = self.scored
        assert s is not None
        total = self.squares.T @ self.squares
        for i, j in s.within_item_pairs:
            product = self.rows[i] * self.rows[j]
            total += 2 * product.T @ product
        centred = s.by_item(self.squares - self.values)
        total[np.diag_indices_from(total)] = np.einsum("ij,ij->j", centred, centred)
        return total * s.scale

    def sum_of(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
        """Scores (k,) and bias of sum_k f_k(lambda_k), given the derivatives f_k' = `first` and f_k'' = `second`."""
        s, v = self.scored, self.values
        assert s is not None
        gaps = v[:, None] - v[None, :]
        tied = np.abs(gaps) < 1e-9 * max(v[0], 1e-300)
        slopes = np.where(
            tied, (second[:, None] + second[None, :]) / 2, (first[:, None] - first[None, :]) / np.where(tied, 1.0, gaps)
        )
        bias = 0.5 * float(np.sum(self.fourth * slopes))
        if self.centre is not None:
            bias -= s.bias(s.by_item(self.rows) ** 2 @ first)
        return self.squares @ first - float(v @ first), bias
