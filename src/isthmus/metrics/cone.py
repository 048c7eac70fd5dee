"""The cone: how far the rows of one side crowd around one direction."""

from __future__ import annotations

import math

import numpy as np

from isthmus.metrics._conditions import NOT_UNIT, is_unit, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.intervals import clip_interval, length_interval
from isthmus.statistics.mean_intervals import debiased_mean_products, mean_covariance, mean_length_interval
from isthmus.statistics.result import NAN, Estimate

#: Lengths of the mean above which vMF's concentration leaves the range of the Bessel ratio's inverse.
MOST_LENGTH = 1 - 1e-6


def _two_rows(cosine: float, dim: int = 2) -> np.ndarray:
    x = np.zeros((2, dim))
    x[0, 0], x[1, 0], x[1, 1] = 1.0, cosine, math.sqrt(1 - cosine**2)
    return x


@metric(
    "mean_cosine_{side}",
    family="cone and uniformity",
    unit="cosine",
    range=(-1, 1),
    direction="neither",
    interval="jackknife",
    null_model="zero mean",
    source="Ethayarajh 2019, arXiv 1909.00512; Liang et al. 2022, arXiv 2203.02053",
    reference_case=lambda: (_two_rows(0.8), _two_rows(0.8), 0.8),
)
def mean_cosine(context: MetricContext) -> Estimate:
    """Mean of x_i . x_j over rows of different items of one side: (n |mean|^2 - 1) / (n - 1) for one row per item.

    The null is that of directions whose mean is zero, 0.
    """
    m = context.moments
    if m.by_item.n_items < 2:
        return undefined("there is one item only")
    low, high = mean_length_interval(m)
    value = debiased_mean_products(m)[1]
    return Estimate(value, min(low**2, value), max(high**2, value), null=0.0)


@metric(
    "vmf_concentration_{side}",
    family="cone and uniformity",
    unit="kappa",
    range=(0, np.inf),
    direction="neither",
    interval="jackknife",
    null_model="zero mean",
    source="Mardia and Jupp 2000, Directional Statistics; Banerjee et al. 2005, Clustering on the unit hypersphere",
    reference_case=lambda: (*(_two_rows((1 / math.tanh(2) - 0.5) ** 2, 3),) * 2, 2.0),
)
def vmf_concentration(context: MetricContext) -> Estimate:
    """kappa of the von Mises-Fisher law of one side: A(kappa) = R, A = I_{d/2} / I_{d/2 - 1}, R^2 the mean cosine of
    rows of different items (so without the bias of |mean|^2); the maximum-likelihood estimate but for that.

    Real clouds are far from this law in all but the mean (their scatter is anisotropic): kappa says how narrow the
    cone is, not that the law holds. The null is that of directions whose mean is zero, 0.
    """
    from isthmus.linalg.bessel import inverse_bessel_ratio

    if not is_unit(context):
        return undefined(NOT_UNIT)
    m = context.moments
    if m.by_item.n_items < 2:
        return undefined("there is one item only")
    squared = debiased_mean_products(m)[1]
    if squared >= MOST_LENGTH**2:
        return undefined("the rows of this side are all equal")
    order = m.dim_x / 2 - 1
    lengths = np.clip([math.sqrt(max(squared, 0.0)), *mean_length_interval(m)], 0.0, MOST_LENGTH)
    value, low, high = (float(kappa) for kappa in inverse_bessel_ratio(order, lengths))
    return Estimate(value, low, high, 0.0)


def _three_rows() -> tuple[np.ndarray, np.ndarray, float]:
    x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # conformities 1/2, 1/2, 0
    return x, x, math.sqrt(1 / 18)


@metric(
    "conformity_sd_{side}",
    family="cone and uniformity",
    unit="cosine",
    range=(0, 1),
    direction="neither",
    interval="jackknife",
    null_model="zero mean",
    source="Levi and Gilboa 2025, arXiv 2411.14517",
    reference_case=_three_rows,
)
def conformity_sd(context: MetricContext) -> Estimate:
    """Standard deviation over the rows of one side of the conformity, a row's mean cosine to all others.

    Conformity is (n x . mean - 1) / (n - 1) for unit rows, an identity: its near-perfect correlation with the cosine to
    the mean is no finding. Hence sd = n / (n - 1) sqrt(mean' S mean), S the covariance (1/n). The interval is that of
    the square without its bias. The null is that of directions whose mean is zero, sqrt(tr S^2 / n).
    """
    if not is_unit(context):
        return undefined(NOT_UNIT)
    m = context.moments
    if m.n < 2:
        return undefined("there is one row only")
    plug_in, bias, var = _squared_conformity(context)
    value = m.n / (m.n - 1) * math.sqrt(plug_in)
    null = math.sqrt(max(float(np.sum(mean_covariance(m) * m.cov_x)), 0.0))
    if plug_in - bias > 0:
        return Estimate(value, *clip_interval(length_interval(plug_in - bias, var), 0, 1), null)
    return Estimate(value, null=null, note="no interval: not distinguishable from the null" if plug_in <= bias else "")


def _squared_conformity(context: MetricContext) -> tuple[float, float, float]:
    """mean' S mean, its bias and its variance (NaN without rows)."""
    m, s = context.moments, context.influence_sample
    mean = m.mean_x
    turned = m.cov_x @ mean
    plug_in = max(float(mean @ turned), 0.0)
    if s is None:
        return plug_in, NAN, NAN
    u = s.x - mean
    along, turned_along = u @ mean, u @ turned
    # Half the second derivative along each item, with the mean and S moving together.
    own = np.einsum("ij,ij->i", s.by_item(u), s.by_item(u * along[:, None]))
    second = s.by_item(context.pca.projections) ** 2 @ context.x.centred[0]
    second = second + 2 * (own - s.counts * s.by_item(turned_along)) - s.by_item(along) ** 2
    return plug_in, s.bias(second), s.variance(along**2 + 2 * turned_along)
