"""Spectrum of one modality: ranks, effective rank, participation ratio, anisotropy and power-law slope."""

from __future__ import annotations

import math

import numpy as np

from isthmus.linalg.marchenko_pastur import isotropic_spectrum, largest_eigenvalue_quantile
from isthmus.linalg.significance import ENERGY_SHARE, energy_rank
from isthmus.metrics._conditions import (
    EQUAL_ROWS,
    ITEMS_PER_DIM,
    few_items_note,
    missing_items,
    undefined,
)
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.statistics.intervals import Z95, square_interval
from isthmus.statistics.participation import ParticipationErrors
from isthmus.statistics.result import NAN, Estimate
from isthmus.statistics.spectral_errors import SpectralErrors

#: Largest bias of a logarithm that the second-order formula corrects well.
MAX_LOG_BIAS = 0.1
#: Singular value, in the largest one, that is zero by the rounding of float64 squares.
ZERO_SINGULAR_VALUE = 3e-8
#: Slope, in slopes of isotropic rows, below which the order of the eigenvalues is mostly noise.
CLEAR_SLOPE = 2.0
#: Standard errors by which equal eigenvalues may change the slope of a spectrum with an interval.
MAX_TIED_CHANGE = 1.5
#: Differences of logarithms and range of a group of equal eigenvalues, in relative errors of one and in their range.
CLEAR_STEP, TIED_RANGE = 5.0, 1.3
#: A bias of this size is rounding.
ROUNDING = 1e-12


def _three_equal_directions() -> tuple[np.ndarray, np.ndarray, float]:
    x = np.repeat(np.eye(3), [8, 8, 8], axis=0)
    return x, x, 3.0


def _register(energy: float) -> None:
    percent = f"{100 * energy:.0f}"

    def rank(context: MetricContext) -> Estimate:
        null = float(energy_rank(np.sqrt(_isotropic(context)), energy))
        return Estimate(float(energy_rank(context.x.spectrum, energy)), null=null, note=few_items_note(context))

    rank.__doc__ = f"""Number of principal directions (uncentred) of one modality that hold {percent} % of its energy.

    It is the smallest such number, and grows with n while n < d. The null is the value of as many isotropic rows.
    """
    metric(
        f"rank_{percent}_{{side}}",
        needs_pairs=False,
        family="spectrum",
        unit="dimensions",
        range=(1, np.inf),
        direction="neither",
        interval="none: a whole number that grows with n until n is many times d",
        null_model="isotropic cloud",
        source="Yi, Douady and Chen 2025, arXiv 2510.03268",
        reference_case=_three_equal_directions,
    )(rank)


for _energy in (0.9, ENERGY_SHARE):
    _register(_energy)


@metric(
    "effective_rank_{side}",
    needs_pairs=False,
    family="spectrum",
    unit="dimensions",
    range=(1, np.inf),
    direction="higher",
    interval="jackknife",
    null_model="isotropic cloud",
    source="Garrido et al. 2023 (RankMe), arXiv 2210.02885",
    reference_case=_three_equal_directions,
)
def effective_rank(context: MetricContext) -> Estimate:
    """RankMe of one modality, exp of the entropy of its singular values (uncentred) divided by their sum.

    p_k = sigma_k / sum(sigma) + 1e-7 as in the paper. It grows with n, so that only data of the same n and d are
    comparable. It has an interval from n = 10 d on, from a jackknife of second order. Items with c pairs count there as
    (sum c)^2 / sum c^2. Near d the interval is longer below than above. The null is the value of as many isotropic
    rows.
    """
    spectrum = context.x.spectrum
    spectrum = spectrum[: min(context.moments.n, len(spectrum))]  # the matrix has min(n, d) singular values
    value = rankme(spectrum)
    null = rankme(np.sqrt(_isotropic(context)))
    note, missing = few_items_note(context), missing_items(context, ITEMS_PER_DIM * context.moments.dim_x)
    if missing:
        return Estimate(value, null=null, note=note or missing)
    debiased, interval = _rankme_interval(context, spectrum)
    if math.isnan(interval[0]) and context.influence_sample is not None:
        note = "no interval: some singular values are zero, or their bias is large"
    return Estimate.debiased(debiased, interval, plugin=value, null=null, note=note)


def rankme(sigma: np.ndarray) -> float:
    """Return exp of the entropy of singular values (d,) divided by their sum, with 1e-7 added as in the paper.

    Nothing is added to those that are zero by rounding: a constant modality has one dimension.
    """
    sigma = sigma[sigma > ZERO_SINGULAR_VALUE * sigma.max()]
    if len(sigma) == 1:
        return 1.0
    p = sigma / sigma.sum() + 1e-7
    return float(np.exp(-np.sum(p * np.log(p))))


