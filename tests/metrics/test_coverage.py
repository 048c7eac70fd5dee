"""Intervals of measures of moments contain the true value in about 95 of 100 simulated data sets.

The formulas have faster tests: the jackknife in tests/statistics/test_standard_errors.py, and the angle between the
means in test_centroid.py.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.metrics import MetricContext, evaluate
from isthmus.statistics.moments import moments_of

SETS, LARGE, D = 400, 300_000, 10
#: Kind of data: items, rows of y per item, length of the shift that makes the cone, exponent of the spectrum.
KINDS = {
    "cones": (150, 1, 1.0, 0.7),
    "several rows of y": (120, 3, 1.0, 0.7),
    "short means": (150, 1, 0.02, 0.7),
    "short means of thin clouds": (150, 1, 0.02, 1.5),
}
SHIFT_X, SHIFT_Y = np.zeros((2, D))
SHIFT_X[[0, 1, 5]] = 1.2, 0.5, 0.3
SHIFT_Y[[3, 4, 6]] = 1.2, 0.4, 0.3
#: kappa is a function of the mean cosine that is too slow to invert here, and conformity needs 200 items. Rows have
#: their own tests.
ELSEWHERE = ("vmf_concentration_{side}", "conformity_sd_{side}")
ENTRIES = {
    name: m
    for name, m in isthmus.metrics.registry().items()
    if m.interval in ("jackknife", "normal") and m.requires == "moments" and name not in ELSEWHERE
}
NAMES = [name for m in ENTRIES.values() for name in m.names("image", "text")]
RECALLS = ("image_to_text_R@1", "text_to_image_R@1", "text_to_image_R@5")


def draw(kind: str, items: int, rng: np.random.Generator) -> Pairs:
    """Return anisotropic clouds with correlated pairs and different means."""
    _, rows_per_item, length, exponent = KINDS[kind]
    scales = np.arange(1, D + 1) ** -exponent
    latent = rng.normal(size=(items, D)) * scales
    index = np.repeat(np.arange(items), rows_per_item)
    x = latent + 0.3 * rng.normal(size=(items, D)) * scales + length * SHIFT_X
    y = latent[index] + 0.3 * rng.normal(size=(len(index), D)) * scales + length * SHIFT_Y
    return Pairs(image=x, text=y, index=None if rows_per_item == 1 else index)


def measured(pairs: Pairs, names: tuple[str, ...]) -> dict[str, isthmus.Estimate]:
    context = MetricContext(moments_of(pairs), pairs)
    registry = isthmus.metrics.registry()
    return {k: e for name in names for k, e in evaluate(registry[name], context).items()}


@cache
def truth(kind: str) -> dict[str, float]:
    """Return the values of many items. Their errors are a fortieth of those that are tested."""
    rng = np.random.default_rng(1)
    return {name: e.value for name, e in measured(draw(kind, LARGE, rng), tuple(ENTRIES)).items()}


@cache
def estimates(kind: str) -> list[dict[str, isthmus.Estimate]]:
    rng = np.random.default_rng(2)
    recalls = ("{x}_to_{y}_R@1", "{y}_to_{x}_R@1", "{y}_to_{x}_R@5") if not kind.startswith("short") else ()
    return [measured(draw(kind, KINDS[kind][0], rng), (*ENTRIES, *recalls)) for _ in range(SETS)]


def missed(kind: str, name: str, true: float) -> tuple[float, int]:
    """Return the share of the intervals that miss the true value, and the number of intervals."""
    with_interval = [e for sets in estimates(kind) if not math.isnan((e := sets[name]).low)]
    is_missed = [not e.low <= true <= e.high for e in with_interval]
    return float(np.mean(is_missed)) if is_missed else math.nan, len(is_missed)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["cones", "several rows of y"])
def test_interval_of_long_means_covers(kind: str, name: str) -> None:
    share, intervals = missed(kind, name, truth(kind)[name])
    # A slope has no interval in a fifth to a third of these sets: groups of equal eigenvalues could explain them.
    assert intervals >= (0.55 if name.startswith("power_law_slope") else 0.9) * SETS
    # The whole gap lies in the eight coordinates: the interval ends at the bound 1, which is the true value.
    lowest = {"gap_share_top_8": 0.0, "power_law_slope_image": 0.005}.get(name, 0.02)
    assert lowest <= share <= 0.10


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cones", "several rows of y"])
def test_interval_of_conformity_covers(kind: str) -> None:
    entry = ("conformity_sd_{side}",)
    true = measured(draw(kind, LARGE, np.random.default_rng(1)), entry)
    rng = np.random.default_rng(2)
    sets = [measured(draw(kind, 200, rng), entry) for _ in range(SETS)]
    for name, e in true.items():
        assert 0.02 <= np.mean([not table[name].low <= e.value <= table[name].high for table in sets]) <= 0.10


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["short means", "short means of thin clouds"])
def test_interval_near_zero_is_not_too_narrow(kind: str, name: str) -> None:
    """Intervals of squares of lengths near zero may be too wide."""
    share, intervals = missed(kind, name, truth(kind)[name])
    if name == "centroid_angle":
        assert intervals <= 0.05 * SETS  # most have none, because the means are noise
    else:
        assert share <= 0.11


@pytest.mark.slow
@pytest.mark.parametrize("name", RECALLS)
@pytest.mark.parametrize("kind", ["cones", "several rows of y"])
def test_interval_of_recall_covers(kind: str, name: str) -> None:
    """Wilson's interval is for the mean recall among this number of items, with one or several queries per item."""
    true = float(np.mean([sets[name].value for sets in estimates(kind)]))
    share, _ = missed(kind, name, true)
    assert 0.02 <= share <= 0.10
