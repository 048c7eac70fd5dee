"""The cone of one modality: the mean cosine of its rows, their concentration and their conformity."""

from __future__ import annotations

import math

import numpy as np

from isthmus.linalg.bessel import MAX_ORDER, bessel_ratio, inverse_bessel_ratio
from isthmus.metrics._conditions import EQUAL_ROWS, NOT_UNIT_ROWS, ONE_ITEM, has_unit_rows, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.degeneracy import constant_modalities
from isthmus.statistics.intervals import Z95, clip_interval, length_interval
from isthmus.statistics.mean_intervals import debiased_mean_products, mean_covariance, mean_length_interval
from isthmus.statistics.result import NAN, Estimate

#: Smallest 1 - R^2 at which a concentration has a meaning. Rounding errors of equal rows are below it.
MIN_SPREAD = 1e-12
#: Concentration above which the first two terms of an expansion replace the inverse of A.
MAX_EXACT_KAPPA = 1e6


def _two_rows(cosine: float, dim: int = 2) -> np.ndarray:
    x = np.zeros((2, dim))
    x[0, 0], x[1, 0], x[1, 1] = 1.0, cosine, math.sqrt(1 - cosine**2)
    return x


@metric(
    "mean_cosine_{side}",
    needs_pairs=False,
    conditions=(ONE_ITEM,),
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
    """Mean of x_i . x_j over rows of different items of one modality.

    With one row per item it is (n |mean|^2 - 1) / (n - 1). The null is the value of directions whose mean is zero, 0.
    """
    m = context.moments
    if m.by_item.n_items < 2:
        return undefined(ONE_ITEM)
    low, high = mean_length_interval(m)
    value = min(debiased_mean_products(m)[1], 1.0)  # rounding may exceed the range
    return Estimate(value, min(low**2, value), min(max(high**2, value), 1.0), null=0.0)


@metric(
    "vmf_concentration_{side}",
    needs_pairs=False,
    conditions=("rows are not unit rows", ONE_ITEM, "the rows are too wide for the series"),
    undefined_if=("constant side",),
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
    """Von Mises-Fisher concentration kappa of one modality, A(kappa) = R with A = I_{d/2} / I_{d/2 - 1}.

    R^2 is the mean cosine of rows of different items. The estimate is therefore the maximum-likelihood one without the
    bias of |mean|^2. Real clouds share only their mean with this distribution, because their scatter is anisotropic.
    kappa measures how narrow the cone is, and not whether the distribution fits. The null is the value of unit rows
    whose mean is zero, 0.
    """
    if not has_unit_rows(context):
        return undefined(NOT_UNIT_ROWS)
    m = context.moments
    if m.by_item.n_items < 2:
        return undefined(ONE_ITEM)
    squared = debiased_mean_products(m)[1]
    if 1 - squared <= MIN_SPREAD:
        return undefined(EQUAL_ROWS)
    if m.dim_x > 2 * MAX_ORDER + 2:
        return undefined(f"rows of {m.dim_x:,} dimensions are too wide: at most {2 * MAX_ORDER + 2:,.0f}")
    lengths = np.array([math.sqrt(max(squared, 0.0)), *mean_length_interval(m)])
    value, low, high = (float(kappa) for kappa in _concentrations(m.dim_x, lengths))
    note = "the interval has no upper end: these rows do not exclude that all are equal" if high == math.inf else ""
    return Estimate(value, low, high, 0.0, note=note)


def _concentrations(dim: int, lengths: np.ndarray) -> np.ndarray:
    """Return the concentrations of mean resultant lengths, infinity for lengths that are 1 or longer."""
    order = dim / 2 - 1
    largest = bessel_ratio(order, MAX_EXACT_KAPPA)
    kappas = np.asarray(inverse_bessel_ratio(order, np.clip(lengths, 0.0, largest)))
    # 1 - A(kappa) = a / kappa - a (d - 3) / (4 kappa^2) + ..., a = (d - 1) / 2, solved for kappa.
    a, rest = (dim - 1) / 2, 1 - lengths
    with np.errstate(divide="ignore", invalid="ignore"):
        expansion = (a + np.sqrt(a * a - rest * a * (dim - 3))) / (2 * rest)
    return np.where(lengths <= largest, kappas, np.where(rest > MIN_SPREAD / 2, expansion, np.inf))


def _three_rows() -> tuple[np.ndarray, np.ndarray, float]:
    x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # conformities 1/2, 1/2, 0
    return x, x, math.sqrt(1 / 18)


@metric(
    "conformity_sd_{side}",
    needs_pairs=False,
    min_items=3,
    conditions=("rows are not unit rows",),
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
    """Standard deviation of the conformity of one modality's rows, a row's mean cosine to all other rows.

    The conformity of n different unit rows is (n x . mean - 1) / (n - 1), an identity. Its near-perfect correlation
    with the cosine to the mean is therefore no finding. With the covariance S (1/n), sd = n / (n - 1) sqrt(mean' S
    mean). The value and its interval are those of the square without its bias. The interval is wider where a few rows
    decide. The null is the plug-in of directions whose mean is zero, sqrt(tr S^2 / n).
    """
    if not has_unit_rows(context):
        return undefined(NOT_UNIT_ROWS)
    m = context.moments
    n = m.n_distinct[0]
    if n < 2:
        return undefined("there is only one row")
    if constant_modalities(m)[0]:
        return Estimate(0.0, 0.0, 0.0, 0.0)
    plug_in, bias, var, tails = _squared_conformity(context)
    factor = n / (n - 1)
    value = factor * math.sqrt(plug_in)
    null = math.sqrt(max(float(np.sum(mean_covariance(m) * m.cov_x)), 0.0))
    if plug_in - bias > 0:
        low, high = (factor * end for end in length_interval(plug_in - bias, var * tails**2))
        debiased = factor * math.sqrt(plug_in - bias)
        return Estimate.debiased(debiased, clip_interval((low, high), 0, 1), plugin=value, null=null)
    return Estimate(value, null=null, note="no interval: not distinguishable from the null" if plug_in <= bias else "")


def _squared_conformity(context: MetricContext) -> tuple[float, float, float, float]:
    """Return mean' S mean, its bias, its variance (NaN without rows) and the factor of heavy tails."""
    m, sample = context.moments, context.influence_sample
    mean = m.mean_x
    s_mean = m.cov_x @ mean
    plug_in = max(float(mean @ s_mean), 0.0)
    if sample is None:
        return plug_in, NAN, NAN, NAN
    u = sample.x - mean
    along_mean, along_s_mean = u @ mean, u @ s_mean
    # Half the second derivative along each item. The mean and S move together.
    products = np.einsum("ij,ij->i", sample.by_item(u), sample.by_item(u * along_mean[:, None]))
    second = sample.by_item(context.pca.projections) ** 2 @ context.x.centred[0]
    second = second + 2 * (products - sample.counts * sample.by_item(along_s_mean)) - sample.by_item(along_mean) ** 2
    scores = along_mean**2 + 2 * along_s_mean
    return plug_in, sample.bias(second), sample.variance(scores), sample.quantile(scores) / Z95
