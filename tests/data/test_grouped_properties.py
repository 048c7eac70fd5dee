"""Properties of flat exports: any repetition of rows, in any order and of any scale, equals the index."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import isthmus
from isthmus.align import ScoreCalibration
from isthmus.data.equal_rows import find_equal_rows
from isthmus.data.sources import Source
from isthmus.diagnosis import decompose_pairs

WIDTH = 5
#: Few examples keep the suite fast. The seeds of a run are fixed.
QUICK = settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def opened(x: np.ndarray, y: np.ndarray, names: tuple[str, str] = ("image", "text")) -> isthmus.Pairs:
    """Open pairs without the warning about repeated rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", isthmus.IsthmusWarning)
        return isthmus.open_pairs(x, y, names=names)


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


def assert_equal_numbers(found: Mapping[str, Any], expected: Mapping[str, Any], exchanged: Mapping[str, str]) -> None:
    """Compare values, intervals and nulls of estimates by name, also where the names of modalities are exchanged."""
    assert {exchanged.get(name, name) for name in found} == set(expected)
    for name, estimate in found.items():
        other = expected[exchanged.get(name, name)]
        numbers = [(e.value, e.low, e.high, e.null) for e in (estimate, other)]
        tolerance = 1e-7 if name.startswith("centred") else 1e-9  # sums of float32 distances
        np.testing.assert_allclose(*numbers, rtol=1e-6, atol=tolerance, err_msg=name)
        assert (estimate.undefined, estimate.no_interval) == (other.undefined, other.no_interval), name


@settings(QUICK, max_examples=3, phases=[Phase.explicit, Phase.generate])  # each example takes half a second
@example(seed=7, sizes=[(3, 3)] * 6 + [(1, 1)] * 20, times=1)  # few components, and no intervals
@example(seed=1, sizes=[(1, 1)] * 42, times=2)  # one component is larger than the others
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=42, max_size=50),
    times=st.sampled_from([1, 2]),
)
def test_rows_of_both_sides_that_repeat_give_the_same_numbers_with_exchanged_modalities(
    seed: int, sizes: list[tuple[int, int]], times: int
) -> None:
    rng = np.random.default_rng(seed)
    sizes = [(2, 3), *sizes]
    begins = np.cumsum([(0, 0), *sizes], axis=0)
    edges = [begin + np.unique(np.r_[[(0, 0)], rng.integers(0, size, (4, 2))], axis=0)
             for begin, size in zip(begins, sizes, strict=False)]  # fmt: skip
    owner, column = np.repeat(np.concatenate(edges), times, axis=0).T
    signal = np.repeat(rng.normal(size=(len(sizes), WIDTH)), 3, axis=0).reshape(len(sizes), 3, WIDTH)
    images = np.concatenate([rows[: size[0]] for rows, size in zip(signal, sizes, strict=True)]) + 1
    texts = np.concatenate([rows[: size[1]] for rows, size in zip(signal, sizes, strict=True)]) - 0.5
    images, texts = (rows + 0.5 * rng.normal(size=rows.shape) for rows in (images, texts))
    pairs = opened(images[owner], texts[column]), opened(texts[column], images[owner], names=("text", "image"))
    results = [isthmus.measure(p) for p in pairs]
    assert_equal_numbers(*results, {})
    assert results[0].pairs["independent_items"] == results[1].pairs["independent_items"] >= len(sizes)
    decompositions = [{**(d := decompose_pairs(p)), "total": d.total, "best": d.captured_fraction} for p in pairs]
    assert_equal_numbers(*decompositions, {})
    tasks = ["retrieval", "mixed_search", "two_sided_search", "neighbours"]
    aligners = ["Centering", "CSLS", "SharedSignal"]
    tables = [isthmus.compare(p, aligners=aligners, splits=1, tasks=tasks) for p in pairs]
    for row, exchanged_row in zip(*(table.rows for table in tables), strict=True):
        assert_equal_numbers(row.scores, exchanged_row.scores, {"NAS@10_x": "NAS@10_y", "NAS@10_y": "NAS@10_x"})
        assert_equal_numbers(row.changes, exchanged_row.changes, {"NAS@10_x": "NAS@10_y", "NAS@10_y": "NAS@10_x"})
    calibrations = [isthmus.calibrate(p) for p in pairs]
    np.testing.assert_array_equal(calibrations[0].matching, calibrations[1].matching)
    np.testing.assert_array_equal(calibrations[0].within, calibrations[1].within[::-1])
    fits = [ScoreCalibration().fit(p) for p in pairs]
    for names in (("mean_x", "mean_y"), ("cov_x", "cov_y")):
        for name, other in (names, names[::-1]):
            np.testing.assert_allclose(
                getattr(fits[0].statistics_, name), getattr(fits[1].statistics_, other), atol=1e-9
            )


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
