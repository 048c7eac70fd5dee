"""Cosines within and between pairs."""

from __future__ import annotations

import numpy as np

from isthmus.metrics._base import View, metric
from isthmus.statistics.intervals import debiased, normal_interval, product_noise, variance
from isthmus.statistics.result import Estimate

_X = np.array([[1.0, 0.0], [0.0, 1.0]])
_Y = np.array([[0.6, 0.8], [0.8, -0.6]])


@metric(
    "mean_paired_cosine",
    family="first order",
    unit="cosine",
    range=(-1, 1),
    better="higher",
    invariant=("rotation", "row scale", "swap"),
    interval="normal",
    control="pair shuffle",
    source="Eslami and de Melo 2025 (AlignCLIP), arXiv 2406.17639",
    known=lambda: (_X, _Y, 0.0),
)
def mean_paired_cosine(view: View) -> Estimate:
    """Mean of x_i . y_i over the pairs. The null is the mean over pairs of different items (shuffled pairing)."""
    m = view.moments
    value = m.mean_paired
    return Estimate(value, *normal_interval(value, variance(m, along_p=1.0)), null=debiased(m)[0])


@metric(
    "mean_unpaired_cosine",
    family="first order",
    unit="cosine",
    range=(-1, 1),
    invariant=("rotation", "row scale", "swap"),
    interval="jackknife",
    control="zero mean",
    source="Wang and Isola 2020, arXiv 2005.10242",
    known=lambda: (_X, _Y, 0.8),
)
def mean_unpaired_cosine(view: View) -> Estimate:
    """Mean of x_i . y_j over all i, j of different items. The null is that of directions
    whose means are zero, 0."""
    m = view.moments
    value, _, _ = debiased(m)
    noise = product_noise(m)  # the first-order variance holds it twice where the means are short
    var = max(variance(m, m.mean_y, m.mean_x) - noise, noise)
    return Estimate(value, *normal_interval(value, var), null=0.0)
