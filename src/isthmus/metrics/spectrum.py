"""How many dimensions one side really uses."""

from __future__ import annotations

import math

import numpy as np

from isthmus.linalg.marchenko_pastur import isotropic_spectrum
from isthmus.linalg.significance import ENERGY_SHARE, energy_rank
from isthmus.metrics._conditions import ENOUGH, NO_SPREAD, enough_items, few_items, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._trace_estimates import TraceEstimates
from isthmus.statistics.intervals import Z95
from isthmus.statistics.result import NAN, Estimate
from isthmus.statistics.spectral_errors import SpectralErrors


def _two_to_one() -> tuple[np.ndarray, np.ndarray, float]:
    x = np.repeat(np.eye(3), [8, 8, 8], axis=0)
    return x, x, 3.0


def _register(energy: float) -> None:
    percent = f"{100 * energy:.0f}"

    def rank(context: MetricContext) -> Estimate:
        null = float(energy_rank(np.sqrt(_isotropic(context)), energy))
        return Estimate(float(energy_rank(context.x.spectrum, energy)), null=null, note=few_items(context))

    rank.__doc__ = (
        f"Fewest principal directions (uncentred) of one side that hold {percent} % of its energy; grows with n while "
        "n < d.\n\nThe null is the rank of as many rows without any preferred direction."
    )
    metric(
        f"rank_{percent}_{{side}}",
        family="spectrum",
        unit="dimensions",
        range=(1, np.inf),
        direction="neither",
        interval="none: a whole number that grows with n until n is many times d",
        null_model="isotropic cloud",
        source="Yi, Douady and Chen 2025, arXiv 2510.03268",
        reference_case=_two_to_one,
    )(rank)


for _energy in (0.9, ENERGY_SHARE):
    _register(_energy)


@metric(
    "effective_rank_{side}",
    family="spectrum",
    unit="dimensions",
    range=(1, np.inf),
    direction="higher",
    interval="jackknife",
    null_model="isotropic cloud",
    source="Garrido et al. 2023 (RankMe), arXiv 2210.02885",
    reference_case=_two_to_one,
)
def effective_rank(context: MetricContext) -> Estimate:
    """RankMe of one side: exp of the entropy of its singular values (uncentred) divided by their sum.

    p_k = sigma_k / sum(sigma) + 1e-7 as in the paper. Only comparable between data of the same n and d: it grows with
    n, and has an interval from n = 10 d on only. The null is that of as many rows without any preferred direction.
    """
    s = context.x.spectrum
    s = s[: min(context.moments.n, len(s))]  # the matrix has min(n, d) singular values
    value = _rankme(s)
    null = _rankme(np.sqrt(_isotropic(context)))
    note = few_items(context)
    if not enough_items(context):
        return Estimate(value, null=null, note=note or f"no interval: needs n >= {ENOUGH * context.moments.dim_x:,}")
    low, high = _rankme_interval(context, s)
    if math.isnan(low) and context.influence_sample is not None:
        note = "no interval: some singular values are zero, or their bias is large"
    return Estimate(value, low, high, null, note=note)


def _rankme(sigma: np.ndarray) -> float:
    p = sigma / sigma.sum() + 1e-7
    return float(np.exp(-np.sum(p * np.log(p))))


def _rankme_interval(context: MetricContext, sigma: np.ndarray) -> tuple[float, float]:
    """The entropy of p is log A - B / A with A the sum of sigma and B that of sigma log sigma."""
    energies, directions = sigma**2 / context.moments.n, context.x.eigen[1]
    if context.influence_sample is None or energies[-1] <= 1e-12 * energies[0]:
        return NAN, NAN
    s = SpectralErrors(energies, directions, context.influence_sample)
    root, log = np.sqrt(energies), np.log(energies)
    a, b = float(root.sum()), float(root @ log) / 2
    scores_a, bias_a = s.scores_and_bias(0.5 / root, -0.25 / root**3)
    scores_b, bias_b = s.scores_and_bias((0.25 * log + 0.5) / root, -0.125 * log / root**3)
    to_a, to_b = 1 / a + b / a**2, -1 / a
    bias = to_a * bias_a + to_b * bias_b
    error = math.sqrt(context.influence_sample.variance(to_a * scores_a + to_b * scores_b))
    return _exponentials(math.log(a) - b / a, bias, error, largest=float(len(sigma)), most_bias=SMALL)


