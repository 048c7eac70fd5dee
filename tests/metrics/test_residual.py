"""What is left of the differences of partners, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus import Pairs


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_residual_anisotropy_is_that_of_the_differences(cones: Any) -> None:
    from sklearn.decomposition import PCA

    x, y = map(unit, cones)
    values = PCA().fit(x - y).explained_variance_
    e = isthmus.measure(Pairs(image=x, text=y), metrics="residual_anisotropy")["residual_anisotropy"]
    assert e.value == pytest.approx(values[0] / values.mean(), rel=1e-8)
    assert e.null == pytest.approx((1 + np.sqrt(12 / 120)) ** 2)


def test_it_is_the_anisotropy_of_one_side_when_the_other_stands_still(rng: np.random.Generator) -> None:
    x = rng.normal(size=(300, 6)) / np.arange(1, 7)
    still = np.tile(np.eye(6)[0], (300, 1))
    names = ["residual_anisotropy", "anisotropy_{side}"]
    found = isthmus.measure(Pairs(image=x, text=still), metrics=names, normalize=False)
    for part in ("value", "low", "high", "null"):
        assert getattr(found["residual_anisotropy"], part) == pytest.approx(getattr(found["anisotropy_image"], part))


def test_partners_of_one_offset_have_no_residual(cones: Any) -> None:
    x = unit(cones[1])
    found = isthmus.measure(Pairs(image=x, text=x + np.eye(12)[2]), normalize=False, metrics="residual_anisotropy")
    assert found["residual_anisotropy"].undefined == "all matching rows differ by the same vector"
