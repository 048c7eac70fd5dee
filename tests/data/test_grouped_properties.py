"""Properties of flat exports: any repetition of rows, in any order and of any scale, equals the index."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import isthmus
from isthmus.data.equal_rows import find_equal_rows
from isthmus.data.sources import Source

WIDTH = 5
#: Few examples keep the suite fast. The seeds of a run are fixed.
QUICK = settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def opened(x: np.ndarray, y: np.ndarray) -> isthmus.Pairs:
    """Open pairs without the warning about repeated rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)
        return isthmus.open_pairs(x, y, names=("image", "text"))


@QUICK
@given(
    seed=st.integers(0, 2**32 - 1),
    repeats=st.lists(st.integers(1, 4), min_size=40, max_size=60),
    repeated=st.sampled_from(["image", "text"]),
    has_scales=st.booleans(),
    metrics=st.sampled_from(["fast,retrieval", "all"]),
)
def test_repeated_rows_of_either_side_give_the_estimates_and_intervals_of_the_index(
    seed: int, repeats: list[int], repeated: str, has_scales: bool, metrics: str
) -> None:
    rng = np.random.default_rng(seed)
    repeats = [2, *repeats]
    owner = np.repeat(np.arange(len(repeats)), repeats)
    once = rng.normal(size=(len(repeats), WIDTH)) + 1
    many = 0.7 * once[owner] + rng.normal(size=(len(owner), WIDTH)) - 0.5
    # Measures of one match for each item take the first one, which depends on the order.
    order = np.arange(len(owner)) if metrics == "all" else rng.permutation(len(owner))
    scales = rng.choice([0.25, 1.0, 8.0] if has_scales else [1.0], size=(len(owner), 1))
    other = "text" if repeated == "image" else "image"
    rows = {repeated: (once[owner] * scales)[order], other: many[order]}
    flat = isthmus.measure(opened(rows["image"], rows["text"]), metrics=metrics)
    indexed = isthmus.Pairs(**{repeated: once, other: many}, index=owner)
    expected = isthmus.measure(indexed, metrics=metrics)
    for name, estimate in expected.items():
        got = flat[name]
        numbers = [(e.value, e.low, e.high, e.null) for e in (got, estimate)]
        np.testing.assert_allclose(*numbers, rtol=1e-5, atol=1e-7, err_msg=name)
        assert got.undefined == estimate.undefined, name


@settings(QUICK, max_examples=4)
@given(
    seed=st.integers(0, 2**32 - 1),
    repeats=st.lists(st.integers(1, 3), min_size=40, max_size=45),
    repeated=st.sampled_from(["image", "text"]),
)
def test_repeated_rows_of_either_side_give_the_explanation_and_comparison_of_the_index(
    seed: int, repeats: list[int], repeated: str
) -> None:
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(repeats) + 1), [2, *repeats])
    once = rng.normal(size=(len(repeats) + 1, WIDTH)) + 1
    many = 0.7 * once[owner] + rng.normal(size=(len(owner), WIDTH)) - 0.5
    other = "text" if repeated == "image" else "image"
    rows = {repeated: once[owner] * rng.choice([0.5, 2.0], size=(len(owner), 1)), other: many}
    pairs = opened(rows["image"], rows["text"]), isthmus.Pairs(**{repeated: once, other: many}, index=owner)
    flat, indexed = (isthmus.explain(p, metrics="fast") for p in pairs)
    assert len(flat.verdict) == len(indexed.verdict)
    for name, expected in indexed.budget.items():
        numbers = [(e.value, e.low, e.high, e.null) for e in (flat.budget[name], expected)]
        np.testing.assert_allclose(*numbers, rtol=1e-5, atol=1e-7, err_msg=name)
    options: dict[str, Any] = {"aligners": ["Centering"], "splits": 1, "tasks": ["retrieval"]}
    compared, expected_table = (isthmus.compare(p, **options)["Centering"] for p in pairs)
    assert set(compared.scores) == set(expected_table.scores)
    for name, change in expected_table.changes.items():
        numbers = [(c.value, c.low, c.high) for c in (compared.changes[name], change)]
        np.testing.assert_allclose(*numbers, rtol=1e-5, atol=1e-7, err_msg=name)


@QUICK
@given(
    seed=st.integers(0, 2**32 - 1),
    copies=st.lists(st.integers(1, 3), min_size=30, max_size=50),
    noise=st.sampled_from([0.0, 1e-9]),
)
def test_find_equal_rows_numbers_copies_in_any_order_by_first_occurrence(
    seed: int, copies: list[int], noise: float
) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(np.repeat(np.arange(len(copies)), copies))
    rows = rng.normal(size=(len(copies), WIDTH))[numbers] * rng.choice([0.5, 2.0], size=(len(numbers), 1))
    groups = find_equal_rows(Source(rows * (1 + noise * rng.normal(size=rows.shape)), address="rows"))
    expected = np.unique(numbers, return_index=True)[1]
    if groups is None:
        assert len(expected) == len(numbers)
        return
    first = {number: rank for rank, number in enumerate(numbers[np.sort(expected)])}
    np.testing.assert_array_equal(groups, [first[number] for number in numbers])


@QUICK
@given(seed=st.integers(0, 2**32 - 1), times=st.integers(2, 4))
def test_pairs_that_all_repeat_give_the_same_means_and_recalls(seed: int, times: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(45, WIDTH)) + 1
    y = x + rng.normal(size=x.shape) - 1
    names = "centroid_angle,mean_paired_cosine,image_to_text_R@1,text_to_image_R@5"
    single = isthmus.measure(isthmus.Pairs(image=x, text=y), metrics=names)
    repeated = isthmus.measure(opened(np.tile(x, (times, 1)), np.tile(y, (times, 1))), metrics=names)
    for name in names.split(","):
        assert repeated[name].value == pytest.approx(single[name].value, abs=1e-9, nan_ok=True)
        assert repeated[name].undefined == single[name].undefined


def collapsed(kind: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of which one modality, or both, are degenerate."""
    x, y = rng.normal(size=(2, n, WIDTH)) + 1
    if kind in ("constant side", "constant sides"):
        x = np.ones((n, WIDTH))
        y = -x if kind == "constant sides" else y
    elif kind == "narrow cone":
        x = 1 + 1e-4 * x
    elif kind == "line":
        x = np.outer(rng.normal(size=n), np.ones(WIDTH))
    elif kind == "equal pairs":
        y = x
    return x, y


@QUICK
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(["constant side", "constant sides", "narrow cone", "line", "equal pairs", "few items"]),
    n=st.integers(6, 40),
    times=st.integers(1, 3),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_collapsed_rows_in_any_order_scale_and_repetition_are_named_and_never_fail(
    seed: int, kind: str, n: int, times: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    n = 2 + n % 4 if kind == "few items" else n
    x, y = collapsed(kind, n, rng)
    order = rng.permutation(np.repeat(np.arange(n), times))
    explanation = isthmus.explain(opened(x[order] * scale, y[order]), metrics="fast,retrieval")
    assert explanation.result.pairs["degenerate"]
    for name, e in explanation.result.items():
        assert e.undefined or np.isfinite(e.value), name
        assert np.isnan(e.low) or e.low <= e.value <= e.high, name
        assert not any(word in (e.undefined or "") for word in ("matrix", "eigenvalue", "Bessel")), e.undefined
    blamed = [s for s in explanation.verdict if "order of the rows" in s and "cannot be judged" not in s]
    assert blamed == []
