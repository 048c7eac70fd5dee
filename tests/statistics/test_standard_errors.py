"""The infinitesimal jackknife against leaving out each item and computing the measure again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Pairs
from isthmus.metrics import MetricContext, evaluate
from isthmus.metrics._trace_estimates import TraceEstimates
from isthmus.statistics.influence import InfluenceSample
from isthmus.statistics.intervals import Z95
from isthmus.statistics.moments import moments_of
from isthmus.statistics.spectral_errors import SpectralErrors

N, D = 150, 6


def clouds(rng: np.random.Generator, rows_per_item: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scales = 1 / np.arange(1, D + 1) ** 0.7
    index = np.repeat(np.arange(N), rng.integers(1, rows_per_item + 1, size=N))
    latent = rng.normal(size=(N, D)) * scales
    x = latent + 0.3 * rng.normal(size=(N, D)) * scales + [1.2, 0.4, 0, 0, 0, 0]
    y = latent[index] + 0.3 * rng.normal(size=(len(index), D)) * scales + [0, 0, 0, 1.2, 0.4, 0.1]
    return x, y, index


def estimate(x: Any, y: Any, index: np.ndarray, names: list[str]) -> dict[str, isthmus.Estimate]:
    pairs = Pairs(image=x, text=y, index=None if len(x) == len(y) else index)
    context = MetricContext(moments_of(pairs), pairs)
    return {k: e for name in names for k, e in evaluate(isthmus.metrics.registry()[name], context).items()}


#: On these scales the intervals are symmetric around the value without its bias.
SCALES = {
    "participation_ratio": np.log,
    "anisotropy": np.log,
    "effective_rank": np.log,
    "centroid_angle": lambda degrees: np.cos(np.radians(degrees)),
}


#: There are not eight coordinates, a slope of two eigenvalues is rough, and kappa is a function of the mean cosine. The
#: width of CORAL's interval belongs to the debiased value. That of the conformity is wider where few rows decide. Its
#: variance, and sums over spectra and traces, are tested below.
ELSEWHERE = (
    "gap_share_top_8", "power_law_slope_{side}", "coral_distance", "vmf_concentration_{side}", "conformity_sd_{side}",
)  # fmt: skip


@pytest.mark.parametrize("rows_per_item", [1, 4])
def test_intervals_match_leaving_one_item_out(rng: np.random.Generator, rows_per_item: int) -> None:
    x, y, index = clouds(rng, rows_per_item)
    names = [
        name
        for name, m in isthmus.metrics.registry().items()
        if m.interval in ("jackknife", "normal") and m.requires == "moments" and name not in ELSEWHERE
    ]
    estimates = estimate(x, y, index, names)
    left_out: dict[str, list[float]] = {name: [] for name in estimates}
    for item in range(N):
        kept_pairs = np.flatnonzero(index != item)
        remaining = np.delete(np.arange(N), item)
        without_item = estimate(x[remaining], y[kept_pairs], np.searchsorted(remaining, index[kept_pairs]), names)
        for name, e in without_item.items():
            left_out[name].append(e.value)
    checked = 0
    for name, e in estimates.items():
        scale = next((f for key, f in SCALES.items() if name.startswith(key)), lambda v: v)
        if np.isnan(e.low):
            continue
        values = scale(np.array(left_out[name]))
        exact = np.sqrt((N - 1) / N * np.sum((values - values.mean()) ** 2))
        ours = abs(scale(e.high) - scale(e.low)) / (2 * Z95)
        assert ours == pytest.approx(exact, rel=0.15), name
        checked += 1
    assert checked >= 20


def traces(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The traces of `TraceEstimates`, in its order, of weighted pairs."""
    w = weights / weights.sum()
    x, y = x - w @ x, y - w @ y
    cx, cy, cross = x.T @ (w[:, None] * x), y.T @ (w[:, None] * y), x.T @ (w[:, None] * y)
    return np.array([np.trace(cx), np.trace(cy), np.sum(cx**2), np.sum(cy**2), np.sum(cx * cy), np.sum(cross**2)])


def weighted_up(function: Any, owner: np.ndarray, step: float = 1e-3) -> tuple[Any, Any]:
    """Covariance (s, s) and bias (s,) of `function(weights)` by the infinitesimal jackknife, from differences.

    Item g's mass is raised and lowered by `step` / n for each of its pairs: sum of the squared first derivatives and
    half the sum of the second ones, over n^2.
    """
    n, items = len(owner), owner.max() + 1
    value_here = np.atleast_1d(function(np.ones(n)))
    firsts, seconds = [], np.zeros(len(value_here))
    for item in range(items):
        in_item = (owner == item).astype(float)
        # Mass moves to the item from all: (1 - step m / n) P + step / n (pairs of the item).
        up, down = (np.atleast_1d(function(1 + sign * step * (in_item - in_item.sum() / n))) for sign in (1, -1))
        firsts.append((up - down) / (2 * step) * n)
        seconds += (up - 2 * value_here + down) / step**2 * n**2
    table = np.array(firsts)
    return table.T @ table / n**2 * items / (items - 1), seconds / 2 / n**2


