"""The geometry of mapped clouds, which is computed without the cross moments of all dimensions."""

from __future__ import annotations

import numpy as np
import pytest

from isthmus import Moments, Pairs
from isthmus.evaluation import mapped_clouds
from isthmus.evaluation.mapped_clouds import MappedClouds, moments_along_means
from isthmus.metrics import MetricContext
from isthmus.metrics.centroid import gap_angle


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
    values = [(gap.value, expected.value), (gap.low, expected.low), (gap.high, expected.high)]
    assert all(value == pytest.approx(other, abs=1e-9, nan_ok=True) for value, other in values)
    assert clouds.scores()["paired_cosine"] == pytest.approx(full.mean_paired, abs=1e-14)


def test_moments_along_means_of_rows_without_means_have_the_right_trace() -> None:
    rows = np.concatenate([np.eye(4), -np.eye(4)])
    assert np.trace(moments_along_means(rows, rows).xy) == pytest.approx(8)
