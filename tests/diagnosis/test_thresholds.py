"""Every threshold of the diagnosis decides on both sides of its documented value."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

import isthmus
from isthmus import Estimate, InputError, IsthmusWarning, Moments, Pairs, Result
from isthmus.compute.arrays import unit_rows
from isthmus.diagnosis import (
    calibrate,
    decompose_cosine,
    decompose_pairs,
    hypotheses,
    retrieval_at_chance,
    verdict_sentences,
)
from isthmus.diagnosis.calibration import T95
from isthmus.diagnosis.cosine_decomposition import Z95_ONE_SIDED, CosineDecomposition
from isthmus.diagnosis.hypotheses import REFUTED, SUPPORTED, UNDECIDED
from isthmus.statistics.result import NAN


def test_shuffled_percentile_has_the_one_sided_level(rng: np.random.Generator) -> None:
    x, y = unit_rows(rng.normal(size=(100, 5)) + 1), unit_rows(rng.normal(size=(100, 5)) + 1)
    m = Moments.of(x, y)
    budget = decompose_cosine(m)
    fidelity = budget["pairing"].null
    deviation = math.sqrt(np.trace(m.cov_x @ m.cov_y) / 99)
    assert budget.shuffled_95th_percentile == pytest.approx(norm.ppf(0.95) * deviation / fidelity, rel=1e-12)
    assert pytest.approx(norm.ppf(0.95), abs=1e-12) == Z95_ONE_SIDED


def test_jackknife_quantile_is_that_of_nine_degrees_of_freedom() -> None:
    assert pytest.approx(student.ppf(0.975, df=9), rel=1e-9) == T95


@pytest.mark.parametrize(
    ("spread", "expected"),
    [(0.099, SUPPORTED), (0.101, UNDECIDED), (0.199, UNDECIDED), (0.201, REFUTED)],
)
def test_offset_is_constant_up_to_a_tenth_and_varies_above_a_fifth(spread: float, expected: str) -> None:
    # Two rows in each modality, at +- spread around means that are 1 apart along the first axis.
    x = np.array([[0.5 + spread, 0.0], [0.5 - spread, 0.0]])
    m = Moments.of(x, x - [1.0, 0.0], normalize=False)
    measured, judged = hypotheses._judge_constancy(m)
    assert judged == expected
    assert f"{spread:.3f} of its length" in measured


@pytest.mark.parametrize(
    ("share", "null", "few_items", "expected"),
    [
        (0.91, 0.5, False, SUPPORTED),
        (0.89, 0.5, False, REFUTED),
        (0.89, 0.5, True, UNDECIDED),
        (0.951, 0.8, False, SUPPORTED),  # .049 inside is at most a quarter of .2
        (0.949, 0.8, False, REFUTED),  # .051 inside is more
        (0.89, 0.91, False, UNDECIDED),  # small spans leave everything outside
        (0.0, 0.0, False, UNDECIDED),  # the spans fill the space
    ],
)
def test_orthogonality_needs_a_share_of_nine_tenths_and_a_quarter_of_chance(
    share: float, null: float, few_items: bool, expected: str
) -> None:
    assert hypotheses._judge_orthogonality(Estimate(share, null=null), 10, few_items=few_items)[1] == expected


def test_hypothesis_is_refuted_by_one_prediction_and_undecided_by_one() -> None:
    def judge(*verdicts: str) -> str:
        predictions = tuple(hypotheses.Prediction("statement", "measured", v) for v in verdicts)
        return hypotheses.Hypothesis("name", "source", predictions).verdict

    assert judge(SUPPORTED, UNDECIDED, REFUTED) == REFUTED
    assert judge(SUPPORTED, UNDECIDED) == UNDECIDED
    assert judge(SUPPORTED, SUPPORTED) == SUPPORTED


def recall_result(n: int, recalls: dict[int, float]) -> Result:
    """Return a result with these recalls at k in both directions, chance k / n."""
    metrics = {
        f"{query}_to_{corpus}_R@{k}": Estimate(value, null=k / n)
        for k, value in recalls.items()
        for query, corpus in (("image", "text"), ("text", "image"))
    }
    return Result(metrics, {}, {"names": ("image", "text"), "items_ranked": n, "items": n, "dim": 8})


@pytest.mark.parametrize(("standard_errors", "expected"), [(2.9, True), (3.1, False)])
def test_retrieval_is_at_chance_up_to_three_standard_errors(standard_errors: float, expected: bool) -> None:
    null, n = 0.1, 100
    recall = null + standard_errors * math.sqrt(null * (1 - null) / n)
    assert retrieval_at_chance(recall_result(n, {1: 0.9, 10: recall})) is expected


@pytest.mark.parametrize(("n", "expected"), [(19, False), (20, True)])
def test_retrieval_is_judged_by_recall_at_ten_from_twenty_items(n: int, expected: bool) -> None:
    assert retrieval_at_chance(recall_result(n, {1: 1.0, 10: 10 / n})) is expected


def budget_of(components: list[float], **fields: Any) -> CosineDecomposition:
    names = ("spectrum", "centre", "orientation", "pairing")
    estimates = {name: Estimate(value, null=0.0) for name, value in zip(names, components, strict=True)}
    return CosineDecomposition(estimates, Estimate(sum(components)), Estimate(NAN), **fields)


def test_components_are_named_from_two_per_cent_of_the_deficit() -> None:
    named = verdict_sentences._deficit_sentence(budget_of([0.0, 0.979, 0.0, 0.021]), collapsed=False)
    assert "matching rows that still differ" in named
    unnamed = verdict_sentences._deficit_sentence(budget_of([0.0, 0.981, 0.0, 0.019]), collapsed=False)
    assert "matching rows that still differ" not in unnamed
    assert "nearly all of it (0.981)" in unnamed


@pytest.mark.parametrize(("total", "none"), [(0.99e-4, True), (1.01e-4, False)])
def test_deficit_below_one_in_ten_thousand_is_none(total: float, none: bool) -> None:
    sentence = verdict_sentences._deficit_sentence(budget_of([0.0, total, 0.0, 0.0]), collapsed=False)
    assert ("there is no deficit" in sentence) is none


def test_intervals_need_five_items_per_dimension_and_forty_items(rng: np.random.Generator) -> None:
    def has_interval(n: int, d: int) -> bool:
        x, y = rng.normal(size=(2, n, d)) + 1
        return not math.isnan(decompose_pairs(Pairs(image=x, text=y))["centre"].low)

    assert [has_interval(50, 10), has_interval(49, 10)] == [True, False]
    assert [has_interval(40, 3), has_interval(39, 3)] == [True, False]


def test_calibration_needs_twenty_items(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 20, 4))
    assert calibrate(Pairs(image=x, text=y)).items == 20
    with pytest.raises(InputError, match="19 items are too few to calibrate a cosine, expected 20 or more"):
        calibrate(Pairs(image=x[:19], text=y[:19]))


@pytest.mark.parametrize(
    ("n_matching", "n_non_matching", "expected"), [(20, 10, True), (19, 10, False), (20, 9, False)]
)
def test_threshold_has_an_interval_from_twenty_matching_and_ten_non_matching_pairs(
    n_matching: int, n_non_matching: int, expected: bool
) -> None:
    calibration = isthmus.calibrate(isthmus.demo.load("plain", split="test"))
    high, low = 15_000, 5_000
    matching, non_matching = np.zeros_like(calibration.matching), np.zeros_like(calibration.non_matching)
    matching[:, low], non_matching[:, :, low] = 1, 100
    for number in range(n_matching):
        matching[number % 10, high] += 1
    for number in range(n_non_matching):
        non_matching[number % 10, (number + 1) % 10, high] += 1
    counts = dataclasses.replace(calibration, matching=matching, non_matching=non_matching)
    threshold = counts.threshold(0.9, prevalence=0.5)
    assert threshold.value == pytest.approx((low + 1) * 2 / 20_000 - 1)  # only the pairs at `high` reach it
    assert f"; {n_matching} matching and {n_non_matching} non-matching pairs reach it here" in threshold.definition
    assert (not math.isnan(threshold.low)) is expected


@pytest.mark.parametrize(
    ("null", "expected"), [(0.049, "(dimension collapse)"), (0.051, "(sampling alone gives 0.051)")]
)
def test_orientation_without_interval_is_collapse_above_twice_its_null(null: float, expected: str) -> None:
    budget = budget_of([0.0, 0.5, 0.1, 0.1])
    components = {**budget.components, "orientation": Estimate(0.1, null=null)}
    sentence = verdict_sentences._deficit_sentence(dataclasses.replace(budget, components=components), collapsed=True)
    assert expected in sentence


@pytest.mark.parametrize(("value", "low", "expected"), [(0.2, 0.0, True), (0.1, 0.05, True), (0.2, 0.05, False)])
def test_gap_is_missing_if_the_interval_or_the_null_explains_the_distance(
    value: float, low: float, expected: bool
) -> None:
    result = Result({"centroid_distance": Estimate(value, low, 0.3, null=0.1)})
    assert verdict_sentences._no_gap(result) is expected


@pytest.mark.parametrize(("remainder", "expected"), [(0.0004, False), (0.0006, True)])
def test_remainder_is_named_from_half_a_thousandth(remainder: float, expected: bool) -> None:
    sentence = verdict_sentences._deficit_sentence(budget_of([remainder, 0.1, 0.0, 0.1]), collapsed=False)
    assert ("is negligible" in sentence) is expected


@pytest.mark.parametrize(("squared_length", "accepted"), [(1.0009, True), (1.0011, False)])
def test_decomposition_accepts_a_mean_square_length_within_one_thousandth(
    squared_length: float, accepted: bool, rng: np.random.Generator
) -> None:
    x = math.sqrt(squared_length) * unit_rows(rng.normal(size=(20, 4)))
    moments = Moments.of(x, unit_rows(x), normalize=False)
    if accepted:
        assert decompose_cosine(moments).total.value >= 0
    else:
        with pytest.raises(InputError, match="expected unit rows"):
            decompose_cosine(moments)


@pytest.mark.parametrize(("squared_length", "accepted"), [(1.009, True), (1.011, False)])
def test_calibration_accepts_squared_lengths_up_to_one_hundredth_above_one(
    squared_length: float, accepted: bool, rng: np.random.Generator
) -> None:
    x = unit_rows(rng.normal(size=(30, 4)))
    pairs = Pairs(image=math.sqrt(squared_length) * x, text=x)
    if accepted:
        with pytest.warns(IsthmusWarning, match="Every row of image is the same as its matching row of text"):
            assert calibrate(pairs, normalize=False).items == 30
    else:
        with pytest.raises(InputError, match="image: a row has length 1.00"):
            calibrate(pairs, normalize=False)
