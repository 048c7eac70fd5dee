"""Shared and unique parts of the modalities: Gaussian mutual information and unexplained variance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from isthmus.metrics._conditions import undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics.spectrum import anisotropy_of
from isthmus.statistics.freedom import tail_factor
from isthmus.statistics.influence import InfluenceSample
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.result import NAN, Estimate

#: Principal directions of each modality that carry the information.
DIRECTIONS = 10
#: Fewest items, ten for each direction. With fewer, the correction of the bias is larger than what it leaves.
MIN_ITEMS = 10 * DIRECTIONS
#: Largest squared canonical correlation of modalities that are not functions of each other.
MAX_SQUARED_CORRELATION = 1 - 1e-9

#: Largest p-value of isotropic rows at which leading directions are not arbitrary. At .025, many of the few isotropic
#: data sets with an interval would be misleading.
ISOTROPY_P_VALUE = 0.001
#: Items whose rows are multiplied at once.
ITEMS_PER_BLOCK = 128

FEW_DIRECTIONS = f"fewer than {DIRECTIONS} directions of one modality have any variance"


@dataclass(frozen=True)
class LeadingScores:
    """Scores along the leading principal directions of each modality, divided by their standard deviations.

    Parameters
    ----------
    correlations : numpy.ndarray of shape (10, 10)
        Correlations of the scores of x with those of y, over all pairs.
    x, y : numpy.ndarray of shape (k, 10) or None
        Scores of the influence sample. None without rows.
    reason : str
        Why there are no scores, or ''.
    """

    correlations: np.ndarray
    x: np.ndarray | None
    y: np.ndarray | None
    reason: str = ""

    @classmethod
    def from_context(cls, context: MetricContext, /) -> LeadingScores:
        """Return the scores of the influence sample and the correlations of all pairs."""
        (lx, vx), (ly, vy), k = context.x.centred, context.y.centred, DIRECTIONS
        if min(len(lx), len(ly)) < k or min(lx[k - 1], ly[k - 1]) <= 0:
            return cls(np.zeros((0, 0)), None, None, FEW_DIRECTIONS)
        deviations_x, deviations_y = np.sqrt(lx[:k]), np.sqrt(ly[:k])
        cross = vx[:, :k].T @ context.moments.cov_xy @ vy[:, :k]
        correlations = cross / np.outer(deviations_x, deviations_y)
        if context.influence_sample is None:
            return cls(correlations, None, None)
        x = context.pca.projections[:, :k] / deviations_x
        y = context.swapped().pca.projections[:, :k] / deviations_y
        return cls(correlations, x, y)

    def swapped(self) -> LeadingScores:
        """Return the scores of (y, x)."""
        return replace(self, correlations=self.correlations.T, x=self.y, y=self.x)


def _isotropy_note(context: MetricContext) -> str:
    """Return the note that the leading directions of x are arbitrary if isotropic rows explain its spectrum, else ''.

    Among equal eigenvalues, the leading directions of a sample are those in which its rows, and with them the matching
    rows, happen to vary most. The measures are then too high or too low along them.
    """
    if np.count_nonzero(context.x.centred[0]) <= DIRECTIONS or not context.cached("isotropic", _is_isotropic):
        return ""
    return f"no interval: the leading directions of {context.names[0]} are arbitrary, its spectrum is nearly isotropic"


def _is_isotropic(context: MetricContext) -> bool:
    """Return whether isotropic rows explain the spectrum of x, so that the interval of its anisotropy starts at 1."""
    return anisotropy_of(context.pca, context.moments.n_distinct[0], level=1 - ISOTROPY_P_VALUE).low <= 1


def _jackknife(value: float, left_out: np.ndarray, scores: np.ndarray, n: int) -> tuple[float, float]:
    """Return a measure without its bias, and its variance.

    `left_out` holds the measure without each of a sample of n items, and `scores` its change to first order. The scores
    of all items add up to 0, those of a sample do not.
    """
    bias = (n - 1) * float(np.mean(left_out - value - scores))
    return value - bias, (n - 1) * float(np.var(left_out, ddof=1))


def _information_without_each(
    sample: InfluenceSample, x: np.ndarray, y: np.ndarray, rho: np.ndarray, n: int
) -> np.ndarray:
    """Return the mutual information without each sampled item, (items,).

    Parameters
    ----------
    sample : InfluenceSample
        The sample.
    x, y : numpy.ndarray of shape (rows, k)
        Scores in the canonical directions, with mean 0, variance 1 and correlations rho over all n pairs.
    rho : numpy.ndarray of shape (k,)
        Canonical correlations.
    n : int
        Number of all pairs.

    Returns
    -------
    numpy.ndarray
        The values. They follow from the covariance of all pairs and the rows of the item.
    """
    rows, k = np.concatenate([x, y], axis=1), len(rho)
    covariance = np.eye(2 * k) + np.diag(rho, k) + np.diag(rho, -k)
    sums, products = sample.by_item(rows), sample.by_item(rows[:, :, None] * rows[:, None, :])
    remaining = (n - sample.counts)[:, None, None]
    without = (n * covariance - products) / remaining - sums[:, :, None] * sums[:, None, :] / remaining**2
    of_x, of_y, of_both = (np.linalg.slogdet(block)[1] for block in (without[:, :k, :k], without[:, k:, k:], without))
    return (of_x + of_y - of_both) / 2


def _unique_share_without_each(
    sample: InfluenceSample, rows: np.ndarray, residuals: np.ndarray, scores: np.ndarray, sums: tuple[float, float, int]
) -> np.ndarray:
    """Return the share of the variance that a regression does not explain without each sampled item, (items,).

    Parameters
    ----------
    sample : InfluenceSample
        The sample.
    rows, residuals : numpy.ndarray of shape (rows, d)
        Centred rows and their residuals.
    scores : numpy.ndarray of shape (rows, k)
        Regressors, with mean 0 and the identity as covariance over all pairs.
    sums : tuple of float, float and int
        Sums of squares of all residuals and of all centred rows, and the number of all pairs.

    Returns
    -------
    numpy.ndarray
        The values. They follow from all residuals and from the rows of the item.
    """
    of_residuals, of_rows, n = sums
    design = np.concatenate([np.ones((len(scores), 1)), scores], axis=1)
    squares, squared_residuals = (np.einsum("ij,ij->i", table, table) for table in (rows, residuals))
    begins = np.arange(len(rows)) if sample.begins is None else sample.begins
    leverage = n * np.eye(design.shape[1]) - np.add.reduceat(design[:, :, None] * design[:, None, :], begins)
    if sample.begins is None:  # the product of the regressors and residuals of one pair has rank one
        solved = np.linalg.solve(leverage, design[:, :, None])[:, :, 0]
        extra = np.einsum("ij,ij->i", design, solved) * squared_residuals
    else:
        extra = _explained_by_items(leverage, design, residuals, begins)
    means = np.sum(sample.by_item(rows) ** 2, axis=1) / (n - sample.counts)
    return (of_residuals - sample.by_item(squared_residuals) - extra) / (of_rows - sample.by_item(squares) - means)


def _explained_by_items(
    leverage: np.ndarray, design: np.ndarray, residuals: np.ndarray, begins: np.ndarray
) -> np.ndarray:
    """Return tr P' L^-1 P for each item with its leverage L and P, the sum of design row times residual row."""
    explained = np.empty(len(begins))
    for first in range(0, len(begins), ITEMS_PER_BLOCK):
        block = begins[first : first + ITEMS_PER_BLOCK]
        end = begins[first + ITEMS_PER_BLOCK] if first + ITEMS_PER_BLOCK < len(begins) else len(design)
        inside = slice(block[0], end)
        products = np.add.reduceat(design[inside, :, None] * residuals[inside, None, :], block - block[0])
        solved = np.linalg.solve(leverage[first : first + ITEMS_PER_BLOCK], products)
        explained[first : first + ITEMS_PER_BLOCK] = np.einsum("ijk,ijk->i", products, solved)
    return explained


