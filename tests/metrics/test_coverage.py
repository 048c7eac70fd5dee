"""Every interval holds the true value in about 95 of 100 data sets: 400 simulated ones for each kind of data."""

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
#: Kind of data: items, partners of an item, length of the shift that makes the cone, exponent of the spectrum.
KINDS = {
    "cones": (150, 1, 1.0, 0.7),
    "several partners": (120, 3, 1.0, 0.7),
    "short means": (150, 1, 0.02, 0.7),
    "short means of thin clouds": (150, 1, 0.02, 1.5),
}
SHIFT_X, SHIFT_Y = np.zeros((2, D))
SHIFT_X[[0, 1, 5]] = 1.2, 0.5, 0.3
SHIFT_Y[[3, 4, 6]] = 1.2, 0.4, 0.3
#: kappa is a function of the mean cosine, here too slow to invert so often; rows have their own tests.
ELSEWHERE = ("vmf_concentration_{side}",)
ENTRIES = {
    name: m
    for name, m in isthmus.metrics.registry().items()
    if m.interval in ("jackknife", "normal") and m.requires == "moments" and name not in ELSEWHERE
}
NAMES = [name for m in ENTRIES.values() for name in m.names("image", "text")]
RECALLS = ("image_to_text_R@1", "text_to_image_R@1", "text_to_image_R@5")


def draw(kind: str, items: int, rng: np.random.Generator) -> Pairs:
    """Anisotropic clouds with correlated partners, cones apart."""
    _, partners, length, exponent = KINDS[kind]
    scales = np.arange(1, D + 1) ** -exponent
    latent = rng.normal(size=(items, D)) * scales
    index = np.repeat(np.arange(items), partners)
    x = latent + 0.3 * rng.normal(size=(items, D)) * scales + length * SHIFT_X
    y = latent[index] + 0.3 * rng.normal(size=(len(index), D)) * scales + length * SHIFT_Y
    return Pairs(image=x, text=y, index=None if partners == 1 else index)


def measured(pairs: Pairs, names: tuple[str, ...]) -> dict[str, isthmus.Estimate]:
    context = MetricContext(moments_of(pairs), pairs)
    registry = isthmus.metrics.registry()
    return {k: e for name in names for k, e in evaluate(registry[name], context).items()}


@cache
def truth(kind: str) -> dict[str, float]:
    """The population's values, from many items: a fortieth of the errors that are tested."""
    rng = np.random.default_rng(1)
    return {name: e.value for name, e in measured(draw(kind, LARGE, rng), tuple(ENTRIES)).items()}


@cache
def estimates(kind: str) -> list[dict[str, isthmus.Estimate]]:
    rng = np.random.default_rng(2)
    recalls = ("{x}_to_{y}_R@1", "{y}_to_{x}_R@1", "{y}_to_{x}_R@5") if not kind.startswith("short") else ()
    return [measured(draw(kind, KINDS[kind][0], rng), (*ENTRIES, *recalls)) for _ in range(SETS)]


def missed(kind: str, name: str, true: float) -> tuple[float, int]:
    """Share of the intervals that miss, and the number of intervals."""
    found = [e for sets in estimates(kind) if not math.isnan((e := sets[name]).low)]
    return float(np.mean([not e.low <= true <= e.high for e in found])) if found else math.nan, len(found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["cones", "several partners"])
def test_coverage(kind: str, name: str) -> None:
    share, intervals = missed(kind, name, truth(kind)[name])
    assert intervals >= 0.9 * SETS
    # Nothing of the gap lies outside of the eight coordinates: the interval ends at the bound 1, where the truth is.
    assert (0.0 if name == "gap_share_top_8" else 0.02) <= share <= 0.10


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["short means", "short means of thin clouds"])
def test_coverage_near_zero_is_enough(kind: str, name: str) -> None:
    """Squares of lengths near zero: too wide is allowed, too narrow is not."""
    share, intervals = missed(kind, name, truth(kind)[name])
    if name == "centroid_angle":
        assert intervals <= 0.03 * SETS  # undefined, as it should be: the means are noise
    else:
        assert share <= 0.11


@pytest.mark.parametrize("name", RECALLS)
@pytest.mark.parametrize("kind", ["cones", "several partners"])
def test_coverage_of_recall(kind: str, name: str) -> None:
    """Wilson's interval for the mean recall among this number of items, of which one has several queries."""
    true = float(np.mean([sets[name].value for sets in estimates(kind)]))
    share, _ = missed(kind, name, true)
    assert 0.02 <= share <= 0.10
