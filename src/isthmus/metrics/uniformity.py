"""Uniformity: how evenly rows spread over the sphere."""

from __future__ import annotations

import math

import numpy as np

from isthmus.metrics._conditions import too_few_items
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import EXPONENT, PairwiseSums
from isthmus.statistics.jackknife import jackknife_interval, pair_mean
from isthmus.statistics.result import NAN, Estimate


def _known() -> tuple[np.ndarray, np.ndarray]:
    """Antipodal halves on both sides: with an even number of items the mean has a closed form."""
    x = np.repeat([[1.0, 0.0], [-1.0, 0.0]], 10, axis=0)
    return x, x


def _two_points(apart: int, together: int) -> float:
    return math.log((together + apart * math.exp(-4 * EXPONENT)) / (together + apart))


@metric(
    "uniformity_{side}",
    family="cone and uniformity",
    unit="log",
    range=(-4 * EXPONENT, 0),
    direction="lower",
    requires="rows",
    interval="jackknife",
    null_model="isotropic cloud",
    source="Wang and Isola 2020, arXiv 2005.10242",
    reference_case=lambda: (*_known(), _two_points(100, 90)),
)
def uniformity(context: MetricContext) -> Estimate:
    """Uniformity of one side, log mean_{i<j} exp(-2 |x_i - x_j|^2), on at most 10,000 random items; of an item with
    several partners the first counts.

    The interval is the jackknife's over items. The null is the value of the uniform distribution on the sphere, the
    least there is for many rows.
    """
    return (
        _log_mean(context, context.shared(PairwiseSums).xx["uniform"])
        if context.shared(PairedRows).n > 1
        else too_few_items(context.shared(PairedRows).n, 2)
    )


@metric(
    "cross_uniformity",
    family="cone and uniformity",
    unit="log",
    range=(-4 * EXPONENT, 0),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="isotropic cloud",
    source="Fahim, Murphy and Fyshe 2024, arXiv 2405.18570",
    reference_case=lambda: (*_known(), _two_points(100, 90)),
)
def cross_uniformity(context: MetricContext) -> Estimate:
    """Uniformity across the sides, log mean_{i != j} exp(-2 |x_i - y_j|^2) over different items, on at most 10,000
    random items with one partner each: low when strangers of the other modality are far away, so a gap lowers it too.

    The interval is the jackknife's over items. The null is the value of the uniform distribution on the sphere.
    """
    if context.shared(PairedRows).n < 2:
        return too_few_items(context.shared(PairedRows).n, 2)
    p = context.shared(PairwiseSums)
    return _log_mean(context, (p.xy["uniform"] + p.yx["uniform"]) / 2)


def _log_mean(context: MetricContext, sums: np.ndarray) -> Estimate:
    mean, left_out = pair_mean(sums)
    if mean <= 0:
        return Estimate(NAN, undefined="all rows are so far apart that exp(-2 d^2) is 0 in this precision")
    value = math.log(mean)
    low, high = jackknife_interval(value, np.log(left_out)) if np.all(left_out > 0) else (NAN, NAN)
    bounds = (-4 * EXPONENT, 0.0) if context.shared(PairedRows).unit else (-math.inf, 0.0)
    null = uniform_on_sphere(context.shared(PairedRows).x.shape[1]) if context.shared(PairedRows).unit else NAN
    return Estimate(value, max(low, bounds[0]), min(high, bounds[1]), null)


def uniform_on_sphere(dim: int) -> float:
    """log E exp(-2 |u - v|^2) for independent uniform unit vectors u, v in `dim` dimensions.

    With kappa = 4 and nu = dim / 2 - 1: -kappa + log(Gamma(nu + 1) (2 / kappa)^nu I_nu(kappa)), the normaliser of
    von Mises and Fisher.

    >>> round(uniform_on_sphere(3), 6) == round(math.log((1 - math.exp(-8)) / 8), 6)  # in three dimensions: elementary
    True
    """
    from scipy.special import gammaln

    from isthmus.linalg.bessel import log_iv

    kappa, nu = 2 * EXPONENT, dim / 2 - 1
    return float(-kappa + gammaln(nu + 1) + nu * math.log(2 / kappa) + log_iv(nu, kappa))