def _gaussian_bias(n: int) -> float:
    """Return the bias of the mutual information of n Gaussian items, from the mean log-determinant of Wishart laws."""
    from scipy.special import digamma  # imported late: it takes a tenth of a second

    def expected(dims: int) -> float:
        return float(np.sum(digamma((n - 1 - np.arange(dims)) / 2)))

    return expected(DIRECTIONS) - expected(2 * DIRECTIONS) / 2


def _information_selection_bias(context: MetricContext, scores: LeadingScores) -> float:
    """Return the part of the bias of the mutual information that turns the leading directions of x."""
    assert scores.x is not None
    assert scores.y is not None
    k, correlations = DIRECTIONS, scores.correlations
    deviations_x, deviations_y = (np.sqrt(modality.centred[0][:k]) for modality in (context.x, context.y))
    joint = np.block([[np.eye(k), correlations], [correlations.T, np.eye(k)]])
    solved = np.linalg.solve(joint, np.concatenate([scores.x, scores.y], axis=1).T).T
    cross = context.x.centred[1][:, k:].T @ context.moments.cov_xy @ context.y.centred[1][:, :k] / deviations_y
    terms = [
        (context.pca.projections[:, k:], (scores.x - solved[:, :k]) / deviations_x),
        (solved[:, k:] @ cross.T, solved[:, :k] / deviations_x),
    ]
    return context.pca.leading_subspace_bias(k, terms)


