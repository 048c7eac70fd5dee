"""Separability of the modalities by a linear probe, on items that it was not fitted on."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from isthmus.metrics._conditions import are_pairs_equal
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.intervals import Z95, wilson_interval
from isthmus.statistics.result import Estimate
from isthmus.statistics.shares import share_interval

#: Weight of the log loss against |w|^2 / 2, the default of scikit-learn.
C = 1.0
#: Degrees of freedom that the variance of independent rows counts as, where few items decide the area under the curve.
INDEPENDENT_DF = 5
#: Halvings of the distance to 0 or 1 in the search for the end of an interval.
BISECTIONS = 50
#: Rounding errors of a row, relative to its length, up to which decision values are ties.
ROUNDINGS = 4
#: Fewest items for a split into two halves.
MIN_ITEMS = 8
#: Steps that approximate the Hessian, most steps, entry of the gradient at which the fit ends, and shortest part of a
#: step.
MEMORY, MAX_STEPS, TOLERANCE, MIN_SHARE = 30, 10_000, 1e-9, 1e-10


@dataclass(frozen=True)
class Probe:
    """Decision values of a probe for held-out rows, (m,) each. A positive value predicts x.

    Values that differ by no more than `rounding`, that of the rows, are ties.
    """

    x: np.ndarray
    y: np.ndarray
    rounding: float = 0.0

    @classmethod
    def of(cls, rows: PairedRows, /) -> Probe:
        """Fit on both rows of a random half of the items, and evaluate both rows of the other half."""
        fit, test = rows.random_order[: rows.n // 2], rows.random_order[rows.n // 2 :]
        weights, bias = logistic_regression(rows.x[fit], rows.y[fit])
        # A matrix product gives equal rows values that differ by rounding, and ties of both modalities would break.
        tested = [modality[test].astype(np.float64) for modality in (rows.x, rows.y)]
        length = max(float(np.linalg.norm(modality, axis=1).max()) for modality in tested)
        x, y = (np.einsum("ij,j->i", modality, weights) + bias for modality in tested)
        return cls(x, y, ROUNDINGS * float(np.finfo(rows.x.dtype).eps) * length * float(np.linalg.norm(weights)))

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Probe:
        """Fit and evaluate on the sampled items."""
        return cls.of(context.shared(PairedRows))


def logistic_regression(x: np.ndarray, y: np.ndarray, /) -> tuple[np.ndarray, float]:
    """Return the weights (d,) and the bias of the logistic regression between rows of x (+) and rows of y (-).

    It minimises |w|^2 / 2 + C sum log(1 + exp(-t (w.r + b))) with a free bias, to 1e-10 of the gradient's scale. This
    is the minimiser of scikit-learn's default. `scipy.optimize` is not used, which takes a third of a second to import.

    >>> weights, bias = logistic_regression(np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]]))
    >>> bool(abs(weights[0] - 2 / (1 + np.exp(weights[0]))) < 1e-8), bool(abs(bias) < 1e-8)
    (True, True)
    """
    from scipy.special import expit

    rows = np.concatenate([x, y], dtype=np.float64)
    targets = np.concatenate([np.ones(len(x)), -np.ones(len(y))])
    # Centred rows: the bias is not penalised, and would need many steps for clouds away from the origin.
    midpoint = rows.mean(axis=0)
    rows -= midpoint

    def loss(margins: np.ndarray, w: np.ndarray) -> float:
        return float(w @ w / 2 + C * np.logaddexp(0, -margins).sum())

    def gradient_at(margins: np.ndarray, w: np.ndarray) -> np.ndarray:
        slopes = -C * targets * expit(-margins)
        return np.append(w + rows.T @ slopes, slopes.sum())

    # L-BFGS. The margins are linear in the parameters, so that a shorter step needs no product with the rows.
    parameters, margins = np.zeros(rows.shape[1] + 1), np.zeros(len(rows))
    value, gradient = loss(margins, parameters[:-1]), gradient_at(margins, parameters[:-1])
    history: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MEMORY)
    for _ in range(MAX_STEPS):
        if np.abs(gradient).max() <= TOLERANCE:
            break
        step = -_times_inverse_hessian(gradient, history)
        change, slope, share = targets * (rows @ step[:-1] + step[-1]), float(gradient @ step), 1.0
        while loss(margins + share * change, (parameters + share * step)[:-1]) > value + 1e-4 * share * slope:
            share /= 2
            if share < MIN_SHARE:  # the loss is flat to its last digit
                return _at_rows(parameters, midpoint)
        parameters, margins = parameters + share * step, margins + share * change
        value, previous = loss(margins, parameters[:-1]), gradient
        gradient = gradient_at(margins, parameters[:-1])
        if (gradient - previous) @ step > 0:
            history.append((share * step, gradient - previous))
    return _at_rows(parameters, midpoint)


def _times_inverse_hessian(gradient: np.ndarray, history: deque[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the gradient times the inverse Hessian that steps and changes of the gradient approximate."""
    if not history:
        return gradient / max(float(np.linalg.norm(gradient)), 1.0)
    product, weights = gradient, []
    for step, change in reversed(history):
        weights.append(float(step @ product) / float(step @ change))
        product = product - weights[-1] * change
    step, change = history[-1]
    product = product * (float(step @ change) / float(change @ change))
    for (step, change), weight in zip(history, reversed(weights), strict=True):
        product = product + step * (weight - float(change @ product) / float(step @ change))
    return product


