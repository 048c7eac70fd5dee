"""Thresholds below which a measure is undefined or has no interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

import isthmus
from isthmus import Estimate, Moments, Pairs
from isthmus.metrics import MetricContext
from isthmus.metrics._conditions import few_items_note, has_unit_rows
from isthmus.metrics._paired_rows import PairedRows
from isthmus.metrics._pairwise_sums import PairwiseSums
from isthmus.metrics.kernel_alignment import MIN_KERNEL_SPREAD
from isthmus.metrics.spectrum import MAX_LOG_BIAS, _exponential_interval
from isthmus.metrics.twonn import two_nearest
from isthmus.statistics.dyads import dyadic_variance
from isthmus.statistics.mean_intervals import debiased_mean_cosine

#: Fewest items for which a measure is defined.
MIN_ITEMS = {
    "energy_distance": 3, "centred_energy_distance": 3, "mmd2_1": 3, "centred_mmd2_1": 3, "sliced_wasserstein": 3,
    "centred_sliced_wasserstein": 3, "mutual_knn": 12, "mixing_rate": 11, "mixed_partner_rank_{side}": 3,
    "{x}_to_{y}_hubness": 11, "uniformity_{side}": 2, "cross_uniformity": 2, "unbiased_cka": 5, "cknna": 3,
    "siglip_margin": 2, "siglip_margin_trimmed": 2, "intrinsic_dimension_{side}": 3, "predicted_class_gini_{side}": 4,
    "linear_separability": 8, "separability_auc": 8, "cka": 3, "participation_ratio_{side}": 3, "anisotropy_{side}": 3,
    "residual_anisotropy": 3, "conformity_sd_{side}": 3,
}  # fmt: skip


def cloud(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return correlated rows with a gap."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, d)) / np.arange(1, d + 1) ** 0.5
    x, y = latent + 0.4 * rng.normal(size=(2, n, d)) / np.arange(1, d + 1) ** 0.5
    return x + 1.5 * np.eye(d)[0], y + 1.5 * np.eye(d)[1]


def first(name: str, n: int, d: int, *, normalize: bool = True) -> Estimate:
    x, y = cloud(n, d)
    labels = np.arange(n) % 2 if name.startswith("predicted") else None
    if n == 1:  # pairs need two rows: one item with two rows of y, and one without a matching row
        (x, y), index = cloud(2, d), [0, 0]
        pairs = Pairs(image=x, text=y, index=index)
    else:
        pairs = Pairs(image=x, text=y, labels=labels)
    return next(iter(isthmus.measure(pairs, metrics=[name], normalize=normalize).values()))


@pytest.mark.parametrize(("name", "min_items"), MIN_ITEMS.items())
def test_measure_with_too_few_items_is_undefined(name: str, min_items: int) -> None:
    n = min_items - 1
    items = "1 item" if n == 1 else f"{n} items"
    expected = f"{items} with a matching row, at least {min_items} are needed"
    assert first(name, n, 6).undefined == expected
    assert first(name, min_items, 6).undefined != expected.replace(str(n), str(min_items), 1)
    assert "matching row" not in str(first(name, min_items, 6).undefined)


@pytest.mark.parametrize(("n", "note"), [(11, "11 items are too few for 12 dimensions: 120 are needed"), (12, "")])
def test_few_items_note_is_given_below_the_dimension(n: int, note: str) -> None:
    assert few_items_note(MetricContext(Moments.of(*cloud(n, 12)))) == note


@pytest.mark.parametrize(("n", "expected"), [(119, False), (120, True)])
def test_effective_rank_interval_needs_ten_items_per_dimension(n: int, expected: bool) -> None:
    for name in ("effective_rank_{side}", "power_law_slope_{side}"):
        estimate = first(name, n, 12)
        assert math.isnan(estimate.low) is not expected
        assert expected or estimate.note == "no interval: 120 items are needed"


@pytest.mark.parametrize(("factor", "expected"), [(1.0, True), (1 + 2e-7, True), (1 + 2e-6, False)])
def test_has_unit_rows_without_normalization_looks_at_the_lengths(factor: float, expected: bool) -> None:
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in cloud(50, 4))
    moments = Moments.of(x, y * factor, normalize=False)
    assert has_unit_rows(MetricContext(moments, normalize=False)) is expected
    assert has_unit_rows(MetricContext(moments, normalize=True))


@pytest.mark.parametrize("name", ["relative_modality_gap", "vmf_concentration_{side}", "conformity_sd_{side}"])
def test_measure_of_unit_rows_is_undefined_for_raw_rows(name: str) -> None:
    assert first(name, 40, 4, normalize=False).undefined == "the formula holds for unit rows; use normalize=True"
    assert first(name, 40, 4).undefined is None


@pytest.mark.parametrize(
    ("name", "d", "reason"),
    [
        ("gap_share_top_2", 2, "there are only 2 coordinates"),
        ("gap_share_top_8", 8, "there are only 8 coordinates"),
        ("gap_share_leading_8_{side}", 8, "there are only 8 dimensions"),
        ("overlap_8", 8, "8 dimensions are too few to compare subspaces of 8 dimensions"),
        ("svcca", 10, "fewer than 10 directions have variance, or there are no more than 11 items"),
        ("shared_space_reproducibility", 8, "8 dimensions are too few to compare shared spaces of 8 dimensions"),
    ],
)
def test_measure_of_directions_needs_more_dimensions(name: str, d: int, reason: str) -> None:
    assert first(name, 60, d).undefined == reason
    assert first(name, 60, d + 1).undefined is None


@pytest.mark.parametrize(
    ("name", "n", "reason"),
    [
        ("overlap_8", 8, "8 items are too few to compare subspaces of 8 dimensions"),
        ("svcca", 11, "fewer than 10 directions have variance, or there are no more than 11 items"),
        ("shared_space_reproducibility", 31, "31 items with a matching row, at least 32 are needed"),
        ("centroid_distance_debiased", 1, "there is only one item"),
        ("mean_cosine_{side}", 1, "there is only one item"),
        ("relative_modality_gap", 1, "there is only one item"),
    ],
)
def test_measure_of_directions_needs_more_items(name: str, n: int, reason: str) -> None:
    assert first(name, n, 14).undefined == reason
    assert first(name, n + 1, 14).undefined is None


@pytest.mark.parametrize(("bias", "has_interval"), [(0.049, True), (-0.049, True), (0.051, False), (-0.051, False)])
def test_exponential_interval_with_a_bias_above_the_error_is_absent(bias: float, has_interval: bool) -> None:
    low, high = _exponential_interval(1.0, bias, 0.05, max_value=100.0)
    assert math.isnan(low) is math.isnan(high) is not has_interval
    if has_interval:
        assert (math.log(low), math.log(high)) == pytest.approx((1 - bias - 0.098, 1 - bias + 0.098), abs=1e-3)


def test_exponential_interval_allows_a_small_bias() -> None:
    assert math.isnan(_exponential_interval(0.0, 0.101, 0.001, max_value=9.0, max_bias=MAX_LOG_BIAS)[0])
    low, high = _exponential_interval(0.0, 0.099, 0.001, max_value=9.0, max_bias=MAX_LOG_BIAS)
    assert low < math.exp(-0.099) < high
    assert _exponential_interval(3.0, 0.0, 0.1, max_value=9.0) == (9.0, 9.0)


def test_exponential_interval_near_the_maximum_has_the_smaller_error_there() -> None:
    low, high = _exponential_interval(math.log(8.9), 0.0, 0.008, max_value=9.0)
    assert 8.9 - low > 1.5 * (high - 8.9) > 0
    assert high < 9


@pytest.mark.parametrize(
    ("length", "distance", "expected"),
    [(1.0, 2e-6, True), (1.0, 5e-7, False), (100.0, 2e-5, False), (0.01, 5e-8, True), (0.01, 5e-9, False)],
)
def test_two_nearest_duplicates_are_relative_to_the_length(length: float, distance: float, expected: bool) -> None:
    """Six rows in three close couples: the couples are six rows, or three if they count as duplicates."""
    base = np.repeat(length * np.eye(8)[:3] * [[1.0], [1.1], [1.25]], 2, axis=0)
    base[1::2, 5] += distance
    value, _ = two_nearest(base)
    # The nearest row is `distance` away and the second about `length`, so that the dimension of six rows is small.
    assert (0 < value < 0.2) is expected


@pytest.mark.parametrize(("spread", "is_defined"), [(3 * MIN_KERNEL_SPREAD, True), (MIN_KERNEL_SPREAD / 3, False)])
def test_cknna_of_nearly_equal_rows_is_undefined(spread: float, is_defined: bool) -> None:
    rng = np.random.default_rng(0)
    x = np.ones((40, 3)) + spread * rng.normal(size=(40, 3))
    estimate = isthmus.measure(Pairs(x=x, y=rng.normal(size=(40, 3))), metrics="cknna", normalize=False)["cknna"]
    assert (estimate.undefined is None) is is_defined


@pytest.mark.parametrize(("cosine", "is_defined"), [(1 - 1e-6, True), (1 - 1e-13, False)])
def test_vmf_concentration_of_nearly_equal_rows_is_undefined(cosine: float, is_defined: bool) -> None:
    angle = math.acos(cosine) / 2
    x = np.tile([[math.cos(angle), math.sin(angle)], [math.cos(angle), -math.sin(angle)]], (1, 1))
    estimate = isthmus.measure(Moments.of(x, x), metrics="vmf_concentration_x")["vmf_concentration_x"]
    assert (estimate.undefined is None) is is_defined


@pytest.mark.parametrize(("width", "has_interval"), [(1e-2, True), (1e-5, False)])
def test_vmf_concentration_whose_error_is_rounding_has_no_interval(
    width: float, has_interval: bool, rng: np.random.Generator
) -> None:
    x = np.eye(8)[0] + width * rng.normal(size=(120, 8))
    estimate = isthmus.measure(Moments.of(x, x), metrics="vmf_concentration_x")["vmf_concentration_x"]
    assert estimate.value > 0
    assert math.isfinite(estimate.low) is math.isfinite(estimate.high) is has_interval
    assert ("is rounding" in estimate.note) is not has_interval


@pytest.mark.parametrize("sign", [1, -1])
def test_coral_distance_of_equal_covariances_is_zero(sign: int) -> None:
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=(60, 8))
        estimate = isthmus.measure(Pairs(x=x, y=3 * sign * x), metrics="coral_distance")["coral_distance"]
        assert estimate.value == estimate.low == estimate.high == 0


@pytest.mark.parametrize("scale", [1, 3])
def test_shares_of_the_gap_without_variance_are_equal(scale: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 8))
    y = rng.normal(size=(60, 8)) + 1
    shares = isthmus.measure(Moments.of(scale * x, scale * y)).curves["gap_share_per_direction_x"]
    np.testing.assert_allclose(shares[2:], shares[2], rtol=1e-9)
    assert shares.sum() == pytest.approx(1)


@pytest.mark.parametrize(("distance", "has_interval"), [(1.5e-3, True), (0.5e-3, False)])
def test_relative_modality_gap_of_close_pairs_has_no_interval(distance: float, has_interval: bool) -> None:
    """d(x, y) = |x - y|^2 / 4 of unit rows."""
    x, _ = cloud(60, 4)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    step = np.random.default_rng(1).normal(size=x.shape)
    step -= np.sum(step * x, axis=1, keepdims=True) * x
    y = x + 2 * math.sqrt(distance) * step / np.linalg.norm(step, axis=1, keepdims=True)
    estimate = isthmus.measure(Pairs(image=x, text=y), metrics="relative_modality_gap")["relative_modality_gap"]
    assert math.isnan(estimate.low) is not has_interval
    assert ("smallest distance" in estimate.note) is not has_interval


@pytest.mark.parametrize(("rank_x", "rank_y", "is_defined"), [(9, 14, False), (14, 9, False), (10, 10, True)])
def test_svcca_needs_ten_directions_with_variance_in_each_modality(rank_x: int, rank_y: int, is_defined: bool) -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 60, 14))
    x[:, rank_x:] = y[:, rank_y:] = 0
    estimate = isthmus.measure(Pairs(x=x, y=y), metrics="svcca")["svcca"]
    assert (estimate.undefined is None) is is_defined


@pytest.mark.parametrize("name", ["gap_share_top_2", "gap_share_leading_8_x", "gap_outside_span_x"])
def test_gap_share_of_equal_means_is_undefined(name: str) -> None:
    x, _ = cloud(40, 12)
    assert isthmus.measure(Pairs(x=x, y=x), metrics=name)[name].undefined == "the two means are equal"


@pytest.mark.parametrize("name", ["instance_gap", "alignment"])
def test_pair_distance_of_two_items_has_a_null(name: str) -> None:
    (x, y) = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in cloud(2, 5))
    distances = np.array([np.linalg.norm(x[0] - y[1]), np.linalg.norm(x[1] - y[0])])
    expected = np.mean(distances if name == "instance_gap" else distances**2)
    assert first(name, 2, 5).null == pytest.approx(expected, rel=1e-12)
    assert math.isnan(first(name, 1, 5).null)


def test_conformity_sd_interval_ends_at_one() -> None:
    angle = np.linspace(0.0, 0.2, 200)
    x = np.column_stack([np.where(np.arange(200) % 10 < 3, -1, 1) * np.cos(angle), np.sin(angle)])
    assert isthmus.measure(Pairs(x=x, y=x), metrics="conformity_sd_x")["conformity_sd_x"].high <= 1.0


def test_conformity_sd_has_no_interval_without_a_mean_or_for_few_items() -> None:
    rng = np.random.default_rng(0)
    isotropic, cone = rng.normal(size=(200, 10)), 0.05 * rng.normal(size=(199, 10))
    cone[:, 0] += 1
    notes = ("not distinguishable from the null", "200 items are needed")
    for rows, note in zip((isotropic, cone), notes, strict=True):
        estimate = isthmus.measure(Pairs(x=rows, y=rows), metrics="conformity_sd_x")["conformity_sd_x"]
        assert math.isnan(estimate.low)
        assert estimate.note == f"no interval: {note}"


def test_intervals_that_need_many_items_count_few_items_with_many_pairs_as_fewer() -> None:
    rng = np.random.default_rng(0)
    counts = np.where(np.arange(300) < 40, 10, 1)  # (660)^2 / 4260 = 102 items with equally many pairs
    x = rng.normal(size=(300, 12)) * np.arange(1, 13.0) ** -0.5 + np.eye(12)[0]
    index = np.repeat(np.arange(300), counts)
    y = x[index] + rng.normal(size=(len(index), 12))
    names = ["effective_rank_x", "power_law_slope_x", "conformity_sd_x"]
    for estimate, required in zip(
        isthmus.measure(Pairs(x=x, y=y, index=index), metrics=names).values(), (120, 120, 200), strict=True
    ):
        assert math.isnan(estimate.low)
        needed = f"no interval: {required} items are needed"
        assert estimate.note == f"{needed}, and 300 with so different numbers of pairs count as 102"
    even = isthmus.measure(Pairs(x=x, y=x), metrics=["effective_rank_x", "conformity_sd_x"])
    assert all(estimate.low < estimate.value < estimate.high for estimate in even.values())


def test_smallest_principal_angle_of_a_shared_dimension_is_zero() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 40, 30))
    x[:, 20:] = y[:, :5] = 0  # 20 and 25 dimensions of 30, of which 15 are shared
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(30, 30)))[0]
    result = isthmus.measure(x @ rotation, y @ rotation, metrics=["smallest_principal_angle"])
    assert result["smallest_principal_angle"].value == 0


def test_smallest_principal_angle_null_is_zero_only_for_guaranteed_dimensions() -> None:
    rng = np.random.default_rng(0)
    name = "smallest_principal_angle"
    x, y = np.zeros((2, 300, 20))
    x[:, :4], y[:, 6:10] = rng.normal(size=(2, 300, 4))
    assert 30 < isthmus.measure(Pairs(x=x, y=y), metrics=name)[name].null < 80
    x, y = rng.normal(size=(2, 300, 6))
    assert isthmus.measure(Pairs(x=x, y=y), metrics=name)[name].null == 0.0


def test_two_nearest_of_three_rows_is_the_formula() -> None:
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    logs = np.log([3.0 / 1.0, np.sqrt(10) / 1.0, np.sqrt(10) / 3.0])
    assert two_nearest(rows)[0] == pytest.approx(2 / logs.sum(), rel=1e-12)


def test_pairwise_sums_take_the_median_distance_of_a_thousand_items() -> None:
    rng = np.random.default_rng(0)
    rows = PairedRows(*rng.normal(size=(2, 1_001, 2)), unit=False)
    pilot = rows.random_order[:1_000]
    expected = np.median(pdist(np.concatenate([rows.x[pilot], rows.y[pilot]])))
    assert PairwiseSums.of(rows).median == pytest.approx(expected, rel=1e-9)


def test_mean_cosine_without_a_debiased_length_is_undefined() -> None:
    """Two orthogonal rows: the mean product of different items is 0."""
    assert np.isnan(debiased_mean_cosine(Moments.of(np.eye(2), np.ones((2, 2))))).all()
    assert np.isnan(debiased_mean_cosine(Moments.of(np.ones((2, 2)), np.eye(2)))).all()


@pytest.mark.filterwarnings("error")
def test_unbiased_cka_with_no_variance_without_an_item_has_no_interval() -> None:
    x = np.eye(2)[[0, 0, 0, 0, 1, 1]]  # without one of the last two, the HSIC is 0
    y = np.random.default_rng(0).normal(size=(6, 2))
    for pair in (Pairs(x=x, y=y), Pairs(x=y, y=x)):
        estimate = isthmus.measure(pair, metrics="unbiased_cka", normalize=False, group=False)["unbiased_cka"]
        assert not math.isnan(estimate.value)
        assert math.isnan(estimate.low)


@pytest.mark.parametrize(("rank", "is_defined"), [(5, False), (6, True), (7, True)])
def test_power_law_slope_needs_variance_in_half_of_the_directions(rank: int, is_defined: bool) -> None:
    x = np.random.default_rng(0).normal(size=(200, 12))
    x[:, rank:] = 0
    estimate = isthmus.measure(Pairs(x=x, y=x), metrics="power_law_slope_x")["power_law_slope_x"]
    assert (estimate.undefined is None) is is_defined


def test_two_nearest_error_of_two_groups_is_that_of_their_pairs_of_nearest_rows() -> None:
    triangle = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    rows = np.concatenate([triangle, 100 + triangle * [[1.0, 0.5]]])
    value, error = two_nearest(rows)
    distances = np.sort(squareform(pdist(rows)), axis=1)[:, 1:3]
    logs = np.log(distances[:, 1] / distances[:, 0])
    variance = dyadic_variance(np.arange(6), np.array([1, 0, 0, 4, 3, 3]), logs - logs.mean(), 6)
    assert value == pytest.approx(5 / logs.sum(), rel=1e-12)
    assert error == pytest.approx(5 / logs.sum() ** 2 * np.sqrt(variance), rel=1e-9)


@pytest.mark.parametrize("metric", ["uniformity_x", "cross_uniformity"])
def test_interval_that_is_missing_because_nothing_varies_has_the_reason(metric: str) -> None:
    x, y = np.random.default_rng(5).normal(size=(2, 2, 16)) + 1
    estimate = isthmus.measure(x, y, metrics=metric)[metric]
    assert np.isfinite(estimate.value)
    assert np.isnan(estimate.low)
    assert estimate.note == "no interval: these items are too few, or do not vary"


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_measures_of_moments_have_no_interval_for_five_items_and_fewer(n: int, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, n, 4)) + 1
    for options in ({}, {"unpaired": True}):
        for name, estimate in isthmus.measure(x, y, metrics="fast", **options).items():
            if n <= 5:
                assert np.isnan(estimate.low), name
    estimate = isthmus.measure(x, y, metrics="mean_paired_cosine")["mean_paired_cosine"]
    assert np.isfinite(estimate.value)
    assert np.isfinite(estimate.low) == (n > 5)
    reason = f"no interval: {n} items are too few to estimate a standard error, 6 are needed"
    assert estimate.note == ("" if n > 5 else reason)
    moments = isthmus.measure(isthmus.Moments.of(x, y), metrics="mean_paired_cosine")["mean_paired_cosine"]
    assert moments.note == estimate.note
