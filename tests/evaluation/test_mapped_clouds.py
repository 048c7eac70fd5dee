"""The geometry of mapped clouds, which is computed without the cross moments of all dimensions."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus import Moments, Pairs
from isthmus.data.cross_dim_pairs import with_rows
from isthmus.evaluation import mapped_clouds
from isthmus.evaluation.mapped_clouds import MappedClouds, moments_along_means
from isthmus.metrics import MetricContext
from isthmus.metrics.centroid import debiased_distance, gap_angle
from isthmus.statistics.mean_angle import noise_angle_interval


@pytest.mark.parametrize("dims", [2, 3, 12])
@pytest.mark.parametrize("offset", [0.0, 0.3, 3.0])
def test_moments_along_means_give_the_gap_and_the_scores_of_all_moments(
    dims: int, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_clouds, "BLOCK_ROWS", 64)
    rng = np.random.default_rng(dims)
    x = rng.normal(size=(300, dims)) + offset
    y = x + rng.normal(size=x.shape) - np.linspace(0, offset, dims)
    pairs = Pairs(image=x, text=y)
    x, y = (np.asarray(rows) for rows in pairs.unit())
    clouds, full = MappedClouds(pairs, x, y), Moments.of(x, y, normalize=False)
    expected = gap_angle(MetricContext(full, names=pairs.names), inflation=1.5, with_null=False)
    gap = clouds.gap(inflation=1.5)
    assert gap.undefined == expected.undefined
    # The interval of an angle that may be zero needs all cross moments. Here they are spread evenly.
    tolerance = 1e-9 if noise_angle_interval(full, inflation=1.5) is None else 2.5
    assert gap.value == pytest.approx(expected.value, abs=1e-9, nan_ok=True)
    assert [gap.low, gap.high] == pytest.approx([expected.low, expected.high], abs=tolerance, nan_ok=True)
    assert clouds.scores()["paired_cosine"] == pytest.approx(full.mean_paired, abs=1e-14)


@pytest.mark.parametrize("offset", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("repeated", ["x", "y", "both"])
def test_moments_along_means_of_repeated_rows_give_the_gap_and_the_scores_of_all_moments(
    repeated: str, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_clouds, "BLOCK_ROWS", 64)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(300, 12)) + offset
    y = rng.normal(size=x.shape) - np.linspace(0, offset, 12)
    index = groups = None
    if repeated != "y":
        index = np.concatenate([np.arange(300), rng.integers(0, 300, 150)])
        y = np.concatenate([y, rng.normal(size=(150, 12)) + offset])
    if repeated == "y":
        groups = rng.permutation(np.concatenate([np.arange(100), rng.integers(0, 100, 200)]))
    elif repeated == "both":
        groups = np.concatenate([np.arange(300), index[300:] // 3 * 3])
    if groups is not None:
        y = y[np.unique(groups, return_index=True)[1]][np.unique(groups, return_inverse=True)[1]]
    pairs = Pairs(image=x, text=y, index=index, y_groups=groups)
    assert pairs.dependence is None
    x, y = (np.asarray(rows) for rows in pairs.unit())
    clouds, full = MappedClouds(pairs, x, y), Moments.of(with_rows(pairs, x, y), normalize=False)
    expected = gap_angle(MetricContext(full, names=pairs.names), inflation=1.5, with_null=False)
    gap = clouds.gap(inflation=1.5)
    assert gap.undefined == expected.undefined
    assert gap.value == pytest.approx(expected.value, abs=1e-9, nan_ok=True)
    assert clouds.scores()["paired_cosine"] == pytest.approx(full.mean_paired, abs=1e-14)
    assert clouds.scores()["gap_distance"] == pytest.approx(debiased_distance(full), abs=1e-12)
    np.testing.assert_allclose(clouds.moments.cov_x, full.cov_x, atol=1e-14)
    np.testing.assert_allclose(clouds.moments.cov_y, full.cov_y, atol=1e-14)
    for name in ("n_items", "count_sq", "count_cos", "cos_sq", "count_x", "count_y", "cos_x", "cos_y", "xx", "yy"):
        expected_sum = getattr(full.by_item, name)
        np.testing.assert_allclose(getattr(clouds.moments.by_item, name), expected_sum, rtol=1e-10, atol=1e-10)


def test_moments_along_means_of_rows_without_means_have_the_right_trace() -> None:
    rows = np.concatenate([np.eye(4), -np.eye(4)])
    assert np.trace(moments_along_means(rows, rows).xy) == pytest.approx(8)


@pytest.mark.parametrize("captions", [1, 2])
def test_clouds_with_the_rows_of_plain_clouds_equal_those_that_are_summed_anew(
    captions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 60, 6)) + 0.5
    index = None if captions == 1 else np.repeat(np.arange(60), captions)
    pairs = Pairs(image=x, text=np.repeat(y, captions, axis=0), index=index)
    x, y = (np.asarray(rows) for rows in pairs.unit())
    plain, mapped = MappedClouds(pairs, x, y), x[:, ::-1].copy()
    anew = MappedClouds(pairs, mapped, y.copy(), plain=plain)
    factorised: list[np.ndarray] = []
    original = mapped_clouds.covariance_factor
    monkeypatch.setattr(mapped_clouds, "covariance_factor", lambda cov: (factorised.append(cov), original(cov))[1])
    shared = MappedClouds(pairs, mapped, y, plain=plain)
    assert len(factorised) == 1
    assert shared.scores() == anew.scores()
