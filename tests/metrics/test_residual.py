"""What is left of the differences of partners, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Moments, Pairs
from isthmus.statistics.mean_intervals import debiased_gap_squared


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_residual_anisotropy_equals_pca_of_the_differences(cones: Any) -> None:
    from sklearn.decomposition import PCA

    x, y = map(unit, cones)
    values = PCA().fit(x - y).explained_variance_
    e = isthmus.measure(Pairs(image=x, text=y), metrics="residual_anisotropy")["residual_anisotropy"]
    assert e.plugin == pytest.approx(values[0] / values.mean(), rel=1e-8)
    assert e.null == pytest.approx((1 + np.sqrt(12 / 120)) ** 2)


def test_residual_anisotropy_with_constant_rows_is_that_of_the_other_modality(rng: np.random.Generator) -> None:
    x = rng.normal(size=(300, 6)) / np.arange(1, 7)
    still = np.tile(np.eye(6)[0], (300, 1))
    names = ["residual_anisotropy", "anisotropy_{side}"]
    estimates = isthmus.measure(Pairs(image=x, text=still), metrics=names, normalize=False)
    for part in ("value", "low", "high", "null"):
        assert getattr(estimates["residual_anisotropy"], part) == pytest.approx(
            getattr(estimates["anisotropy_image"], part)
        )


def test_residual_of_a_constant_offset_is_undefined(cones: Any) -> None:
    x = unit(cones[1])
    estimates = isthmus.measure(Pairs(image=x, text=x + np.eye(12)[2]), normalize=False, metrics="residual_anisotropy")
    assert estimates["residual_anisotropy"].undefined == "all matching rows differ by the same vector"


@pytest.mark.parametrize("distance", [0.05, 2.0])
def test_residual_energy_share_of_close_and_distant_pairs_has_a_null(rng: np.random.Generator, distance: float) -> None:
    x = unit(np.eye(4)[0] + 0.05 * rng.normal(size=(60, 4)))
    y = unit(x + distance * np.eye(4)[1] + 0.02 * rng.normal(size=(60, 4)))
    e = isthmus.measure(Pairs(image=x, text=y), metrics="residual_energy_share")["residual_energy_share"]
    products = x @ y.T
    squares = 2 - 2 * (products.sum() - np.trace(products)) / (60 * 59)
    gap = (x.sum(axis=0) - y.sum(axis=0)) @ (x.sum(axis=0) - y.sum(axis=0)) - np.sum((x - y) ** 2)
    assert e.null == pytest.approx(1 - gap / (60 * 59) / squares, abs=1e-9)


def test_residual_energy_share_of_a_small_gap_has_both_ends_of_the_noise_interval() -> None:
    rng = np.random.default_rng(0)
    x = unit(rng.normal(size=(200, 4)))
    y = unit(x + 0.5 * rng.normal(size=(200, 4)) + [0.14, 0.0, 0.0, 0.0])
    moments = Moments.of(x, y)
    _, noise = debiased_gap_squared(moments)
    assert noise is not None
    assert noise[0] > 0
    e = isthmus.measure(moments, metrics="residual_energy_share")["residual_energy_share"]
    total = np.mean(np.sum((x - y) ** 2, axis=1))
    assert (e.low, e.high) == pytest.approx((1 - noise[1] / total, 1 - noise[0] / total), rel=1e-9)