@pytest.mark.parametrize("rows_per_item", [1, 4])
def test_trace_estimates_match_weighted_pairs(rng: np.random.Generator, rows_per_item: int) -> None:
    x, y, index = clouds(rng, rows_per_item)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))
    pairs = Pairs(image=x, text=y, index=index)
    context = MetricContext(moments_of(pairs), pairs)
    q = context.shared(TraceEstimates)
    value = traces(x[index], y, np.ones(len(y)))
    covariance, bias = weighted_up(lambda w: traces(x[index], y, w), index)
    np.testing.assert_allclose(list(q.plug_in.values()), value, rtol=1e-8)
    np.testing.assert_allclose(q.covariance, covariance, rtol=1e-5, atol=1e-12)
    # With one pair for each item, biases have all orders of 1/n.
    np.testing.assert_allclose(list(q.bias.values()), bias, rtol=1e-4 if rows_per_item > 1 else 0.12)
    # And nearly what leaving each item out gives.
    remaining = np.array([traces(x[index], y, (index != item).astype(float)) for item in range(N)])
    np.testing.assert_allclose(list(q.bias.values()), (N - 1) * (remaining.mean(axis=0) - value), rtol=0.15)

    swapped = context.swapped().shared(TraceEstimates)
    assert swapped.plug_in["xx"] == q.plug_in["yy"]
    assert swapped.bias["y"] == q.bias["x"]
    for name, other in zip(("x", "xx", "x.y", "xy"), ("y", "yy", "x.y", "xy"), strict=True):
        assert swapped.variance({name: 1.0}) == pytest.approx(q.variance({other: 1.0}), rel=1e-12)


def test_debiased_trace_is_the_known_estimator(rng: np.random.Generator) -> None:
    """With one pair per item the debiased tr S^2 is the U-statistic over four different rows."""
    n = 40
    x = rng.normal(size=(n, 5)) * [2, 1, 1, 0.5, 0.2] + 1
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    pairs = Pairs(x=x, y=x)
    centred = x - x.mean(axis=0)
    s = centred.T @ centred / (n - 1)
    fourth = np.sum(np.sum(centred**2, axis=1) ** 2) / (n - 1)
    exact = (n - 1) / (n * (n - 2) * (n - 3)) * ((n - 1) * (n - 2) * np.sum(s * s) + np.trace(s) ** 2 - n * fourth)
    ours = MetricContext(moments_of(pairs), pairs).shared(TraceEstimates).debiased("xx")
    assert ours == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("rows_per_item", [1, 3])
def test_spectral_scores_and_bias_match_weighted_pairs(
    rng: np.random.Generator, centred: bool, rows_per_item: int
) -> None:
    _, y, index = clouds(rng, rows_per_item)
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    weights = np.array([1.0, -2.0, 0.5, 0.5, 0.5, 3.0])

    def spectrum(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w = w / w.sum()
        rows = y - (w @ y if centred else 0)
        values, vectors = np.linalg.eigh(rows.T @ (w[:, None] * rows))
        return values[::-1], vectors[:, ::-1]

    values, vectors = spectrum(np.ones(len(y)))
    scored = InfluenceSample(y, y, np.flatnonzero(np.diff(index, prepend=-1)), scale=1 / len(y) ** 2)
    s = SpectralErrors(values, vectors, scored, centre=y.mean(axis=0) if centred else None)
    scores, bias = s.scores_and_bias(weights / values, -weights / values**2)
    covariance, expected = weighted_up(lambda w: weights @ np.log(spectrum(w)[0]), index)
    assert scored.variance(scores) == pytest.approx(covariance[0, 0], rel=1e-5)
    assert bias == pytest.approx(expected[0], rel=1e-3)


@pytest.mark.parametrize("rows_per_item", [1, 4])
def test_conformity_matches_weighted_pairs(rng: np.random.Generator, rows_per_item: int) -> None:
    from isthmus.metrics.cone import _conformity_scores

    x, y, index = clouds(rng, rows_per_item)
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x, y))

    def squared(weights: np.ndarray) -> float:
        w = weights / weights.sum()
        mean = w @ y
        return float(w @ ((y - mean) @ mean) ** 2)

    pairs = Pairs(image=x, text=y, index=index)
    scores = _conformity_scores(MetricContext(moments_of(pairs), pairs).swapped())
    covariance, expected = weighted_up(squared, index)
    assert scores.plug_in == pytest.approx(squared(np.ones(len(y))), rel=1e-10)
    assert scores.bias == pytest.approx(expected[0], rel=1e-3)
    assert scores.variance + scores.pair_variance == pytest.approx(covariance[0, 0], rel=1e-5)
    assert 1 < scores.tails < 1.6


