"""Measures of constant, collapsed, equal and few rows: right numbers, or undefined with the reason."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import isthmus
from isthmus.metrics import registry
from isthmus.utils.errors import InputError

WORDS_OF_THE_CODE = ("matrix", "eigenvalue", "Bessel", " nu ", "SVD", "array", "its computation")


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clouds(n: int = 60, dim: int = 16, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return unit(rng.normal(size=(n, dim)) + 1), unit(rng.normal(size=(n, dim)) - 0.5)


def collapsed_clouds(case: str, rng: np.random.Generator, n: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n rows of both modalities of one degenerate kind."""
    x, y = unit(rng.normal(size=(n, dim)) + rng.normal()), unit(rng.normal(size=(n, dim)) + rng.normal())
    basis = np.linalg.qr(rng.normal(size=(dim, 3)))[0].T
    cone = 10.0 ** rng.uniform(-10, -1)
    return {
        "ordinary": lambda: (x, y),
        "constant x": lambda: (np.tile(x[:1], (n, 1)), y),
        "constant y": lambda: (x, np.tile(y[:1], (n, 1))),
        "constant both": lambda: (np.tile(x[:1], (n, 1)), np.tile(y[:1], (n, 1))),
        "one vector": lambda: (np.tile(x[:1], (n, 1)),) * 2,
        "equal pairs": lambda: (x, x),
        "opposite pairs": lambda: (x, -x),
        "rank 3": lambda: (unit(rng.normal(size=(n, 3)) @ basis), unit(rng.normal(size=(n, 3)) @ basis)),
        "one direction": lambda: (np.outer(rng.choice([-1, 1], n), x[0]), np.outer(rng.choice([-1, 1], n), y[0])),
        "narrow cones": lambda: (x[:1] + cone * rng.normal(size=(n, dim)), y[:1] + cone * rng.normal(size=(n, dim))),
        "two rows": lambda: (x[np.arange(n) % 2], y[np.arange(n) % 2]),
    }[case]()


CASES = (
    "ordinary", "constant x", "constant y", "constant both", "one vector", "equal pairs", "opposite pairs", "rank 3",
    "one direction", "narrow cones", "two rows",
)  # fmt: skip


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("case", CASES)
def test_measure_and_explain_of_degenerate_data_never_raise(case: str) -> None:
    rng = np.random.default_rng(CASES.index(case))
    for n in (2, 3, 4, 5, int(rng.integers(6, 60))):
        dim = int(rng.integers(2, 24))
        x, y = (rows * 10.0 ** rng.uniform(-3, 3) for rows in collapsed_clouds(case, rng, n, max(dim, 3)))
        order = rng.permutation(n)
        dtype = rng.choice(["float32", "float64"])
        pairs = isthmus.Pairs(image=x[order].astype(dtype), text=y[order].astype(dtype))
        explanation = isthmus.explain(pairs)
        assert explanation.verdict
        assert explanation.to_json()
        for name, estimate in explanation.result.items():
            assert math.isnan(estimate.value) == bool(estimate.undefined), (case, n, name)
            assert not [word for word in WORDS_OF_THE_CODE if word in (estimate.undefined or "")], (case, n, name)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("unbiased_cka", "constant x"),
        ("unbiased_cka", "constant both"),
        ("unbiased_cka", "one vector"),
        ("mutual_knn", "constant both"),
        ("mutual_knn", "constant y"),
        ("mutual_knn", "one direction"),
        ("overlap_8", "rank 3"),
        ("overlap_8", "constant x"),
        ("shared_space_reproducibility", "rank 3"),
        ("frechet_centroid_share", "equal pairs"),
        ("linear_separability", "equal pairs"),
        ("image_to_text_hubness", "constant x"),
        ("text_to_image_hubness", "constant y"),
        ("gap_outside_span_image", "constant x"),
        ("relative_modality_gap", "one vector"),
        ("mixing_rate", "one vector"),
        ("cka", "constant both"),
    ],
)
def test_measure_without_a_meaning_on_the_data_is_undefined(name: str, case: str) -> None:
    x, y = collapsed_clouds(case, np.random.default_rng(0), 60, 16)
    assert isthmus.measure(isthmus.Pairs(image=x, text=y))[name].undefined


def test_measures_of_constant_rows_that_have_a_meaning_keep_their_values() -> None:
    x, y = collapsed_clouds("constant both", np.random.default_rng(0), 60, 16)
    result = isthmus.measure(isthmus.Pairs(image=x, text=y))
    cosine = float(unit(x)[0] @ unit(y)[0])
    assert result["mean_paired_cosine"].value == pytest.approx(cosine)
    assert result["centroid_angle"].value == pytest.approx(math.degrees(math.acos(cosine)))
    assert result["conformity_sd_image"].value == 0
    assert result["effective_rank_image"].value == 1


def test_unbiased_cka_of_narrow_cones_is_that_of_their_directions() -> None:
    x, y = clouds()
    steps_x, steps_y = x - x.mean(axis=0), 0.6 * (x - x.mean(axis=0)) + 0.8 * (y - y.mean(axis=0))
    values = []
    for spread in (1e-2, 1e-4):
        pairs = isthmus.Pairs(image=np.eye(1, 16) + spread * steps_x, text=np.eye(1, 16, 1) + spread * steps_y)
        values.append(isthmus.measure(pairs, metrics="unbiased_cka")["unbiased_cka"].value)
    assert values[0] == pytest.approx(values[1], abs=0.02)


def test_metric_with_an_unknown_degenerate_case_is_refused() -> None:
    with pytest.raises(InputError, match="degenerate case"):
        dataclasses.replace(registry()["cka"], undefined_if=("constant",))


def test_conformity_sd_of_pairs_written_twice_is_that_of_the_pairs() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 200, 5)) + 0.6
    once, twice = (
        isthmus.measure(np.repeat(x, times, axis=0), np.repeat(y, times, axis=0), metrics="conformity_sd_x")
        for times in (1, 2)
    )
    ends = [
        (table["conformity_sd_x"].low, table["conformity_sd_x"].value, table["conformity_sd_x"].high)
        for table in (once, twice)
    ]
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_measures_of_rounding_differences_between_equal_rows_are_undefined() -> None:
    x = (np.random.default_rng(0).normal(size=(200, 12)) + 0.5).astype(np.float32)
    result = isthmus.measure(x, 3 * x)  # unit rows differ in their last digit
    shares = ("gap_share_top_2", "gap_share_top_8", "gap_share_leading_8_x", "gap_outside_span_y")
    assert {result[name].undefined for name in shares} == {"the two means are equal"}
    assert np.isnan(result.curves["gap_share_per_coordinate"]).all()
    assert math.isnan(result["separability_auc"].low)
    assert result["centroid_distance"].value < 1e-8
