"""Similarity of the two representations, whatever their directions: linear CKA and SVCCA."""

from __future__ import annotations

import math

import numpy as np

from isthmus.linalg.random_subspaces import random_principal_angles
from isthmus.metrics._conditions import EQUAL_ROWS, undefined
from isthmus.metrics._context import MetricContext
from isthmus.metrics._metric import metric
from isthmus.metrics._trace_estimates import TraceEstimates
from isthmus.statistics.freedom import widened_variance
from isthmus.statistics.intervals import clip_interval, normal_interval
from isthmus.statistics.mean_variance import mean_freedom
from isthmus.statistics.result import Estimate

#: Principal directions of each modality that SVCCA correlates.
SVCCA_DIRECTIONS = 10
#: Fewest items whose CKA depends on the data.
MIN_CKA_ITEMS = 3
#: Pairs of random subspaces behind the null of SVCCA.
RANDOM_SUBSPACES = 50


def _reflected(dim: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return a cloud and its reflection, without two equal variances."""
    x = np.repeat(np.concatenate([np.eye(dim), -np.eye(dim)]), [*range(1, dim + 1)] * 2, axis=0)
    return x, x[:, ::-1].copy(), 1.0


@metric(
    "cka",
    min_items=MIN_CKA_ITEMS,
    min_interval_items=12,
    undefined_if=("constant modality",),
    family="representation similarity",
    unit="share",
    range=(0, 1),
    direction="higher",
    invariances=("rotation", "row scale", "swap"),
    interval="jackknife",
    null_model="pair shuffle",
    source="Kornblith et al. 2019, arXiv 1905.00414",
    reference_case=lambda: _reflected(4),
)
def cka(context: MetricContext) -> Estimate:
    """Linear centred kernel alignment, |S_xy|_F^2 / (|S_x|_F |S_y|_F): 1 if one cloud is the other one rotated.

    The plug-in is the usual biased form, which is too high by about the null. The value and its interval are without
    this bias. The null is the mean of the plug-in over shuffled pairings, tr S_x tr S_y / ((n - 1) |S_x|_F |S_y|_F).
    """
    traces = context.shared(TraceEstimates)
    scale = math.sqrt(traces.plug_in["xx"] * traces.plug_in["yy"])
    if scale <= 0:
        return undefined(EQUAL_ROWS)
    value = min(traces.plug_in["xy"] / scale, 1.0)
    n = context.moments.by_item.n_items
    null = min(traces.plug_in["x"] * traces.plug_in["y"] / ((n - 1) * scale), 1.0)
    xy, xx, yy = (traces.debiased(name) for name in ("xy", "xx", "yy"))
    if traces.covariance is None or not (xx > 0 and yy > 0):
        return Estimate(value, null=null, note="no interval: too few items" if context.influence_sample else "")
    scale = math.sqrt(xx * yy)
    unbiased = xy / scale
    var = traces.variance({"xy": 1 / scale, "xx": -unbiased / (2 * xx), "yy": -unbiased / (2 * yy)})
    interval = clip_interval(normal_interval(unbiased, widened_variance(var, mean_freedom(context.moments))), 0, 1)
    return Estimate.debiased(unbiased, interval, plugin=value, null=null)


@metric(
    "svcca",
    undefined_if=("constant modality",),
    conditions=("fewer than 10 directions have variance", "there are no more than 11 items or 10 dimensions"),
    family="representation similarity",
    unit="correlation",
    range=(0, 1),
    direction="higher",
    invariances=("rotation", "row scale", "swap"),
    interval="none: canonical correlations are biased upwards, and the ten directions jump where eigenvalues tie",
    null_model="pair shuffle",
    source="Raghu et al. 2017, arXiv 1706.05806; ten directions as in Huh et al. 2024, arXiv 2405.07987",
    reference_case=lambda: _reflected(12),
)
def svcca(context: MetricContext) -> Estimate:
    """Mean canonical correlation between the 10 leading principal directions (centred) of the two modalities.

    The null is the mean for shuffled pairs: the cosines between random subspaces of 10 dimensions in R^(n - 1).
    """
    (lx, vx), (ly, vy) = context.x.centred, context.y.centred
    n, k = context.moments.by_item.n_items, SVCCA_DIRECTIONS
    if min(len(lx), n - 1) <= k or min(lx[k - 1], ly[k - 1]) <= 0:
        return undefined(f"fewer than {k} directions have variance, or there are no more than {k + 1} items")
    cross = vx[:, :k].T @ context.moments.cov_xy @ vy[:, :k]
    whitened = cross / np.sqrt(lx[:k, None] * ly[:k])
    value = float(np.mean(np.linalg.svd(whitened, compute_uv=False)))
    random_angles = random_principal_angles(n - 1, k, k, draws=RANDOM_SUBSPACES, rng=0)
    return Estimate(min(value, 1.0), null=float(np.mean(np.cos(np.radians(random_angles)))))
