"""Separability: can a linear probe tell the modalities apart on items that it has not seen?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from isthmus.metrics._conditions import too_few_items
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._paired_rows import PairedRows
from isthmus.statistics.intervals import Z95, normal_interval, wilson_interval
from isthmus.statistics.result import Estimate

#: Weight of the log loss against |w|^2 / 2: scikit-learn's default.
C = 1.0


@dataclass(frozen=True)
class Probe:
    """Decision values of a probe for held-out rows, (m,) each: positive means x."""

    x: np.ndarray
    y: np.ndarray

    @classmethod
    def from_context(cls, context: MetricContext, /) -> Probe:
        """Fit and judge on the sampled items."""
        return cls.of(context.shared(PairedRows))

    @classmethod
    def of(cls, rows: PairedRows, /) -> Probe:
        """Fit on both rows of a random half of the items, judge both rows of the others."""
        fit, judged = rows.random_order[: rows.n // 2], rows.random_order[rows.n // 2 :]
        weights, bias = logistic_regression(rows.x[fit], rows.y[fit])
        return cls(*(side[judged].astype(np.float64) @ weights + bias for side in (rows.x, rows.y)))


def logistic_regression(x: np.ndarray, y: np.ndarray, /) -> tuple[np.ndarray, float]:
    """Weights (d,) and bias of the logistic regression that tells rows of x (+) from rows of y (-).

    Minimises |w|^2 / 2 + C sum log(1 + exp(-t (w.r + b))), the bias free, to 1e-10 of the gradient's scale: the
    minimiser of scikit-learn's default, found without loading scikit-learn.

    >>> weights, bias = logistic_regression(np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]]))
    >>> bool(abs(weights[0] - 2 / (1 + np.exp(weights[0]))) < 1e-8), bool(abs(bias) < 1e-8)
    (True, True)
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    rows = np.concatenate([x, y]).astype(np.float64)
    targets = np.concatenate([np.ones(len(x)), -np.ones(len(y))])
    # Start from the middle: the bias is not penalised and would be far to go for clouds off the origin.
    middle = rows.mean(axis=0)
    rows -= middle

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        w, b = parameters[:-1], parameters[-1]
        margins = targets * (rows @ w + b)
        slopes = -C * targets * expit(-margins)
        value = w @ w / 2 + C * np.logaddexp(0, -margins).sum()
        return float(value), np.append(w + rows.T @ slopes, slopes.sum())

    start = np.zeros(rows.shape[1] + 1)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B",
        options={"maxiter": 10_000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30},
    )  # fmt: skip
    weights = found.x[:-1]
    return weights, float(found.x[-1] - weights @ middle)


def _far_apart() -> tuple[np.ndarray, np.ndarray, float]:
    return np.tile([1.0, 0.0, 0.0], (60, 1)), np.tile([0.0, 1.0, 0.0], (60, 1)), 1.0


@metric(
    "linear_separability",
    family="separability",
    unit="share",
    range=(0, 1),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="wilson",
    null_model="modality swap",
    source="Fahim, Murphy and Fyshe 2024, arXiv 2405.18570",
    reference_case=_far_apart,
)
def linear_separability(context: MetricContext) -> Estimate:
    """Accuracy of a logistic regression (C = 1) that tells the modalities apart, fitted on both rows of a random half
    of at most 10,000 random items (one partner each) and judged on the other half. Chance is .5; after means that
    were taken from the same rows are subtracted it falls below .5, because the halves' means are then opposite.

    The interval is Wilson's over the held-out items for the probe as fitted, whose two rows are not independent.
    """
    if context.shared(PairedRows).n < 8:
        return too_few_items(context.shared(PairedRows).n, 8)
    probe = context.shared(Probe)
    per_item = ((probe.x > 0).astype(float) + (probe.y < 0)) / 2
    value = float(per_item.mean())
    return Estimate(value, *_wilson(value, float(per_item.var(ddof=1)), len(per_item)), null=0.5)


@metric(
    "separability_auc",
    family="separability",
    unit="share",
    range=(0, 1),
    direction="lower",
    requires="rows",
    invariances=("rotation", "row scale", "swap"),
    interval="normal",
    null_model="modality swap",
    source="Hanley and McNeil 1982, Radiology 143; DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44",
    reference_case=_far_apart,
)
def separability_auc(context: MetricContext) -> Estimate:
    """Area under the ROC curve of the held-out decision values of the logistic regression of `linear_separability`:
    the probability that an x row gets a larger value than a y row of another draw, ties counted half. Chance is .5.

    The interval is DeLong's with the two rows of an item taken together; it is absent where no value overlaps.
    """
    if context.shared(PairedRows).n < 8:
        return too_few_items(context.shared(PairedRows).n, 8)
    probe = context.shared(Probe)
    above_y = _share_below(probe.x, probe.y)  # for each x row, the share of y rows below it
    above_x = 1 - _share_below(probe.y, probe.x)
    value = float(above_y.mean())
    var = float((above_y + above_x).var(ddof=1)) / len(above_y)
    if var == 0:
        return Estimate(value, null=0.5, note="no interval: no value of one side lies among those of the other")
    low, high = normal_interval(value, var)
    return Estimate(value, max(low, 0.0), min(high, 1.0), 0.5)


def _share_below(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each value the share of `others` below it, equal ones counted half."""
    ordered = np.sort(others)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(others))


def _wilson(share: float, variance: float, n: int) -> tuple[float, float]:
    """Wilson's interval with as many independent trials as give the variance seen between items."""
    if not 0 < share < 1:
        return wilson_interval(round(share * n), n)
    trials = n * max(share * (1 - share) / variance, 1.0) if variance > 0 else 2.0 * n
    z = Z95
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / (1 + z * z / trials)
    return max(0.0, centre - half), min(1.0, centre + half)