def _at_rows(parameters: np.ndarray, midpoint: np.ndarray) -> tuple[np.ndarray, float]:
    """Return weights and bias for rows that are not centred."""
    weights = parameters[:-1]
    return weights, float(parameters[-1] - weights @ midpoint)


def _two_points() -> tuple[np.ndarray, np.ndarray, float]:
    return np.tile([1.0, 0.0, 0.0], (60, 1)), np.tile([0.0, 1.0, 0.0], (60, 1)), 1.0


@metric(
    "linear_separability",
    needs_pairs=False,
    min_items=MIN_ITEMS,
    undefined_if=("equal pairs",),
    family="separability",
    unit="share",
    range=(0, 1),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="wilson",
    null_model="modality swap",
    source="Fahim, Murphy and Fyshe 2024, arXiv 2405.18570",
    reference_case=_two_points,
)
def linear_separability(context: MetricContext) -> Estimate:
    """Held-out accuracy of a logistic regression (C = 1) that separates the modalities.

    It is fitted on a random half of at most 10,000 random items, and evaluated on the other half. Both rows of one pair
    of each item are used. Chance is .5. If means of the same rows were subtracted, the accuracy falls below .5, because
    the means of the two halves are then opposite. The interval is Wilson's over the held-out items for the fitted
    probe. The two rows of an item are not independent. Without errors they count as one trial, and with several errors
    as one or two, by the variance between items. With fewer than 15 errors the interval is exact.
    """
    probe = context.shared(Probe)
    boundary = np.zeros(1)
    per_item = (
        _share_below(probe.x, boundary, probe.rounding) + 1 - _share_below(probe.y, boundary, probe.rounding)
    ) / 2
    value, n = float(per_item.mean()), len(per_item)
    variance = min(float(per_item.var(ddof=1)), value * (1 - value))  # one trial per item or more
    if variance == 0 and 0 < value < 1:  # each item has one error
        return Estimate(value, *wilson_interval(value * n, n), null=0.5)
    return Estimate(value, *share_interval(value, variance / n, n), null=0.5)


@metric(
    "separability_auc",
    needs_pairs=False,
    min_items=MIN_ITEMS,
    family="separability",
    unit="share",
    range=(0, 1),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="modality swap",
    source="Hanley and McNeil 1982, Radiology 143; DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44",
    reference_case=_two_points,
)
def separability_auc(context: MetricContext) -> Estimate:
    """Area under the ROC curve of the held-out decision values of `linear_separability`.

    It is the probability that an x row has a larger value than an independent y row, where ties count half. Chance is
    .5. The interval has DeLong's standard error, with both rows of an item taken together. Its ends are areas that
    would have the measured one at that distance. Where a few items decide, the standard error is mixed with that of
    Hanley and McNeil for independent rows. It is absent if matching rows are the same.
    """
    probe = context.shared(Probe)
    y_below = _share_below(probe.x, probe.y, probe.rounding)  # for each x row, the share of y rows below it
    x_above = 1 - _share_below(probe.y, probe.x, probe.rounding)
    value, n = float(y_below.mean()), len(y_below)
    sums = y_below + x_above
    squares = (sums - sums.mean()) ** 2
    variance = float(squares.sum()) / (n - 1) / n
    if (variance == 0 and value not in (0, 1)) or are_pairs_equal(context):
        return Estimate(value, null=0.5, note="no interval: both rows of every item are equally separable")
    ratio = 1.0
    if variance > 0:
        spread = float(squares.var())
        df = 2 * n * float(squares.mean()) ** 2 / spread if spread > 0 else math.inf
        of_independent_rows = _area_variance(value, n)
        share = df / (df + INDEPENDENT_DF)
        ratio = (
            share * variance / of_independent_rows + 1 - share if math.isfinite(df) else variance / of_independent_rows
        )
    low, high = (_area_at_end(value, n, ratio, end) for end in (0.0, 1.0))
    return Estimate(value, low, high, 0.5)


def _area_variance(area: float, n: int) -> float:
    """Return the variance of an area under the curve of n independent rows of each class (Hanley and McNeil)."""
    return area * (1 - area) * (1 + (n - 1) * ((1 - area) / (2 - area) + area / (1 + area))) / n**2


def _area_at_end(area: float, n: int, ratio: float, end: float) -> float:
    """Return the area between the measured one and 0 or 1 that is 1.96 of its own standard errors from it."""
    inside, outside = area, end
    for _ in range(BISECTIONS):
        middle = (inside + outside) / 2
        if (area - middle) ** 2 > Z95**2 * ratio * _area_variance(middle, n):
            outside = middle
        else:
            inside = middle
    return end if area == end else (inside + outside) / 2


def _share_below(values: np.ndarray, reference: np.ndarray, rounding: float) -> np.ndarray:
    """Return the share of `reference` below each value, where those that are equal but for `rounding` count half."""
    ordered = np.sort(reference)
    ranks = np.searchsorted(ordered, values - rounding, "left") + np.searchsorted(ordered, values + rounding, "right")
    return ranks / (2 * len(reference))