def _rankme_interval(context: MetricContext, sigma: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return value and interval from the entropy log A - B / A, where A sums sigma and B sums sigma log sigma."""
    energies, directions = sigma**2 / context.moments.n, context.x.eigen[1]
    if context.influence_sample is None or energies[-1] <= 1e-12 * energies[0]:
        return NAN, (NAN, NAN)
    spectral_errors = SpectralErrors(energies, directions, context.influence_sample)
    root, log = np.sqrt(energies), np.log(energies)
    sigma_sum, sigma_log_sum = float(root.sum()), float(root @ log) / 2
    slope_sum, slope_sum_log = 1 / sigma_sum + sigma_log_sum / sigma_sum**2, -1 / sigma_sum
    first = (slope_sum / 2 + slope_sum_log * (log / 4 + 0.5)) / root
    second = -(slope_sum / 4 + slope_sum_log * log / 8) / root**3
    influence, bias = _scores_and_bias(spectral_errors, first, second, context.moments.n)
    error = math.sqrt(context.influence_sample.variance(influence))
    error *= context.influence_sample.quantile(influence) / Z95
    entropy, max_value = math.log(sigma_sum) - sigma_log_sum / sigma_sum, float(len(sigma))
    interval = _exponential_interval(entropy, bias, error, max_value=max_value, max_bias=MAX_LOG_BIAS)
    return math.exp(entropy - bias), interval


def _scores_and_bias(errors: SpectralErrors, first: np.ndarray, second: np.ndarray, n: int) -> tuple[np.ndarray, float]:
    """Return the scores of the jackknife to second order, and the bias, see `SpectralErrors.scores_and_bias`.

    Each item is part of the n pairs that give the eigenvalues, so that scores of first order vary too little.
    """
    scores, bias = errors.scores_and_bias(first, second)
    return scores - errors.second_order_scores(first, second) / (2 * n), bias


def _exponential_interval(
    logarithm: float, bias: float, error: float, *, max_value: float, max_bias: float = ROUNDING
) -> tuple[float, float]:
    """Return the interval of exp(logarithm) without its bias, NaN if the bias exceeds the error and `max_bias`."""
    if not abs(bias) <= max(error, max_bias):
        return NAN, NAN
    return _interval_below(max_value, logarithm - bias, error**2)


def _interval_below(maximum: float, logarithm: float, variance: float) -> tuple[float, float]:
    """Return the interval of a number of directions from its logarithm, at most the maximum.

    The logarithm is nearly the one of the maximum minus a squared distance from a spectrum of equal values. Its
    standard error is therefore smaller near the maximum.
    """
    nearest, farthest = square_interval(math.log(maximum) - logarithm, variance)
    low, high = (min(math.exp(math.log(maximum) - distance), maximum) for distance in (farthest, nearest))
    return low, high


def _isotropic(context: MetricContext) -> np.ndarray:
    """Return the spectrum of as many isotropic rows as x has distinct ones."""
    return isotropic_spectrum(context.moments.n_distinct[0], context.moments.dim_x)


def _harmonic_variances() -> tuple[np.ndarray, np.ndarray, float]:
    """Return rows +-e_k whose variances fall as 1 / k."""
    counts = [60, 30, 20, 15, 12, 10]
    x = np.repeat(np.concatenate([np.eye(6), -np.eye(6)]), counts + counts, axis=0)
    return x, x, 1.0


def _harmonic_shares() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same rows and the share of each variance."""
    x, y, _ = _harmonic_variances()
    shares = 1 / np.arange(1, 7)
    return x, y, shares / shares.sum()


@metric(
    "participation_ratio_{side}",
    needs_pairs=False,
    min_items=3,
    undefined_if=("constant side",),
    family="spectrum",
    unit="dimensions",
    range=(1, np.inf),
    direction="higher",
    interval="jackknife",
    null_model="isotropic cloud",
    source="Gao et al. 2017, A theory of multineuronal dimensionality, doi 10.1101/214262",
    reference_case=lambda: (*_harmonic_variances()[:2], 1 / float(np.sum(_harmonic_shares()[2] ** 2))),
)
def participation_ratio(context: MetricContext) -> Estimate:
    """Number of equally strong directions with as much spread, (tr S)^2 / tr S^2 with one modality's covariance S.

    The plug-in is too small by about its square / n. The value and its interval are without this bias. The standard
    error counts the effects of pairs of items once, and the jackknife counts them twice. Up to 30 items they count
    twice, for the effects of more items. Near d the interval is longer below than above. Where all eigenvalues may be
    equal, it is that of a squared length near zero. The null is the value of as many isotropic rows, n d / (n + d).
    """
    if context.x.centred[0][0] <= 0:
        return undefined(EQUAL_ROWS)
    eigenvalues = context.x.centred[0]
    value = float(eigenvalues.sum()) ** 2 / float(eigenvalues @ eigenvalues)
    n, d = context.moments.n_distinct[0], context.moments.dim_x
    null = n * d / (n + d)
    if context.influence_sample is None:
        return Estimate(value, null=null)
    errors = ParticipationErrors.of(context.pca, context.moments.n)
    if errors is None:
        return Estimate(value, null=null, note="no interval: too few items")
    return Estimate.debiased(errors.ratio, errors.interval(d), plugin=value, null=null)


@metric(
    "anisotropy_{side}",
    needs_pairs=False,
    min_items=3,
    undefined_if=("constant side",),
    family="spectrum",
    unit="ratio",
    range=(1, np.inf),
    direction="lower",
    interval="jackknife",
    null_model="isotropic cloud",
    source="AnisoAlign 2026, arXiv 2605.07825",
    reference_case=lambda: (*_harmonic_variances()[:2], 6 * float(_harmonic_shares()[2][0])),
)
def anisotropy(context: MetricContext) -> Estimate:
    """Largest over mean eigenvalue of one modality's covariance S, lambda_1 / (tr S / d).

    The value and its interval are without bias, which the plug-in includes and which is at most that of isotropic rows.
    The interval is wider where lambda_1 is not clear of lambda_2, and its lower end allows for equal eigenvalues. It
    starts at 1 where isotropic rows of the same noise have the plug-in by chance (p > .025). The null is the value of
    as many isotropic rows, (1 + sqrt(d / n))^2.
    """
    if context.x.centred[0][0] <= 0:
        return undefined(EQUAL_ROWS)
    return anisotropy_of(context.pca, context.moments.n_distinct[0])


def anisotropy_of(spectral_errors: SpectralErrors, n_rows: int, *, level: float = 0.975) -> Estimate:
    """Return lambda_1 / (tr S / d) of a covariance with its null, and with an interval if there are rows.

    The interval starts at 1 if the value is below the quantile `level` of isotropic rows.
    """
    eigenvalues = spectral_errors.values
    d = len(eigenvalues)
    value = float(eigenvalues[0]) * d / float(eigenvalues.sum())
    null = (1 + math.sqrt(d / n_rows)) ** 2
    if spectral_errors.sample is None:
        return Estimate(value, null=null)
    first = np.eye(1, d)[0]
    influence_first, bias_first = spectral_errors.scores_and_bias(first / eigenvalues[0], -first / eigenvalues[0] ** 2)
    influence_trace, bias_trace = spectral_errors.scores_and_bias(np.full(d, 1 / eigenvalues.sum()), np.zeros(d))
    scores = influence_first - influence_trace
    sample = spectral_errors.sample
    error = math.sqrt(sample.variance(scores))
    # Independent normal rows without a preferred direction have the error sqrt(2 / n (1 - 1 / d)).
    noise = error / math.sqrt(2 / n_rows * (1 - 1 / d)) if d > 1 else 0.0
    # The bias is largest where all eigenvalues are equal. The formula has no limit where two of them nearly are.
    bias = min(bias_first - bias_trace, 2 * math.log1p(math.sqrt(d / n_rows) * noise))
    logarithms = np.log(np.maximum(eigenvalues, ROUNDING * eigenvalues[0]))
    tied = _with_ties(logarithms, noise / math.sqrt(n_rows))
    # A correction is as uncertain as it is large. Isotropic rows, whose eigenvalues are all equal, have a test below.
    bias_of_ties = float(logarithms[0] - tied[0]) if tied[0] > tied[-1] else 0.0
    midpoint, quantile = math.log(value) - bias, sample.quantile(scores)
    low = max(math.exp(midpoint - quantile * math.hypot(error, max(bias, bias_of_ties))), 1.0)
    high = min(max(math.exp(midpoint + quantile * math.hypot(error, bias)), 1.0), float(d))
    if noise and value < largest_eigenvalue_quantile(n_rows / noise**2, d, level):
        low = 1.0
    return Estimate.debiased(max(math.exp(midpoint), 1.0), (low, high), plugin=value, null=null)


def slope_range(n: int, dim: int) -> tuple[int, int]:
    """Return the first and last rank (counted from 1) of the eigenvalues that the power law is fitted to.

    >>> slope_range(500, 512), slope_range(100_000, 512)
    ((2, 249), (2, 256))
    """
    return 2, min(dim, n - 1) // 2


@metric(
    "power_law_slope_{side}",
    needs_pairs=False,
    min_items=3,
    undefined_if=("constant side",),
    conditions=("fewer than half of the directions have any variance",),
    family="spectrum",
    unit="exponent",
    range=(0, np.inf),
    direction="neither",
    interval="jackknife",
    null_model="isotropic cloud",
    source="Yu et al. 2026 (ReAlign), arXiv 2602.07026",
    reference_case=_harmonic_variances,
)
def power_law_slope(context: MetricContext) -> Estimate:
    """Exponent alpha of lambda_k ~ k^-alpha, minus the least-squares slope of log lambda_k on log k (centred).

    k runs from 2 to min(d, n - 1) / 2. Each rank has the same weight, so that the small eigenvalues dominate. The slope
    grows with n until n is many times d. It has an interval from n = 10 d on, counted as for the effective rank, from a
    jackknife of second order. There is none below twice the slope of isotropic rows of the same noise, where the order
    of the eigenvalues is noise. The interval is also absent where groups of equal eigenvalues would explain the
    spectrum and have a steeper slope. The null is the value of as many isotropic rows.
    """
    eigenvalues = context.x.centred[0]
    begin, end = slope_range(context.moments.by_item.n_items, len(eigenvalues))
    if end <= begin or eigenvalues[end - 1] <= 0:
        return undefined(f"fewer than {max(end, begin + 1)} directions have any variance")
    weights = np.zeros(len(eigenvalues))
    ranks = np.log(np.arange(begin, end + 1))
    weights[begin - 1 : end] = -(ranks - ranks.mean()) / np.sum((ranks - ranks.mean()) ** 2)
    inside = weights != 0
    value, null = (float(weights[inside] @ np.log(spectrum[inside])) for spectrum in (eigenvalues, _isotropic(context)))
    note, sample = few_items_note(context), context.influence_sample
    if missing := missing_items(context, ITEMS_PER_DIM * len(eigenvalues)):
        return Estimate(max(value, 0.0), null=null, note=note or missing)
    if sample is None:
        return Estimate(max(value, 0.0), null=null, note=note)
    inverse = np.where(inside, 1 / np.where(inside, eigenvalues, 1.0), 0.0)
    influence, bias = _scores_and_bias(context.pca, weights * inverse, -weights * inverse**2, context.moments.n)
    error = math.sqrt(sample.variance(influence))
    # Independent normal rows have the error sqrt(2 / n) |weights|. The slope that noise alone gives grows with it.
    noise_slope = null * error / (math.sqrt(2 / context.moments.n_distinct[0]) * float(np.linalg.norm(weights)))
    if value < CLEAR_SLOPE * noise_slope:
        return Estimate(max(value, 0.0), null=null, note="no interval: the spectrum is nearly isotropic at this n")
    if not abs(bias) <= max(error, ROUNDING):
        return Estimate(value, null=null, note="no interval: its bias at this n exceeds its error")
    relative_error = noise_slope / null / math.sqrt(context.moments.n_distinct[0]) if null else 0.0
    logarithms = np.log(np.maximum(eigenvalues, ROUNDING * eigenvalues[0]))
    with_ties = float(weights @ _with_ties(logarithms, relative_error))
    if with_ties - (value - bias) > MAX_TIED_CHANGE * error:
        return Estimate(value, null=null, note="no interval: directions of equal variance would explain the spectrum")
    half_width = sample.quantile(influence) * math.hypot(error, bias)  # a correction is as uncertain as it is large
    interval = max(value - bias - half_width, 0.0), max(value - bias + half_width, 0.0)
    return Estimate.debiased(value - bias, interval, plugin=max(value, 0.0), null=null)


def _with_ties(logarithms: np.ndarray, relative_error: float) -> np.ndarray:
    """Return descending logarithms of eigenvalues where groups that may be equal have their mean.

    A group ends at a difference of `CLEAR_STEP` relative errors. The logarithms of m equal eigenvalues have a range of
    about 4 sqrt(m) relative errors.

    >>> _with_ties(np.array([3.0, 0.3, 0.2, 0.1]), 0.1).round(2).tolist()
    [3.0, 0.2, 0.2, 0.2]
    """
    tied = logarithms.copy()
    steps = np.flatnonzero(logarithms[:-1] - logarithms[1:] > CLEAR_STEP * relative_error) + 1
    for group in np.split(np.arange(len(logarithms)), steps):
        if np.ptp(logarithms[group]) <= TIED_RANGE * 4 * math.sqrt(len(group)) * relative_error:
            tied[group] = logarithms[group].mean()
    return tied
