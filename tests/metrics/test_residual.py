"""What is left of the differences of partners, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Pairs


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_residual_anisotropy_equals_pca_of_the_differences(cones: Any) -> None:
    from sklearn.decomposition import PCA

    x, y = map(unit, cones)
    values = PCA().fit(x - y).explained_variance_
    e = isthmus.measure(Pairs(image=x, text=y), metrics="residual_anisotropy")["residual_anisotropy"]
    assert e.value == pytest.approx(values[0] / values.mean(), rel=1e-8)
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
