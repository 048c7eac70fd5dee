"""Uniformity of the rows on the sphere, within one modality and across both."""

from __future__ import annotations

import math

import numpy as np

from isthmus.linalg.bessel import log_iv
from isthmus.metrics._conditions import undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import EXPONENT, PairwiseSums
from isthmus.statistics.freedom import widened_variance
from isthmus.statistics.intervals import positive_interval
from isthmus.statistics.jackknife import jackknife_variance, pair_mean
from isthmus.statistics.result import NAN, Estimate


def _antipodes() -> tuple[np.ndarray, np.ndarray]:
    """Return two antipodal points, ten rows each, in both modalities: the mean has a closed form."""
    x = np.repeat([[1.0, 0.0], [-1.0, 0.0]], 10, axis=0)
    return x, x


def _two_points(n_antipodal: int, n_equal: int) -> float:
    """Return the uniformity of pairs of rows that are antipodal or equal."""
    return math.log((n_equal + n_antipodal * math.exp(-4 * EXPONENT)) / (n_equal + n_antipodal))


@metric(
    "uniformity_{side}",
    needs_pairs=False,
    min_items=2,
    conditions=("all rows are so far apart that exp(-2 d^2) is 0 in this precision",),
    family="cone and uniformity",
    unit="log",
    range=(-4 * EXPONENT, 0),
    direction="lower",
    requires="rows",
    sweeps=(PairwiseSums,),
    interval="jackknife",
    null_model="isotropic cloud",
    source="Wang and Isola 2020, arXiv 2005.10242",
    reference_case=lambda: (*_antipodes(), _two_points(100, 90)),
)
def uniformity(context: MetricContext) -> Estimate:
    """Uniformity of one modality, log mean_{i<j} exp(-2 |x_i - x_j|^2).

    It is measured on at most 10,000 random items, of which each has its first row. The interval is the jackknife's over
    items. The null is the value of the uniform distribution on the sphere, the smallest possible one for many rows.
    """
    return _log_mean(context, context.shared(PairwiseSums).xx["uniform"])


@metric(
    "cross_uniformity",
    needs_pairs=False,
    min_items=2,
    conditions=("all rows are so far apart that exp(-2 d^2) is 0 in this precision",),
    family="cone and uniformity",
    unit="log",
    range=(-4 * EXPONENT, 0),
    direction="lower",
    requires="rows",
    sweeps=(PairwiseSums,),
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="isotropic cloud",
    source="Fahim, Murphy and Fyshe 2024, arXiv 2405.18570",
    reference_case=lambda: (*_antipodes(), _two_points(100, 90)),
)
def cross_uniformity(context: MetricContext) -> Estimate:
    """Uniformity across the modalities, log mean_{i != j} exp(-2 |x_i - y_j|^2) over different items.

    It is measured on at most 10,000 random items, of which each has its first row. It is low if non-matching rows are
    far apart, so that a gap lowers it too. The interval is the jackknife's over items. The null is the value of the
    uniform distribution on the sphere.
    """
    sums = context.shared(PairwiseSums)
    return _log_mean(context, (sums.xy["uniform"] + sums.yx["uniform"]) / 2)


def _log_mean(context: MetricContext, sums: np.ndarray) -> Estimate:
    """Return the logarithm of the mean over pairs of items, given each item's sum over all other items."""
    rows = context.shared(PairedRows)
    pair_average, leave_one_out_means = pair_mean(sums)
    if pair_average <= 0:
        return undefined("all rows are so far apart that exp(-2 d^2) is 0 in this precision")
    value = math.log(pair_average)
    low, high = NAN, NAN
    if np.all(leave_one_out_means > 0):
        variance = widened_variance(jackknife_variance(np.log(leave_one_out_means)), len(sums) - 1)
        # Near 0, the value of equal rows, the distance is skewed.
        low, high = (-end for end in reversed(positive_interval(-value, variance)))
    min_value = -4 * EXPONENT if rows.unit else -math.inf
    null = uniform_on_sphere(rows.x.shape[1]) if rows.unit else NAN
    return Estimate(value, max(low, min_value), min(high, 0.0), null)


def uniform_on_sphere(dim: int) -> float:
    """Return log E exp(-2 |u - v|^2) for independent uniform unit vectors u, v in `dim` dimensions.

    It is `-kappa + log(Gamma(nu + 1) (2 / kappa)^nu I_nu(kappa))` with kappa = 4 and nu = dim / 2 - 1. The last term is
    the normaliser of the von Mises-Fisher law.

    >>> round(uniform_on_sphere(3), 6) == round(math.log((1 - math.exp(-8)) / 8), 6)  # in three dimensions: elementary
    True
    """
    from scipy.special import gammaln  # imported late: scipy.special takes a tenth of a second

    kappa, nu = 2 * EXPONENT, dim / 2 - 1
    return float(-kappa + gammaln(nu + 1) + nu * math.log(2 / kappa) + log_iv(nu, kappa))