def _independent_factors() -> tuple[np.ndarray, np.ndarray, float]:
    """Return every combination of one of 20 signed axes in x and one in y."""
    axes = np.concatenate([np.eye(DIRECTIONS), -np.eye(DIRECTIONS)])
    return np.repeat(axes, len(axes), axis=0), np.tile(axes, (len(axes), 1)), 0.0


@metric(
    "gaussian_mutual_information",
    min_items=MIN_ITEMS,
    undefined_if=("constant modality",),
    conditions=(FEW_DIRECTIONS, "a direction of one modality is a linear function of the other modality"),
    family="representation similarity",
    unit="nats",
    range=(0, np.inf),
    direction="higher",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="pair shuffle",
    source="Kullback 1959, Information Theory and Statistics, for Gaussian laws; bias derived for this package",
    reference_case=_independent_factors,
)
def gaussian_mutual_information(context: MetricContext) -> Estimate:
    r"""Mutual information of both modalities along their 10 leading directions, if they were Gaussian, in nats.

    It is -1/2 sum_i log(1 - rho_i^2). The rho_i are the canonical correlations of the centred rows along the 10 leading
    principal directions of each modality, as these data give them. In our reading of Theorem 4, contrastive training
    keeps what both modalities share. The value and its interval are corrected for the bias of the plug-in. It includes
    that of leading directions that follow the errors of these rows. The null is the mean of the plug-in for shuffled
    pairs of Gaussian rows.

    It fails in three ways. It does not detect dependence without correlation. It counts a direction of little variance
    like one of large variance. If the eigenvalues at the tenth direction are nearly equal, other data of the same
    distribution have other leading directions. These can share more or less. There is no interval if isotropic rows
    explain the spectrum of a modality (p > .001), because its leading directions are then arbitrary.
    """
    scores = context.shared(LeadingScores)
    if scores.reason:
        return undefined(scores.reason)
    to_x, rho, to_y = np.linalg.svd(scores.correlations)
    if rho[0] ** 2 > MAX_SQUARED_CORRELATION:
        return undefined("a direction of one modality is a linear function of the other: the information is infinite")
    plug_in = -0.5 * float(np.sum(np.log1p(-(rho**2))))
    n, sample = context.moments.by_item.n_items, context.influence_sample
    null = _gaussian_bias(n)
    if scores.x is None or scores.y is None or sample is None:
        return Estimate(plug_in, null=null)
    x, y, pairs = scores.x @ to_x, scores.y @ to_y.T, context.moments.n
    without = _information_without_each(sample, x, y, rho, pairs)
    explained = (2 * rho * x * y - rho**2 * (x**2 + y**2)) / (1 - rho**2)
    value, variance = _jackknife(plug_in, without, -sample.by_item(explained.sum(axis=1)) / (2 * pairs), n)
    selection = _information_selection_bias(context, scores)
    selection += _information_selection_bias(context.swapped(), scores.swapped())
    value, variance = value - selection, variance + selection**2  # a correction is as uncertain as it is large
    if not math.isfinite(variance):
        return Estimate(plug_in, null=null, note="no interval: without one item, the others have fewer directions")
    if note := _isotropy_note(context) or _isotropy_note(context.swapped()):
        return Estimate.debiased(value, (NAN, NAN), plugin=plug_in, null=null, note=note)
    interval = clip_interval(normal_interval(value, variance), 0, math.inf)
    return Estimate.debiased(value, interval, plugin=plug_in, null=null)


