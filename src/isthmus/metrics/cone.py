"""The cone of one modality: the mean cosine of its rows, their concentration and their conformity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.linalg.bessel import MAX_ORDER, bessel_ratio, inverse_bessel_ratio
from isthmus.metrics._conditions import EQUAL_ROWS, NOT_UNIT_ROWS, ONE_ITEM, has_unit_rows, missing_items, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.degeneracy import constant_modalities
from isthmus.statistics.influence import InfluenceSample
from isthmus.statistics.intervals import Z95, clip_interval, skewed_interval, standardized_moments
from isthmus.statistics.mean_intervals import (
    MEAN_TEST_LEVEL,
    debiased_mean_products,
    mean_covariance,
    mean_length_interval,
    mean_p_value,
)
from isthmus.statistics.pair_effects import items_of_pairs, pair_effect_variance, without_double_counting
from isthmus.statistics.result import NAN, Estimate

#: Smallest 1 - R^2 at which a concentration has a meaning. Rounding errors of equal rows are below it.
MIN_SPREAD = 1e-12
#: Variance of cosines that is more than the rounding of sums of products.
MIN_VARIANCE = 1e-15
#: Concentration above which the first two terms of an expansion replace the inverse of A.
MAX_EXACT_KAPPA = 1e6
#: Degrees of freedom of a variance below which a few rows decide.
HEAVY_DF = 20.0
#: Fewest items for an interval of the conformity. Fewer often lack the rows that decide, and show no sign of it.
MIN_CONFORMITY_ITEMS = 200


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
    The value measures how narrow the cone is, and not whether the distribution fits. The null is the value of unit rows
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
    if (1 - squared) ** 2 < MIN_VARIANCE * m.dim_x:  # cosines of isotropic rows have about this variance
        note = "the rows are so nearly equal that the error of their mean cosine is rounding"
        return Estimate(float(_concentrations(m.dim_x, lengths[:1])[0]), null=0.0, note=note)
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
    mean). The value and its interval are those of the square without its bias. The standard error counts the effects of
    pairs of items once. The interval is wider, and ends higher, where a few rows decide. It is absent if the mean is
    not distinguishable from zero at p < .01, or for fewer than 200 items. These are counted as for the effective rank.
    The null is the plug-in of directions whose mean is zero, sqrt(tr S^2 / n).
    """
    if not has_unit_rows(context):
        return undefined(NOT_UNIT_ROWS)
    m = context.moments
    n = m.n_distinct[0]
    if n < 2:
        return undefined("there is only one row")
    if constant_modalities(m)[0]:
        return Estimate(0.0, 0.0, 0.0, 0.0)
    scores = _conformity_scores(context)
    plug_in, factor = scores.plug_in, n / (n - 1)
    value = factor * math.sqrt(plug_in)
    null = math.sqrt(max(float(np.sum(mean_covariance(m) * m.cov_x)), 0.0))
    if math.isnan(scores.bias):
        return Estimate(value, null=null)
    squared = plug_in - scores.bias
    if squared <= 0 or mean_p_value(m) >= MEAN_TEST_LEVEL:
        return Estimate(value, null=null, note="no interval: not distinguishable from the null")
    debiased = factor * math.sqrt(squared)
    if missing := missing_items(context, MIN_CONFORMITY_ITEMS):
        return Estimate(value, null=null, note=missing)
    # The variance of a square grows at least with the square, apart from that of pair effects.
    variance = scores.variance * scores.tails
    slope = max(scores.slope, (scores.variance - scores.pair_variance) / squared)
    low, high = skewed_interval(squared, variance, slope)
    interval = clip_interval((factor * math.sqrt(max(low, 0.0)), factor * math.sqrt(high)), 0, 1)
    return Estimate.debiased(debiased, interval, plugin=value, null=null)


@dataclass(frozen=True)
class _ConformityScores:
    """The squared deviation mean' S mean of the conformity, and its sampling error.

    Parameters
    ----------
    plug_in : float
        The square.
    bias, variance, pair_variance : float
        Its bias, its variance, and the part of the variance from effects of pairs of items. NaN without rows.
    tails : float
        Factor of the variance for its own error, which heavy tails make large.
    slope : float
        Change of the variance with the square, see `skewed_interval`.
    """

    plug_in: float
    bias: float = NAN
    variance: float = NAN
    pair_variance: float = NAN
    tails: float = NAN
    slope: float = NAN


def _conformity_scores(context: MetricContext) -> _ConformityScores:
    """Return the squared deviation of the conformity with its sampling error, or alone if there are no rows."""
    m, sample = context.moments, context.influence_sample
    mean = m.mean_x
    s_mean = m.cov_x @ mean
    plug_in = max(float(mean @ s_mean), 0.0)
    if sample is None:
        return _ConformityScores(plug_in)
    u = sample.x - mean
    along_mean, along_s_mean = u @ mean, u @ s_mean
    second, pair_variance = _second_derivatives(context, sample, along_mean, along_s_mean)
    scores = along_mean**2 + 2 * along_s_mean
    _, item_skewness, item_kurtosis = standardized_moments(sample.by_item(scores - scores.mean()))
    degrees_of_freedom = 2 * sample.items / (item_kurtosis - 1) if item_kurtosis > 1 else math.inf
    jackknife, tails = sample.variance(scores), (sample.quantile(scores) / Z95) ** 2
    if degrees_of_freedom < HEAVY_DF:
        # Few rows show less of a heavy tail than there is. The excess kurtosis of a gamma law is 3/2 skewness^2.
        _, skewness, kurtosis = standardized_moments(along_mean)
        tails *= max(1.0, (2 + 1.5 * skewness**2) / (kurtosis - 1)) if kurtosis > 1 else 1.0
    n_items = max(sample.items, min(m.by_item.n_items, m.n_distinct[0]))
    return _ConformityScores(
        plug_in,
        bias=sample.bias(second) / 2,
        variance=without_double_counting(jackknife, pair_variance),
        pair_variance=pair_variance,
        tails=tails,
        slope=max(item_skewness, 0.0) * math.sqrt(jackknife / n_items),
    )


def _second_derivatives(
    context: MetricContext, sample: InfluenceSample, along_mean: np.ndarray, along_s_mean: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the second derivative of the squared deviation along each item, and the variance of pair effects.

    If items get more weight, the mean and S move together.
    """
    projections, eigenvalues = context.pca.projections, context.x.centred[0]
    sums, turned = sample.by_item(projections), sample.by_item(projections * along_mean[:, None])
    of_mean, of_s_mean, counts = sample.by_item(along_mean), sample.by_item(along_s_mean), sample.counts
    along_items = 2 * (sums**2 @ eigenvalues + 2 * np.einsum("ij,ij->i", sums, turned))
    along_items -= 4 * counts * of_s_mean + 2 * of_mean**2
    items = items_of_pairs(sample)
    sums, turned, of_mean, of_s_mean, counts = (a[items] for a in (sums, turned, of_mean, of_s_mean, counts))

    def effects(block: slice) -> np.ndarray:
        products: np.ndarray = (sums[block] * eigenvalues + turned[block]) @ sums.T + sums[block] @ turned.T
        of_counts = np.outer(counts[block], of_s_mean) + np.outer(of_s_mean[block], counts)
        return 2 * (products - of_counts - np.outer(of_mean[block], of_mean))

    return along_items, pair_effect_variance(sample, items, effects)
