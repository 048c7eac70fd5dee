"""Unbiased CKA and CKNNA against the formulas with whole kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

import isthmus
from isthmus import Pairs
from isthmus.metrics.kernel_alignment import Hsic


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow_hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al., equation 5, with n x n kernels."""
    n = len(x)
    k, l = x @ x.T, y @ y.T  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    one = np.ones(n)
    chain = one @ k @ l @ one
    totals = (one @ k @ one) * (one @ l @ one)
    return float((np.trace(k @ l) + totals / ((n - 1) * (n - 2)) - 2 * chain / (n - 2)) / (n * (n - 3)))


def slow_cka(x: np.ndarray, y: np.ndarray) -> float:
    return slow_hsic(x, y) / math.sqrt(slow_hsic(x, x) * slow_hsic(y, y))


def slow_cknna(x: np.ndarray, y: np.ndarray, k: int = 10) -> float:
    def parts(a: np.ndarray) -> tuple[np.ndarray, list[set[int]]]:
        kernel = a @ a.T
        near = [set(np.argsort(-np.where(np.arange(len(a)) == i, -9, row))[:k]) for i, row in enumerate(kernel)]
        return kernel - kernel.mean(axis=1, keepdims=True), near

    def aligned(p: Any, q: Any) -> float:
        return float(sum(p[0][i, j] * q[0][i, j] for i in range(len(x)) for j in p[1][i] & q[1][i]))

    p, q = parts(x), parts(y)
    return aligned(p, q) / math.sqrt(aligned(p, p) * aligned(q, q))


def measured(x: Any, y: Any, name: str, **options: Any) -> isthmus.Estimate:
    return isthmus.measure(Pairs(image=x, text=y), metrics=[name], **options)[name]


def test_unbiased_cka_equals_kernels(cones: Any) -> None:
    x, y = cones
    assert measured(x, y, "unbiased_cka").value == pytest.approx(slow_cka(unit(x), unit(y)), abs=1e-10)
    assert measured(x, y, "unbiased_cka", normalize=False).value == pytest.approx(slow_cka(x, y), abs=1e-10)


def test_hsic_without_each_item_equals_a_loop(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 25, 4))
    estimates = Hsic.of(x, y)
    assert estimates.value == pytest.approx(slow_hsic(x, y), abs=1e-12)
    for i in range(25):
        assert estimates.left_out[i] == pytest.approx(slow_hsic(np.delete(x, i, 0), np.delete(y, i, 0)), abs=1e-12)


def test_unbiased_cka_interval_equals_the_jackknife(cones: Any) -> None:
    x, y = map(unit, cones)
    e = measured(x, y, "unbiased_cka")
    left_out = np.array([slow_cka(np.delete(x, i, 0), np.delete(y, i, 0)) for i in range(120)])
    half = student.ppf(0.975, 119) * math.sqrt(119 / 120 * np.sum((left_out - left_out.mean()) ** 2))
    assert e.value - e.low == pytest.approx(half, abs=1e-10)


def test_unbiased_cka_in_high_dimensions_has_the_null_mean(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 60, 100))
    values = [measured(x, y[rng.permutation(60)], "unbiased_cka").value for _ in range(49)]
    assert abs(np.mean(values)) < 4 * np.std(values) / 7
    centred = [unit(modality) - unit(modality).mean(axis=0) for modality in (x, y)]
    kernels = [modality @ modality.T for modality in centred]
    biased = np.sum(kernels[0] * kernels[1]) / np.linalg.norm(kernels[0]) / np.linalg.norm(kernels[1])
    assert biased > 0.5


def test_cknna_equals_loops(cones: Any) -> None:
    x, y = cones
    assert measured(x, y, "cknna").value == pytest.approx(slow_cknna(unit(x), unit(y)), abs=1e-10)


def test_cknna_null_is_the_mean_of_shuffles(cones: Any, rng: np.random.Generator) -> None:
    x, y = cones
    values = [measured(x, y[rng.permutation(len(y))], "cknna").value for _ in range(60)]
    assert measured(x, y, "cknna").null == pytest.approx(np.mean(values), abs=4 * np.std(values) / math.sqrt(60))


def test_kernel_alignment_of_equal_rows_is_undefined() -> None:
    x, y = np.ones((12, 3)), np.eye(12)[:, :3] + 1
    assert measured(x, y, "unbiased_cka").undefined
    assert measured(x, y, "cknna").undefined == "all rows of image are the same"


def test_kernel_alignment_of_clip_has_known_values(clip_coco: Pairs) -> None:
    x, y = (np.asarray(modality, dtype=np.float64) for modality in clip_coco.unit())
    estimates = isthmus.measure(clip_coco, metrics=["unbiased_cka", "cknna"])
    assert estimates["unbiased_cka"].value == pytest.approx(slow_cka(x, y), abs=1e-6)
    assert estimates["unbiased_cka"].value < 0.636  # the biased one
    assert estimates["cknna"].value > 10 * estimates["cknna"].null