#: A bias of a logarithm that its second-order formula still corrects well.
SMALL = 0.1


def _exponentials(
    logarithm: float, bias: float, error: float, *, largest: float, most_bias: float = 1e-12
) -> tuple[float, float]:
    """The interval of exp(logarithm) without its bias; none where the bias is more than a correction."""
    if not abs(bias) <= max(error, most_bias):
        return NAN, NAN
    middle = logarithm - bias
    return min(math.exp(middle - Z95 * error), largest), min(math.exp(middle + Z95 * error), largest)


def _isotropic(context: MetricContext) -> np.ndarray:
    return isotropic_spectrum(context.moments.n, context.moments.dim_x)


def _weighted() -> tuple[np.ndarray, np.ndarray, float]:
    """Directions +-e_k whose variances fall as 1 / k."""
    counts = [60, 30, 20, 15, 12, 10]
    x = np.repeat(np.concatenate([np.eye(6), -np.eye(6)]), counts + counts, axis=0)
    return x, x, 1.0


def _weighted_shares() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, _ = _weighted()
    shares = 1 / np.arange(1, 7)
    return x, y, shares / shares.sum()


@metric(
    "participation_ratio_{side}",
    family="spectrum",
    unit="dimensions",
    range=(1, np.inf),
    direction="higher",
    interval="jackknife",
    null_model="isotropic cloud",
    source="Gao et al. 2017, A theory of multineuronal dimensionality, doi 10.1101/214262",
    reference_case=lambda: (*_weighted()[:2], 1 / float(np.sum(_weighted_shares()[2] ** 2))),
)
def participation_ratio(context: MetricContext) -> Estimate:
    """(tr S)^2 / tr S^2 of one side's covariance S: the number of equally strong directions with as much spread.

    The value is the plug-in, too small by about its square / n; the interval is that of the value without this bias.
    The null is that of as many rows without any preferred direction, n d / (n + d).
    """
    q = context.shared(TraceEstimates)
    if q.plug_in["x"] <= 0:
        return undefined(NO_SPREAD)
    value = q.plug_in["x"] ** 2 / q.plug_in["xx"]
    n, d = context.moments.by_item.n_items, context.moments.dim_x
    null = n * d / (n + d)
    trace, square = q.debiased("x"), q.debiased("xx")
    if q.covariance is None or not square > 0:
        return Estimate(value, null=null, note="no interval: too few items" if context.influence_sample else "")
    weights = {"x": 2 / trace, "xx": -1 / square}
    # The logarithm's own curvature.
    middle = (
        2 * math.log(trace)
        - math.log(square)
        + q.variance({"x": 1}) / trace**2
        - q.variance({"xx": 1}) / (2 * square**2)
    )
    half = Z95 * math.sqrt(q.variance(weights))
    low, high = (min(max(math.exp(end), 1.0), float(d)) for end in (middle - half, middle + half))
    unbiased = trace**2 / square
    note = f"without its bias at n = {n:,}: {unbiased:.4g}" if not low <= value <= high else ""
    return Estimate(value, low, high, null, note=note)


