"""Participation ratio of a covariance without its bias, and its interval, also where all eigenvalues are nearly equal.

The logarithm of the dimension d minus that of the ratio is a squared distance from a spectrum of equal values. Near 0
the effects of single items vanish, and those of pairs of items remain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.compute.rows import run_sums
from isthmus.statistics.freedom import tail_factor
from isthmus.statistics.influence import InfluenceSample
from isthmus.statistics.intervals import clip_interval, square_interval
from isthmus.statistics.noise_intervals import noncentral_interval
from isthmus.statistics.pair_effects import items_of_pairs, pair_effect_variance, without_double_counting
from isthmus.statistics.spectral_errors import SpectralErrors

#: Fewest items for means over four different items.
MIN_UNBIASED_ITEMS = 4
#: Items up to which the effects of pairs stand for those of three and more, too.
FEW_ITEMS = 30


def unbiased_product(plug_in: float, traces: tuple[float, float], self_products: float, n: int) -> float:
    """Return |S_xy|_F^2 of n items without bias (Song et al. 2012), given the sum of |u|^2 |v|^2 of centred rows."""
    numerator = n**2 * plug_in - self_products * n / (n - 2) + n**2 * traces[0] * traces[1] / ((n - 1) * (n - 2))
    return numerator / (n * (n - 3))


@dataclass(frozen=True)
class ParticipationErrors:
    """Participation ratio (tr S)^2 / tr S^2 of a covariance S from unbiased traces, and the error of its logarithm.

    Parameters
    ----------
    ratio : float
        The ratio of unbiased traces.
    logarithm : float
        Its logarithm without the bias of the curvature.
    bias : float
        Bias of the logarithm of the plug-in, which is negative near the dimension.
    variance : float
        Variance of the logarithm.
    pair_variance : float
        Part of the variance from effects of pairs of items.
    tails : float
        Factor of the variance for its own error, see `tail_factor`.
    items : int
        Items of the sample.
    """

    ratio: float
    logarithm: float
    bias: float
    variance: float
    pair_variance: float
    tails: float
    items: int

    @classmethod
    def of(cls, errors: SpectralErrors, n: int, /) -> ParticipationErrors | None:
        """Return the ratio and its errors from the rows.

        Parameters
        ----------
        errors : SpectralErrors
            Eigenvalues of the covariance, with rows.
        n : int
            Number of all pairs.

        Returns
        -------
        ParticipationErrors or None
            None if an unbiased trace is not positive.
        """
        effects = _ItemEffects.of(errors, n)
        if effects is None:
            return None
        sample = errors.sample
        assert sample is not None
        curvature = sample.bias(effects.curvature) / 2
        bias_of_traces = sample.bias(2 * effects.second_trace - effects.second_square) / 2
        # Without one of n items, scores of unbiased traces change by the whole second derivative over n.
        scores = 2 * effects.trace - effects.square - effects.curvature / n
        m = sample.items
        jackknife = float(np.sum((scores - scores.mean()) ** 2)) * sample.scale * m / max(m - 1, 1)
        pair_variance = effects.pair_variance(errors)
        return cls(
            ratio=effects.ratio,
            logarithm=math.log(effects.ratio) - curvature,
            bias=bias_of_traces + curvature,
            variance=without_double_counting(jackknife, pair_variance),
            pair_variance=pair_variance,
            tails=tail_factor(scores) ** 2,
            items=m,
        )

    def interval(self, dim: int) -> tuple[float, float]:
        """Return the 95 % interval of the ratio in a space of `dim` dimensions."""
        distance = math.log(dim) - self.logarithm
        # The plug-in distance is the squared length of the deviation from equal eigenvalues, with its noise.
        squares = noncentral_interval(max(distance - self.bias, 0.0), -self.bias, self.pair_variance / 2)
        # Effects of three and more items, which are not counted, are small from about a hundred items.
        of_more = self.pair_variance * min((FEW_ITEMS / self.items) ** 2, 1.0)
        nearest, farthest = squares or square_interval(distance, (self.variance + of_more) * self.tails)
        return clip_interval((dim * math.exp(-farthest), dim * math.exp(-nearest)), 1.0, float(dim))


@dataclass(frozen=True)
class _ItemEffects:
    """Derivatives of the logarithms of tr S and tr S^2 if an item gets more weight, (items,) each.

    Parameters
    ----------
    traces : tuple of float
        Unbiased tr S and tr S^2.
    trace, square : numpy.ndarray
        Scores of the unbiased traces, relative to them.
    second_trace, second_square : numpy.ndarray
        Second derivatives of the traces, relative to them.
    """

    traces: tuple[float, float]
    trace: np.ndarray
    square: np.ndarray
    second_trace: np.ndarray
    second_square: np.ndarray

    @property
    def ratio(self) -> float:
        """Participation ratio of the unbiased traces."""
        return self.traces[0] ** 2 / self.traces[1]

    @property
    def curvature(self) -> np.ndarray:
        """Second derivative of 2 log tr S - log tr S^2 by the traces, along each item."""
        return self.square**2 - 2 * self.trace**2

    @classmethod
    def of(cls, errors: SpectralErrors, n: int, /) -> _ItemEffects | None:
        """Return the derivatives, or None if an unbiased trace is not positive."""
        sample, eigenvalues, z = errors.sample, errors.values, errors.projections
        assert sample is not None
        lengths, along = sample.by_item(errors.squares.sum(axis=1)), sample.by_item(errors.squares @ eigenvalues)
        sums, counts, plug_in = sample.by_item(z), sample.counts, float(eigenvalues @ eigenvalues)
        products = sample.by_item(np.einsum("ij,ij->i", z, z) ** 2)
        owner = np.repeat(np.arange(sample.items), counts.astype(np.int64))
        for i, j in sample.within_item_pairs:
            squared = np.einsum("ij,ij->i", z[i], z[j]) ** 2
            products += 2 * np.bincount(owner[i], weights=squared, minlength=sample.items)
        # The item moves S, and the mean of S as well.
        second_trace = -2 * np.einsum("ij,ij->i", sums, sums)
        second_square = 2 * (products - 2 * counts * along + counts**2 * plug_in) - 4 * sums**2 @ eigenvalues
        trace = float(eigenvalues.sum()) - sample.bias(second_trace) / 2
        square = plug_in - sample.bias(second_square) / 2
        if n >= MIN_UNBIASED_ITEMS and counts.max() == 1:
            total = float(eigenvalues.sum())
            trace, square = total * n / (n - 1), unbiased_product(plug_in, (total, total), n * np.mean(lengths**2), n)
        if trace <= 0 or square <= 0:
            return None
        return cls(
            (trace, square),
            (lengths - counts * trace - second_trace / n) / trace,
            (2 * (along - counts * square) - second_square / n) / square,
            second_trace / trace,
            second_square / square,
        )

    def pair_variance(self, errors: SpectralErrors) -> float:
        """Return the variance of the logarithm of the ratio from the effects of pairs of items."""
        sample = errors.sample
        assert sample is not None
        trace, square = self.traces
        items = items_of_pairs(sample)
        rows, begins = _rows_of(sample, items)
        z, counts = errors.projections[rows], sample.counts[items]
        sums, along = run_sums(z, begins), run_sums(errors.squares[rows] @ errors.values, begins)
        plug_in = float(errors.values @ errors.values)
        of_trace, of_square = self.trace[items], self.square[items]

        def effects(block: slice) -> np.ndarray:
            first, ends = begins[block][0], begins[block.stop :]
            of_block = z[first : ends[0] if len(ends) else None]
            products = run_sums(run_sums((of_block @ z.T) ** 2, begins[block] - first).T, begins).T
            products = products - np.outer(along[block], counts) - np.outer(counts[block], along)
            products += plug_in * np.outer(counts[block], counts)
            second_square = 2 * products - 4 * (sums[block] * errors.values) @ sums.T
            second: np.ndarray = -4 * (sums[block] @ sums.T) / trace - second_square / square
            return second + np.outer(of_square[block], of_square) - 2 * np.outer(of_trace[block], of_trace)

        return pair_effect_variance(sample, items, effects)


def _rows_of(sample: InfluenceSample, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the pairs of items, and the first of each item among them."""
    counts = sample.counts.astype(np.int64)
    is_row = np.zeros(sample.items, dtype=bool)
    is_row[items] = True
    rows = np.flatnonzero(np.repeat(is_row, counts))
    return rows, np.concatenate([[0], np.cumsum(counts[items])[:-1]])
