"""Uniformity against loops and the uniform distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.spatial.distance import cdist, pdist
from scipy.stats import t as student

import isthmus
from isthmus import Pairs
from isthmus.metrics.uniformity import uniform_on_sphere


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_uniformity_equals_a_loop(cones: Any) -> None:
    x, y = map(unit, cones)
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=["uniformity_{side}"])
    for name, modality in (("uniformity_image", x), ("uniformity_text", y)):
        kernel = np.exp(-2 * pdist(modality) ** 2)
        assert estimates[name].value == pytest.approx(math.log(kernel.mean()), abs=1e-8)
        left_out = np.array([math.log(np.mean(np.exp(-2 * pdist(np.delete(modality, i, 0)) ** 2))) for i in range(120)])
        half = student.ppf(0.975, 119) * math.sqrt(119 / 120 * np.sum((left_out - left_out.mean()) ** 2))
        assert estimates[name].high == pytest.approx(estimates[name].value * math.exp(half / estimates[name].value))


def test_cross_uniformity_equals_a_loop(cones: Any) -> None:
    x, y = map(unit, cones)
    e = isthmus.measure(Pairs(image=x, text=y), metrics=["cross_uniformity"])["cross_uniformity"]
    kernel = np.exp(-2 * cdist(x, y) ** 2)[~np.eye(120, dtype=bool)]
    assert e.value == pytest.approx(math.log(kernel.mean()), abs=1e-8)

    def without(i: int) -> float:
        a, b = np.delete(x, i, 0), np.delete(y, i, 0)
        return math.log(np.mean(np.exp(-2 * cdist(a, b) ** 2)[~np.eye(119, dtype=bool)]))

    left_out = np.array([without(i) for i in range(120)])
    half = student.ppf(0.975, 119) * math.sqrt(119 / 120 * np.sum((left_out - left_out.mean()) ** 2))
    assert e.low == pytest.approx(e.value * math.exp(half / -e.value))


@pytest.mark.parametrize("dim", [2, 3, 10, 512])
def test_uniform_on_sphere_equals_the_integral(dim: int) -> None:
    # The cosine of random directions has the density (1 - c^2)^((d - 3) / 2).
    weight, kernel = (
        quad(lambda a, k=k: math.sin(a) ** (dim - 2) * math.exp(-4 * k * (1 - math.cos(a))), 0, math.pi, points=[1.57])[
            0
        ]
        for k in (0, 1)
    )
    assert uniform_on_sphere(dim) == pytest.approx(math.log(kernel / weight), abs=1e-9)


def test_uniformity_of_uniform_rows_is_the_null(rng: np.random.Generator) -> None:
    x, y = (unit(rng.normal(size=(800, 6))) for _ in range(2))
    estimates = isthmus.measure(Pairs(image=x, text=y), metrics=["uniformity_{side}", "cross_uniformity"])
    for e in estimates.values():
        assert e.value == pytest.approx(e.null, abs=0.03)


def test_cross_uniformity_of_raw_rows_has_no_null(cones: Any) -> None:
    e = isthmus.measure(Pairs(image=cones[0], text=cones[1]), metrics=["cross_uniformity"], normalize=False)
    assert np.isnan(e["cross_uniformity"].null)
    far = isthmus.measure(
        Pairs(image=99 * np.eye(5), text=-99 * np.eye(5)), metrics=["cross_uniformity"], normalize=False
    )
    assert "so far apart" in str(far["cross_uniformity"].undefined)


def test_uniformity_of_clip_has_known_values(clip_coco: Pairs) -> None:
    x, _ = (np.asarray(modality, dtype=np.float64) for modality in clip_coco.unit())
    estimates = isthmus.measure(clip_coco, metrics=["uniformity_{side}"])["uniformity_image"]
    assert estimates.value == pytest.approx(math.log(np.mean(np.exp(-2 * pdist(x) ** 2))), abs=1e-6)