def _independent_factors_of_one() -> tuple[np.ndarray, np.ndarray, float]:
    x, y, _ = _independent_factors()
    return x, y, 1.0


@metric(
    "unique_variance_{side}",
    min_items=MIN_ITEMS,
    undefined_if=("constant modality",),
    conditions=(FEW_DIRECTIONS,),
    family="representation similarity",
    unit="share",
    range=(0, 1),
    direction="neither",
    invariances=("rotation", "row scale"),
    interval="jackknife",
    null_model="pair shuffle",
    source="Ezekiel 1930, Methods of Correlation Analysis, for the adjusted R^2; bias derived for this package",
    reference_case=_independent_factors_of_one,
)
def unique_variance(context: MetricContext) -> Estimate:
    """Share of the variance of one modality that the 10 leading directions of the other do not predict linearly.

    It is 1 - R^2 of the regression of the centred rows on ten scores of their matches. The scores are those along the
    10 leading principal directions of the other modality, as these data give them. No linear map from these directions
    reaches this part of the modality. The value and its interval are without the bias of the plug-in, which includes
    that of leading directions that follow the errors of these rows. The null is the plug-in for shuffled pairs,
    1 - 10 / (n - 1). Like every linear measure, it counts what only a nonlinear map predicts as unique. There is no
    interval if isotropic rows explain the spectrum of the other modality (p > .001).
    """
    scores = context.shared(LeadingScores)
    if scores.reason:
        return undefined(scores.reason)
    variances, directions = context.y.centred
    k, n, sample = DIRECTIONS, context.moments.by_item.n_items, context.influence_sample
    slopes = context.moments.cov_xy @ directions[:, :k] / np.sqrt(variances[:k])
    total = float(np.sum(context.x.centred[0]))
    plug_in = min(max(1 - float(np.sum(slopes**2)) / total, 0.0), 1.0)
    null = 1 - k / (n - 1)
    if scores.y is None or sample is None:
        return Estimate(plug_in, null=null)
    rows, pairs = context.pca.projections, context.moments.n
    residuals = rows - scores.y @ (slopes.T @ context.x.centred[1])
    sums = plug_in * total * pairs, total * pairs, pairs
    without = _unique_share_without_each(sample, rows, residuals, scores.y, sums)
    change = np.sum(residuals**2 - plug_in * rows**2, axis=1) / -sums[1]
    value, variance = _jackknife(plug_in, without, sample.by_item(change), n)
    turned = directions.T @ context.moments.cov_xy.T @ context.x.centred[1] @ residuals.T
    other, deviations = context.swapped().pca, np.sqrt(variances[:k])
    terms = [(turned[k:].T, scores.y / deviations), (other.projections[:, k:], turned[:k].T / variances[:k])]
    selection = -2 / total * other.leading_subspace_bias(k, terms)
    # The variance of the correction is taken as half of its square, which simulated data sets need.
    value, variance = value - selection, variance * tail_factor(without) ** 2 + selection**2 / 2
    if note := _isotropy_note(context.swapped()):
        return Estimate.debiased(value, (NAN, NAN), plugin=plug_in, null=null, note=note)
    # A regression on k scores leaves n - k - 1 degrees of freedom. Items with many pairs have a larger weight.
    n_effective = pairs**2 / context.moments.by_item.count_sq
    interval = clip_interval(normal_interval(value, variance * (n_effective - 1) / (n_effective - k - 1)), 0, 1)
    return Estimate.debiased(value, interval, plugin=plug_in, null=null)
