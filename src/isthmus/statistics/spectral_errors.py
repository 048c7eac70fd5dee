"""Standard error and bias of smooth functions of the eigenvalues of a second moment matrix."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from isthmus.statistics.influence import InfluenceSample


class SpectralErrors:
    """Eigenvalues of a second moment matrix, and rows from which their sampling error is computed.

    Parameters
    ----------
    values : (d,) array
        Eigenvalues in descending order.
    directions : (d, d) array
        Eigenvectors as columns.
    sample : InfluenceSample or None
        Sampled rows, of which x is used.
    centre : (d,) array, optional
        Mean of a covariance. Default: an uncentred second moment.

    Notes
    -----
    Let z be the projections of an item (rows minus centre) onto the directions. If the item gets more weight,
    eigenvalue k moves by z_k^2 - lambda_k. The second-order term is sum_l (z_k z_l)^2 / (lambda_k - lambda_l).
    First-order perturbation theory is exact for the influence function.

    Examples
    --------
    >>> rows = np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> sample = InfluenceSample(rows, rows, None, scale=0.25)
    >>> errors = SpectralErrors(np.array([2.0, 0.5]), np.eye(2), sample)
    >>> errors.scores_and_bias(np.ones(2), np.zeros(2))[0].tolist()
    [1.5, -1.5]
    """

    def __init__(
        self,
        values: np.ndarray,
        directions: np.ndarray,
        sample: InfluenceSample | None,
        *,
        centre: np.ndarray | None = None,
    ):
        self.values = values
        self.directions = directions
        self.sample = sample
        self.centre = centre

    @cached_property
    def projections(self) -> np.ndarray:
        """Projections of the sampled rows of x, (k, d)."""
        assert self.sample is not None
        x = self.sample.x if self.centre is None else self.sample.x - self.centre
        return x @ self.directions

    @cached_property
    def squares(self) -> np.ndarray:
        """Squared projections, (k, d)."""
        return self.projections**2

    @cached_property
    def fourth_moments(self) -> np.ndarray:
        """Sums over items of (sum over pairs of z_k z_l)^2, over n^2, (d, d), with z_k^2 - lambda_k on the diagonal."""
        s = self.sample
        assert s is not None
        total = self.squares.T @ self.squares
        for i, j in s.within_item_pairs:
            product = self.projections[i] * self.projections[j]
            total += 2 * product.T @ product
        centred = s.by_item(self.squares - self.values)
        total[np.diag_indices_from(total)] = np.einsum("ij,ij->j", centred, centred)
        return total * s.scale

    def scores_and_bias(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the scores and the bias of sum_k f_k(lambda_k).

        Parameters
        ----------
        first, second : (d,) arrays
            Derivatives f_k' and f_k'' at the eigenvalues.

        Returns
        -------
        scores : (k,) array
            Score of each sampled pair, see `InfluenceSample.variance`.
        bias : float
            Bias.
        """
        sample, eigenvalues = self.sample, self.values
        assert sample is not None
        bias = 0.5 * float(np.sum(self.fourth_moments * self._slopes(first, second)))
        if self.centre is not None:
            bias -= sample.bias(sample.by_item(self.projections) ** 2 @ first)
        return self.squares @ first - float(eigenvalues @ first), bias

    def second_order_scores(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the second derivative of sum_k f_k(lambda_k) if an item gets more weight.

        Parameters
        ----------
        first, second : (d,) arrays
            Derivatives f_k' and f_k'' at the eigenvalues.

        Returns
        -------
        (k,) array
            Part of each sampled pair. The parts of an item add up to its derivative. Without one of n pairs, the score
            changes by minus this over 2 n.
        """
        assert self.sample is not None
        slopes = self._slopes(first, second)
        diagonal = np.diag(slopes) * self.values
        linear, constant = self.squares @ diagonal, float(diagonal @ self.values)
        of_mean = 0 * first if self.centre is None else 2 * first  # the item moves the mean of a covariance as well
        scores = np.einsum("ij,ij->i", self.squares @ slopes, self.squares) - 2 * linear + constant
        scores -= self.squares @ of_mean
        for i, j in self.sample.within_item_pairs:
            product = self.projections[i] * self.projections[j]
            both = np.einsum("ij,ij->i", product @ slopes, product) - linear[i] - linear[j] + constant
            both -= product @ of_mean
            scores[i] += both
            scores[j] += both
        return scores

    def _slopes(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (f_k' - f_l') / (lambda_k - lambda_l), (d, d), and the mean of f'' where the eigenvalues are equal."""
        gaps = self.values[:, None] - self.values[None, :]
        tied = np.abs(gaps) < 1e-9 * max(self.values[0], 1e-300)
        differences = (first[:, None] - first[None, :]) / np.where(tied, 1.0, gaps)
        return np.where(tied, (second[:, None] + second[None, :]) / 2, differences)

    def leading_subspace_bias(self, k: int, terms: list[tuple[np.ndarray, np.ndarray]]) -> float:
        """Return the bias of a measure because the same items decide its k leading directions.

        If an item gets more weight, direction l of the first k turns toward direction m of the others by
        z_l z_m / (lambda_l - lambda_m). The bias is the covariance of these angles with the derivative of the score of
        the item along them. Angles are limited where the difference of the eigenvalues is less than its error.

        Parameters
        ----------
        k : int
            Number of leading directions.
        terms : list of tuple of two arrays
            Arrays u of shape (rows, d - k) and v of shape (rows, k). The derivative of the score of a pair along the
            turn of direction l toward m is the sum of u_m v_l.

        Returns
        -------
        float
            Bias.
        """
        sample = self.sample
        assert sample is not None
        leading, trailing = self.projections[:, :k], self.projections[:, k:]
        total = np.zeros((trailing.shape[1], k))
        for u, v in terms:
            total += (trailing * u).T @ (leading * v)
            for i, j in sample.within_item_pairs:
                total += (trailing[i] * u[j]).T @ (leading[i] * v[j]) + (trailing[j] * u[i]).T @ (leading[j] * v[i])
        gaps = self.values[None, :k] - self.values[k:, None]
        limited = gaps**2 + self.fourth_moments[k:, :k]
        return sample.scale * float(np.sum(total * gaps / np.where(limited > 0, limited, 1.0)))
