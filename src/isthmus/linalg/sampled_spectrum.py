"""The eigenvalues of a covariance before sampling spread them, and the eigenvalues of samples.

Sampling spreads the sorted eigenvalues. If eigenvalues are nearly equal, the spread is of the order of one over the
root of n. No expansion around the observed eigenvalues describes it. Half samples do: their covariances differ from
that of all rows as that of all rows differs from the covariance of the population.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from isthmus.linalg.psd import covariance_eigh

#: Smallest eigenvalue whose direction is used, relative to the largest and absolute. Smaller ones are nearly rounding
#: errors of unit rows.
MIN_RELATIVE, MIN_ABSOLUTE = 1e-10, 1e-14
#: Steps to the eigenvalues before sampling, up to and above `MANY_DIMS` dimensions.
STEPS, FEW_STEPS = 6, 3
#: Dimensions above which few steps are enough, because sums over eigenvalues average their errors.
MANY_DIMS = 64


class SampledSpectrum:
    """Observed and estimated eigenvalues of a covariance, and those of samples from either.

    Parameters
    ----------
    cov : (d, d) array
        Covariance of all rows.
    half_covs : sequence of (d, d) array
        Covariances of half samples.
    reference : (d, d) array, optional
        Covariance of the rows that the half samples are from. Default: `cov`.
    scale : float, default 1.0
        Number of these rows divided by that of all rows.

    Attributes
    ----------
    observed : (d,) array
        Descending eigenvalues of the covariance.
    estimated : (d,) array
        Eigenvalues of a population whose samples have the observed ones on average. Sampling spreads eigenvalues, so
        that these are closer together. Neighbours that are in the wrong order are pooled.
    from_observed, from_estimated : (k, d) array
        Eigenvalues of samples, one row for each half sample.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(4, 50, 6))
    >>> halves = [np.cov(np.concatenate([rows[i], rows[j]]).T) for i, j in ((0, 1), (2, 3))]
    >>> spectrum = SampledSpectrum(np.cov(rows.reshape(-1, 6).T), halves)
    >>> bool(np.ptp(spectrum.estimated) < np.ptp(spectrum.observed) < np.ptp(spectrum.from_observed))
    True
    """

    def __init__(
        self,
        cov: np.ndarray,
        half_covs: Sequence[np.ndarray],
        *,
        reference: np.ndarray | None = None,
        scale: float = 1.0,
    ):
        self.observed = covariance_eigh(cov)[0]
        spectrum, directions = covariance_eigh(cov if reference is None else reference)
        floor = max(MIN_RELATIVE * max(float(self.observed[0]), float(spectrum[0])), MIN_ABSOLUTE)
        rank = int(np.sum(np.minimum(spectrum, self.observed) > floor))
        whitening = directions[:, :rank] / np.sqrt(spectrum[:rank])
        noise = np.stack([whitening.T @ half_cov @ whitening - np.eye(rank) for half_cov in half_covs])
        self._whitened = np.sqrt(scale) * noise + np.eye(rank)
        logarithms = np.log(self.observed[:rank])
        estimate, sampled = logarithms, self._sampled(logarithms)
        self.from_observed = self._padded(sampled)
        for _ in range(STEPS if len(cov) <= MANY_DIMS else FEW_STEPS):
            estimate = _descending(estimate + logarithms - np.log(sampled).mean(axis=0))
            sampled = self._sampled(estimate)
        self.estimated, self.from_estimated = self._padded(np.exp(estimate)), self._padded(sampled)

    def without_sampling(self) -> SampledSpectrum:
        """Return the same spectrum with samples that are equal to it.

        Returns
        -------
        SampledSpectrum
            The spectrum of rows that are not sampled.
        """
        fixed = copy.copy(self)
        fixed.from_observed, fixed.from_estimated = self.observed[None], self.estimated[None]
        return fixed

    def _sampled(self, logarithms: np.ndarray) -> np.ndarray:
        """Return descending eigenvalues (k, r) of samples from a population with these logarithms of eigenvalues."""
        roots = np.exp(logarithms / 2)
        sampled = [np.linalg.eigvalsh(roots[:, None] * whitened * roots)[::-1] for whitened in self._whitened]
        return np.maximum(sampled, np.finfo(float).tiny)

    def _padded(self, eigenvalues: np.ndarray) -> np.ndarray:
        """Return eigenvalues (..., r) with zeros up to d."""
        missing = len(self.observed) - eigenvalues.shape[-1]
        return np.concatenate([eigenvalues, np.zeros((*eigenvalues.shape[:-1], missing))], axis=-1)


def _descending(values: np.ndarray) -> np.ndarray:
    """Return the descending sequence with the least squared distance to values, which pools neighbours.

    >>> _descending(np.array([3.0, 1.0, 2.0, 0.0])).tolist()
    [3.0, 1.5, 1.5, 0.0]
    """
    means: list[float] = []
    counts: list[int] = []
    for value in values.tolist():
        mean, count = value, 1
        while means and means[-1] < mean:
            mean = (means[-1] * counts[-1] + mean * count) / (counts[-1] + count)
            count += counts.pop()
            means.pop()
        means.append(mean)
        counts.append(count)
    return np.repeat(means, np.array(counts, dtype=np.int64))