@metric(
    "anisotropy_{side}",
    family="spectrum",
    unit="ratio",
    range=(1, np.inf),
    direction="lower",
    interval="jackknife",
    null_model="isotropic cloud",
    source="AnisoAlign 2026, arXiv 2605.07825",
    reference_case=lambda: (*_weighted()[:2], 6 * float(_weighted_shares()[2][0])),
)
def anisotropy(context: MetricContext) -> Estimate:
    """Largest eigenvalue of one side's covariance over their mean, lambda_1 / (tr S / d).

    The interval is that of the value without its bias, where lambda_1 stands clear of lambda_2. The null is that of as
    many rows without any preferred direction, (1 + sqrt(d / n))^2.
    """
    if context.x.centred[0][0] <= 0:
        return undefined(NO_SPREAD)
    return anisotropy_of(context.pca, context.moments.by_item.n_items)


def anisotropy_of(spectral: SpectralErrors, items: int) -> Estimate:
    """lambda_1 / (tr S / d) of a covariance with its interval and null; no interval without rows."""
    values = spectral.values
    d = len(values)
    value = float(values[0]) * d / float(values.sum())
    null = (1 + math.sqrt(d / items)) ** 2
    if spectral.sample is None:
        return Estimate(value, null=null)
    first = np.eye(1, d)[0]
    top, top_bias = spectral.scores_and_bias(first / values[0], -first / values[0] ** 2)
    whole, whole_bias = spectral.scores_and_bias(np.full(d, 1 / values.sum()), np.zeros(d))
    error = math.sqrt(spectral.sample.variance(top - whole))
    low, high = _exponentials(math.log(value), top_bias - whole_bias, error, largest=float(d))
    note = "no interval: the largest eigenvalue is not clear of the second" if math.isnan(low) else ""
    return Estimate(value, low, high, null, note=note)


def slope_range(n: int, dim: int) -> tuple[int, int]:
    """First and last rank (counted from 1) of the eigenvalues that the power law is fitted to.

    >>> slope_range(500, 512), slope_range(100_000, 512)
    ((2, 249), (2, 256))
    """
    return 2, min(dim, n - 1) // 2


@metric(
    "power_law_slope_{side}",
    family="spectrum",
    unit="exponent",
    range=(0, np.inf),
    direction="neither",
    interval="jackknife",
    null_model="isotropic cloud",
    source="Yu et al. 2026 (ReAlign), arXiv 2602.07026",
    reference_case=_weighted,
)
def power_law_slope(context: MetricContext) -> Estimate:
    """Exponent alpha of lambda_k ~ k^-alpha: minus the least-squares slope of log lambda_k on log k (centred), for k
    from 2 to min(d, n - 1) / 2.

    Each rank counts the same, so that the far end weighs most; it grows with n until n is many times d, and has an
    interval from n = 10 d on only. The null is that of as many rows without any preferred direction.
    """
    values = context.x.centred[0]
    begin, end = slope_range(context.moments.by_item.n_items, len(values))
    if end <= begin or values[end - 1] <= 0:
        return undefined(f"fewer than {max(end, begin + 1)} directions have any variance")
    weights = np.zeros(len(values))
    ranks = np.log(np.arange(begin, end + 1))
    weights[begin - 1 : end] = -(ranks - ranks.mean()) / np.sum((ranks - ranks.mean()) ** 2)
    inside = weights != 0
    value, null = (
        float(weights[inside] @ np.log(v[inside])) for v in (values, isotropic_spectrum(context.moments.n, len(values)))
    )
    note = few_items(context)
    sample = context.influence_sample
    if enough_items(context) and sample is None:
        return Estimate(max(value, 0.0), null=null, note=note)
    if sample is None or not enough_items(context):
        note = note or f"no interval: needs n >= {ENOUGH * len(values):,}"
        return Estimate(max(value, 0.0), null=null, note=note)
    inverse = np.where(inside, 1 / np.where(inside, values, 1.0), 0.0)
    scores, bias = context.pca.scores_and_bias(weights * inverse, -weights * inverse**2)
    error = math.sqrt(sample.variance(scores))
    if not abs(bias) <= max(error, 1e-12):
        return Estimate(value, null=null, note="no interval: its bias at this n exceeds its error")
    return Estimate(value, max(value - bias - Z95 * error, 0.0), value - bias + Z95 * error, null)