@pytest.mark.parametrize("rows_per_item", [1, 3])
def test_variance_of_pair_effects_on_the_conformity_is_that_of_second_derivatives(
    rows_per_item: int, rng: np.random.Generator
) -> None:
    from isthmus.metrics.cone import _conformity_scores

    items, step = 70, 1e-3
    index = np.repeat(np.arange(items), rng.integers(1, rows_per_item + 1, size=items))
    y = rng.normal(size=(items, 4))[index] + 0.4 * rng.normal(size=(len(index), 4)) + [0.6, 0, 0, 0]
    y /= np.linalg.norm(y, axis=1, keepdims=True)

    def squared(weights: np.ndarray) -> float:
        w = weights / weights.sum()
        centre = w @ y
        return float(w @ ((y - centre) @ centre) ** 2)

    pairs, everything = Pairs(image=rng.normal(size=(items, 4)), text=y, index=index), np.ones(len(y))
    scores = _conformity_scores(MetricContext(moments_of(pairs), pairs).swapped())
    in_item = (index == np.arange(items)[:, None]).astype(float)
    in_item = step * (in_item - in_item.mean(axis=1, keepdims=True))  # mass moves to the item from all
    alone = [squared(everything + item) for item in in_item]
    effects = [
        squared(everything + in_item[i] + in_item[j]) - alone[i] - alone[j] + squared(everything)
        for i in range(items)
        for j in range(i)
    ]
    assert scores.pair_variance == pytest.approx(np.sum(np.square(effects)) / step**4, rel=0.02)


def test_variance_of_the_conformity_counts_pair_effects_once(rng: np.random.Generator) -> None:
    """Rows vary little along their mean, which is uncertain along the other directions. The jackknife counts twice."""
    from isthmus.metrics.cone import _conformity_scores

    scores = []
    for _ in range(400):
        x = rng.normal(size=(100, 6)) * [0.03, 1, 1, 1, 1, 1] + [1, 0, 0, 0, 0, 0]
        pairs = Pairs(image=x / np.linalg.norm(x, axis=1, keepdims=True), text=x)
        scores.append(_conformity_scores(MetricContext(moments_of(pairs), pairs)))
    exact = np.var([one.plug_in - one.bias for one in scores])
    assert np.mean([one.variance for one in scores]) == pytest.approx(exact, rel=0.3)
    assert np.mean([one.variance + one.pair_variance for one in scores]) > 1.5 * exact


def test_spectral_bias_of_tied_eigenvalues_is_finite() -> None:
    rows = np.repeat(np.concatenate([np.eye(4), -np.eye(4)]), 10, axis=0)
    values = np.full(4, 0.25)
    s = SpectralErrors(values, np.eye(4), InfluenceSample(rows, rows, None, scale=1 / 6400), centre=np.zeros(4))
    scores, bias = s.scores_and_bias(1 / values, -1 / values**2)
    assert np.isfinite(scores).all()
    # E log det of a covariance is too small by about d (d + 1) / 2n for normal rows. Here z_k z_l = 0 for k != l.
    assert bias == pytest.approx(-0.5 * 4 * (1 / 0.25 - 1) / 80 - 4 / 80)


def test_influence_sample_gives_the_standard_error_of_all_items(rng: np.random.Generator, monkeypatch: Any) -> None:
    x, y, index = clouds(rng, 3)
    pairs = Pairs(image=np.tile(x, (20, 1)), text=np.tile(y, (20, 1)), index=np.concatenate(
        [index + N * k for k in range(20)]
    ))  # fmt: skip
    moments = moments_of(pairs)
    full = InfluenceSample.of(pairs, moments)
    monkeypatch.setattr("isthmus.statistics.influence.SAMPLE_ITEMS", 1_000)
    smaller = InfluenceSample.of(pairs, moments)
    assert smaller.items < 0.6 * full.items
    scores = [np.einsum("ij,ij->i", s.x, s.y) for s in (full, smaller)]
    assert smaller.variance(scores[1]) == pytest.approx(full.variance(scores[0]), rel=0.15)


def test_spectral_bias_of_nearly_tied_eigenvalues_is_that_of_ties() -> None:
    rows = np.repeat(np.concatenate([np.eye(4), -np.eye(4)]), 10, axis=0) + 0.1
    sample = InfluenceSample(rows, rows, None, scale=1 / 6400)

    def bias(values: np.ndarray) -> float:
        return SpectralErrors(values, np.eye(4), sample).scores_and_bias(1 / values, -1 / values**2)[1]

    tied = np.full(4, 0.3)
    nearly = tied * (1 + 3e-16 * np.array([3, 2, 1, 0]))  # quotients of these differences are rounding noise
    assert (np.diff(nearly) < 0).all()
    assert bias(nearly) == pytest.approx(bias(tied), rel=1e-6)
